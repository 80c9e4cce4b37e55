"""The assertions for other projects fail when they should, and say why."""

from uuid import uuid4

import pytest
import time_machine
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import FormParser
from rest_framework.response import Response
from rest_framework.versioning import URLPathVersioning

from accounts_app.models import Account, Transaction
from finta_keys.models import ApiKey
from finta_keys.testing import assert_indistinguishable, assert_scope_covers, key_client, make_key
from tests.factories import TransactionFactory
from tests.finta_keys import urls_example as example


class OpenToAll(example.OneAccount):
    permission_classes = []


MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}


class FirstVersion(URLPathVersioning):
    allowed_versions = ["v1"]


def urls_of(**responses):
    """Return URLs whose views return these responses, or the results of these functions of the request."""

    def view(response):
        return lambda request: response(request) if callable(response) else response

    return [path(name, view(response)) for name, response in responses.items()]


def of_method(method, otherwise, response):
    """Respond differently to one method."""
    return lambda request: (response if request.method == method else otherwise)()


def missing(status=404, body=b"no", **headers):
    return lambda: HttpResponse(body, status=status, headers=headers)


def plain(request):
    return missing()()


def queries(number):
    def view(request):
        for _ in range(number):
            ApiKey.objects.exists()
        return missing()()

    return view


def compare(settings, client, hidden, **request):
    settings.ROOT_URLCONF = tuple(urls_of(hidden=hidden, missing=plain))
    assert_indistinguishable(client, "/hidden", "/missing", **request)


@pytest.fixture
def client(restricted):
    return key_client(restricted.secret)


def test_same_responses_pass(settings, client):
    compare(settings, client, plain)


@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW"])
@pytest.mark.parametrize(
    ("other", "part"),
    [
        (missing(status=410), "status"),
        (missing(**{"X-Found": "yes"}), "headers"),
        (missing(ETag='"7"'), "headers"),
        (missing(body=b"hidden"), "body"),
    ],
)
def test_method_that_differs_is_found(settings, client, method, other, part):
    if (method, part) == ("HEAD", "body"):
        return  # A HEAD has no body.
    with pytest.raises(AssertionError, match=f"{method} /missing differs in its {part}"):
        compare(settings, client, of_method(method, missing(), other))


def test_headers_that_always_differ_are_ignored(settings, client):
    compare(settings, client, lambda request: missing(**{"X-Request-Id": "7", "Date": "today"})())


def test_named_headers_are_ignored(settings, client):
    def view(request):
        return missing(**{"Server-Timing": request.path})()

    with pytest.raises(AssertionError, match="in its headers"):
        compare(settings, client, view)
    compare(settings, client, view, ignore_headers=["Server-Timing"])


def test_streamed_body_is_compared(settings, client):
    def streamed(text):
        return lambda request: StreamingHttpResponse(iter([text]), status=404)

    settings.ROOT_URLCONF = tuple(urls_of(hidden=streamed("no"), same=streamed("no"), other=streamed("nope")))
    assert_indistinguishable(client, "/hidden", "/same", methods=["GET"])
    with pytest.raises(AssertionError, match="in its body"):
        assert_indistinguishable(client, "/hidden", "/other", methods=["GET"])


@pytest.mark.rule("S4")
@pytest.mark.django_db
def test_number_of_queries_is_compared_unless_disabled(settings):
    with pytest.raises(AssertionError, match=r"takes 0 queries, not 2.*same_queries=False"):
        compare(settings, Client(), queries(2))
    compare(settings, Client(), queries(2), same_queries=False)


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", status) for status in (301, 302, 401, 403, 429, 500, 503)] + [("PUT", 401), ("PUT", 500)],
)
def test_rejected_client_fails_the_assertion(settings, client, method, status):
    with pytest.raises(AssertionError, match=f"{method} /hidden responds {status}: nothing was compared"):
        compare(settings, client, of_method(method, missing(), missing(status=status)))


@pytest.mark.parametrize("status", [302, 403, 429])
def test_other_methods_may_be_rejected(settings, client, status):
    settings.ROOT_URLCONF = tuple(
        urls_of(**{name: of_method("PUT", missing(), missing(status=status)) for name in ("hidden", "missing")})
    )
    assert_indistinguishable(client, "/hidden", "/missing")


@pytest.mark.rule("S4")
def test_bodies_naming_hidden_rows_are_compared(settings, client):
    settings.ROOT_URLCONF = tuple(urls_of(orders=lambda request: missing(body=request.body[:5])()))
    hidden, same, other = (("/orders", {name: 7}) for name in ("shop", "shore", "boat"))
    assert_indistinguishable(client, hidden, same, methods=["POST"])
    with pytest.raises(AssertionError, match="POST /orders differs in its body"):
        assert_indistinguishable(client, hidden, same, other, methods=["POST"])


@pytest.mark.rule("S4")
def test_cookie_that_differs_is_found(settings, client):
    def hidden(request):
        response = missing()()
        response.set_cookie("seen", "yes")
        return response

    with pytest.raises(AssertionError, match="differs in its headers"):
        compare(settings, client, hidden)
    assert not client.cookies


def test_csrf_token_is_ignored(settings, client):
    def with_token(request):
        response = missing()()
        response.set_cookie(settings.CSRF_COOKIE_NAME, request.path)
        return response

    settings.ROOT_URLCONF = tuple(urls_of(hidden=with_token, missing=with_token))
    assert_indistinguishable(client, "/hidden", "/missing")


def test_unknown_path_fails_the_assertion(client):
    with pytest.raises(AssertionError, match="/acounts/1 leads to no view"):
        assert_indistinguishable(client, "/acounts/1", "/acounts/2")


@pytest.mark.parametrize("status", [302, 403, 405, 406, 413, 415, 429])
def test_rejecting_every_method_fails_the_assertion(settings, client, status):
    settings.ROOT_URLCONF = tuple(urls_of(hidden=missing(status=status)(), missing=missing(status=status)()))
    with pytest.raises(AssertionError, match="rejects each of these methods"):
        assert_indistinguishable(client, "/hidden", "/missing", methods=["POST", "PUT"])


class TakesFormsOnly(example.OpenToAll):
    parser_classes = [FormParser]

    def post(self, request):
        return Response({"exists": Account.objects.filter(pk=request.data["account"]).exists()})


def test_unreadable_body_fails_the_assertion(settings, client):
    settings.ROOT_URLCONF = (path("forms", TakesFormsOnly.as_view()),)
    bodies = [("/forms", {"account": pk}) for pk in "ab"]
    with pytest.raises(AssertionError, match="rejects each of these methods"):
        assert_indistinguishable(client, *bodies, methods=["POST"])


def test_client_without_key_fails_the_assertion(settings, client, accounts):
    """A public view shows an anonymous caller no account."""
    settings.ROOT_URLCONF = (path("open/<str:pk>", OpenToAll.as_view()),)
    addresses = [f"/open/{pk}" for pk in (accounts.savings.pk, uuid4())]
    assert_indistinguishable(client, *addresses)
    with pytest.raises(AssertionError, match="does not authenticate: nothing was compared"):
        assert_indistinguishable(Client(), *addresses)


def test_response_before_authentication_fails_the_assertion(settings, client):
    """An unknown version is a 404 here."""
    view = OpenToAll.as_view(versioning_class=FirstVersion)
    settings.ROOT_URLCONF = (path("<str:version>/<str:pk>", view),)
    with pytest.raises(AssertionError, match="does not authenticate: nothing was compared"):
        assert_indistinguishable(client, "/v9/1", "/v9/2")


@pytest.mark.rule("S3")
@pytest.mark.parametrize("same_queries", [True, False])
@pytest.mark.parametrize("change", ["delete", "update"])
def test_changed_hidden_row_is_found(settings, client, accounts, change, same_queries):
    """The response and the number of queries are the same for every id."""
    for account in (accounts.checking, accounts.savings):
        TransactionFactory(account=account)

    def changes(request, pk):
        if request.method == "PUT":
            rows = Transaction.objects.filter(account=pk)
            rows.delete() if change == "delete" else rows.update(summary="Changed")
        return missing(status=204, body=b"")()

    settings.ROOT_URLCONF = (path("accounts/<str:pk>", changes),)
    addresses = [f"/accounts/{pk}" for pk in (accounts.savings.pk, uuid4())]
    with pytest.raises(AssertionError, match=r"PUT /accounts/.* changes 0 rows, not 1"):
        assert_indistinguishable(client, *addresses, methods=["PUT"], same_queries=same_queries)
    assert_indistinguishable(client, addresses[1], f"/accounts/{uuid4()}", methods=["PUT"], same_queries=same_queries)


@pytest.fixture
def bank(django_db_blocker, monkeypatch):
    """A second database of the project."""
    monkeypatch.setitem(connections.settings, "bank", {**connection.settings_dict, **MEMORY})
    with django_db_blocker.unblock():
        yield connections["bank"]
    BaseDatabaseWrapper.close(connections["bank"])  # close() itself leaves a database in memory open
    del connections["bank"]


@pytest.mark.rule("S4")
def test_queries_of_another_database_are_compared(settings, bank):
    def queries_bank(request):
        with bank.cursor() as cursor:
            cursor.execute("SELECT 1")
        return missing()()

    with pytest.raises(AssertionError, match="takes 0 queries, not 1"):
        compare(settings, Client(), queries_bank)


@pytest.mark.parametrize("twice", [["/v2/accounts/x"] * 2, [("/v2/accounts", {"id": 1})] * 2])
def test_same_url_twice_fails_the_assertion(client, twice):
    with pytest.raises(AssertionError, match="requests are the same"):
        assert_indistinguishable(client, *twice)


def test_minutes_between_requests_make_no_difference(unrestricted, accounts):
    """The time of last use is written once a minute, which would change the number of queries."""
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:

        class SlowClient(Client):
            def request(self, **environ):
                clock.shift(45)  # so that one of two requests is a minute after the last write
                return super().request(**environ)

        client = SlowClient(headers={"authorization": f"Bearer {unrestricted.secret}"})
        assert_indistinguishable(client, f"/v2/accounts/{uuid4()}", f"/v2/accounts/{uuid4()}", methods=["GET"])


def test_write_of_last_use_is_not_counted(unrestricted):
    assert_indistinguishable(key_client(unrestricted.secret), "/v2/accounts/x", "/v2/accounts/y", methods=["GET"])


def test_request_arguments_reach_both_urls(settings, client):
    sent = []

    def view(request):
        sent.append((request.path, request.body, request.content_type))
        return missing()()

    settings.ROOT_URLCONF = tuple(urls_of(hidden=view, missing=view))
    assert_indistinguishable(
        client, "/hidden", "/missing", methods=["PUT"], data=b"{}", content_type="application/json"
    )
    assert sent[1:] == [("/hidden", b"{}", "application/json"), ("/missing", b"{}", "application/json")]


# --- assert_scope_covers() -------------------------------------------------------------------------------------------


@pytest.mark.rule("S7.1")
def test_paths_that_open_to_keys_are_returned():
    paths = assert_scope_covers()
    assert "v2/accounts" in paths
    assert "v2/health" not in paths


@pytest.mark.rule("S7.1")
def test_closed_view_is_named_with_both_fixes():
    urls = [path("open", example.Accounts.as_view()), path("deep/closed", example.Neither.as_view())]
    with pytest.raises(AssertionError) as error:
        assert_scope_covers(urls)
    assert "urls_example.Neither at 'deep/closed'" in str(error.value)
    assert "AccountScopeMixin" in str(error.value)
    assert "@unscoped" in str(error.value)
    assert "Accounts at 'open'" not in str(error.value)


def test_urlconf_may_be_named():
    with pytest.raises(AssertionError, match=r"urls_example\.Neither"):
        assert_scope_covers("tests.finta_keys.urls_example")


@pytest.mark.parametrize(
    "urls", [(), (path("x", example.Accounts.as_view(authentication_classes=[SessionAuthentication])),)]
)
def test_urls_without_keys_fail_the_assertion(urls):
    with pytest.raises(AssertionError, match="No view of these URLs"):
        assert_scope_covers(urls)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_make_key_chooses_name_and_sets_scope(alice, accounts):
    keys = [make_key(alice)[0] for _ in range(2)]
    assert keys[0].name != keys[1].name
    key, secret = make_key(alice, "Till", [accounts.checking])
    assert (key.name, key.share_all_accounts) == ("Till", False)
    assert [account["name"] for account in key_client(secret).get("/v2/accounts").json()["accounts"]] == ["Checking"]


def test_key_client_accepts_options_of_client(unrestricted):
    client = key_client(unrestricted.secret, raise_request_exception=False)
    assert client.raise_request_exception is False
