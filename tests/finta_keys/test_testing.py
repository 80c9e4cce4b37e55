"""The assertions for other projects can fail, and say why."""

from uuid import uuid4

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import FormParser
from rest_framework.response import Response
from rest_framework.versioning import URLPathVersioning

from accounts_app.models import Account, Transaction
from finta_keys.models import ApiKey
from finta_keys.testing import assert_indistinguishable, assert_scope_covers, key_client, make_key
from tests.factories import TransactionFactory
from tests.finta_keys import urls_made_up as made_up


class OpenToAll(made_up.OneAccount):
    permission_classes = []


MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}


class FirstVersion(URLPathVersioning):
    allowed_versions = ["v1"]


def answering(**answers):
    """Return views that answer as told, by the name of their path: a function of the request, or a response."""

    def view(answer):
        return lambda request: answer(request) if callable(answer) else answer

    return [path(name, view(answer)) for name, answer in answers.items()]


def of_method(method, otherwise, answer):
    """Answer differently to one method."""
    return lambda request: (answer if request.method == method else otherwise)()


def missing(status=404, body=b"no", **headers):
    return lambda: HttpResponse(body, status=status, headers=headers)


def plain(request):
    return missing()()


def asks(number):
    def view(request):
        for _ in range(number):
            ApiKey.objects.exists()
        return missing()()

    return view


def compare(settings, client, hidden, **request):
    settings.ROOT_URLCONF = tuple(answering(hidden=hidden, missing=plain))
    assert_indistinguishable(client, "/hidden", "/missing", **request)


@pytest.fixture
def client(restricted):
    return key_client(restricted.secret)


def test_the_same_answers_pass(settings, client):
    compare(settings, client, plain)


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
def test_S4_one_method_that_tells_is_found(settings, client, method, other, part):
    if (method, part) == ("HEAD", "body"):
        return  # It has none.
    with pytest.raises(AssertionError, match=f"{method} /missing differs in its {part}"):
        compare(settings, client, of_method(method, missing(), other))


def test_headers_that_always_differ_do_not_count(settings, client):
    compare(settings, client, lambda request: missing(**{"X-Request-Id": "7", "Date": "today"})())


def test_a_body_that_is_streamed_is_read(settings, client):
    def streamed(text):
        return lambda request: StreamingHttpResponse(iter([text]), status=404)

    settings.ROOT_URLCONF = tuple(answering(hidden=streamed("no"), same=streamed("no"), other=streamed("nope")))
    assert_indistinguishable(client, "/hidden", "/same", methods=["GET"])
    with pytest.raises(AssertionError, match="in its body"):
        assert_indistinguishable(client, "/hidden", "/other", methods=["GET"])


@pytest.mark.django_db
def test_S4_another_number_of_queries_is_found_unless_it_may_be(settings):
    with pytest.raises(AssertionError, match="takes 0 queries, not 2"):
        compare(settings, Client(), asks(2))
    compare(settings, Client(), asks(2), same_queries=False)


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", status) for status in (301, 302, 401, 403, 429, 500, 503)] + [("PUT", 401), ("PUT", 500)],
)
def test_a_client_that_is_not_let_in_compares_nothing(settings, client, method, status):
    with pytest.raises(AssertionError, match=f"{method} /hidden answers {status}: nothing is compared"):
        compare(settings, client, of_method(method, missing(), missing(status=status)))


@pytest.mark.parametrize("status", [302, 403, 429])
def test_other_methods_may_be_refused(settings, client, status):
    settings.ROOT_URLCONF = tuple(
        answering(**{name: of_method("PUT", missing(), missing(status=status)) for name in ("hidden", "missing")})
    )
    assert_indistinguishable(client, "/hidden", "/missing")


def test_S4_bodies_that_name_what_is_hidden_are_compared(settings, client):
    settings.ROOT_URLCONF = tuple(answering(orders=lambda request: missing(body=request.body[:5])()))
    hidden, same, other = (("/orders", {name: 7}) for name in ("shop", "shore", "boat"))
    assert_indistinguishable(client, hidden, same, methods=["POST"])
    with pytest.raises(AssertionError, match="POST /orders differs in its body"):
        assert_indistinguishable(client, hidden, same, other, methods=["POST"])


def test_S4_a_cookie_that_tells_is_found_and_none_is_kept(settings, client):
    def hidden(request):
        response = missing()()
        response.set_cookie("seen", "yes")
        return response

    with pytest.raises(AssertionError, match="differs in its headers"):
        compare(settings, client, hidden)
    assert not client.cookies


def test_the_random_token_of_forms_does_not_count(settings, client):
    def with_token(request):
        response = missing()()
        response.set_cookie(settings.CSRF_COOKIE_NAME, request.path)
        return response

    settings.ROOT_URLCONF = tuple(answering(hidden=with_token, missing=with_token))
    assert_indistinguishable(client, "/hidden", "/missing")


def test_a_path_that_leads_nowhere_compares_nothing(client):
    with pytest.raises(AssertionError, match="/acounts/1 leads to no view"):
        assert_indistinguishable(client, "/acounts/1", "/acounts/2")


@pytest.mark.parametrize("status", [302, 403, 405, 406, 413, 415, 429])
def test_refusing_every_method_compares_nothing(settings, client, status):
    settings.ROOT_URLCONF = tuple(answering(hidden=missing(status=status)(), missing=missing(status=status)()))
    with pytest.raises(AssertionError, match="refuses each of these methods"):
        assert_indistinguishable(client, "/hidden", "/missing", methods=["POST", "PUT"])


class TakesFormsOnly(made_up.OpenToAll):
    parser_classes = [FormParser]

    def post(self, request):
        return Response({"seen": Account.objects.filter(pk=request.data["account"]).exists()})


def test_a_body_that_the_view_cannot_read_compares_nothing(settings, client):
    settings.ROOT_URLCONF = (path("forms", TakesFormsOnly.as_view()),)
    bodies = [("/forms", {"account": each}) for each in "ab"]
    with pytest.raises(AssertionError, match="refuses each of these methods"):
        assert_indistinguishable(client, *bodies, methods=["POST"])


def test_an_answer_to_nobody_compares_nothing(settings, client, accounts):
    """A view that lets everybody in shows nobody any account."""
    settings.ROOT_URLCONF = (path("open/<str:pk>", OpenToAll.as_view()),)
    addresses = [f"/open/{pk}" for pk in (accounts.savings.pk, uuid4())]
    assert_indistinguishable(client, *addresses)
    with pytest.raises(AssertionError, match="asks for no key: nothing is compared"):
        assert_indistinguishable(Client(), *addresses)


def test_an_answer_before_the_key_is_asked_for_compares_nothing(settings, client):
    """Here a 404 for a version that there is none of."""
    view = OpenToAll.as_view(versioning_class=FirstVersion)
    settings.ROOT_URLCONF = (path("<str:version>/<str:pk>", view),)
    with pytest.raises(AssertionError, match="asks for no key: nothing is compared"):
        assert_indistinguishable(client, "/v9/1", "/v9/2")


@pytest.mark.parametrize("same_queries", [True, False])
@pytest.mark.parametrize("change", ["delete", "update"])
def test_S3_a_hidden_row_that_is_changed_in_silence_is_found(settings, client, accounts, change, same_queries):
    """The answer is the same for any id, and so is the number of queries."""
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
    """Another database of the project."""
    monkeypatch.setitem(connections.settings, "bank", {**connection.settings_dict, **MEMORY})
    with django_db_blocker.unblock():
        yield connections["bank"]
    BaseDatabaseWrapper.close(connections["bank"])  # close() itself leaves a database in memory open
    del connections["bank"]


def test_S4_another_number_of_queries_in_another_database_is_found(settings, bank):
    def asks_the_bank(request):
        with bank.cursor() as cursor:
            cursor.execute("SELECT 1")
        return missing()()

    with pytest.raises(AssertionError, match="takes 0 queries, not 1"):
        compare(settings, Client(), asks_the_bank)


@pytest.mark.parametrize("twice", [["/v2/accounts/x"] * 2, [("/v2/accounts", {"id": 1})] * 2])
def test_the_same_twice_compares_nothing(client, twice):
    with pytest.raises(AssertionError, match="given twice"):
        assert_indistinguishable(client, *twice)


def test_the_use_of_a_key_is_written_before_anything_is_counted(unrestricted):
    assert_indistinguishable(key_client(unrestricted.secret), "/v2/accounts/x", "/v2/accounts/y", methods=["GET"])


def test_what_is_sent_reaches_both(settings, client):
    sent = []

    def view(request):
        sent.append((request.path, request.body, request.content_type))
        return missing()()

    settings.ROOT_URLCONF = tuple(answering(hidden=view, missing=view))
    assert_indistinguishable(
        client, "/hidden", "/missing", methods=["PUT"], data=b"{}", content_type="application/json"
    )
    assert sent[1:] == [("/hidden", b"{}", "application/json"), ("/missing", b"{}", "application/json")]


# --- assert_scope_covers() -------------------------------------------------------------------------------------------


def test_S7_the_paths_that_take_keys_are_returned():
    paths = assert_scope_covers()
    assert "v2/accounts" in paths
    assert "v2/health" not in paths


def test_S7_a_forgotten_view_is_named_with_both_ways_out():
    urls = [path("good", made_up.Accounts.as_view()), path("deep/bad", made_up.Neither.as_view())]
    with pytest.raises(AssertionError) as found:
        assert_scope_covers(urls)
    assert "urls_made_up.Neither at 'deep/bad'" in str(found.value)
    assert "AccountScopeMixin" in str(found.value)
    assert "@unscoped" in str(found.value)
    assert "Accounts at 'good'" not in str(found.value)


def test_S7_a_urlconf_may_be_named():
    with pytest.raises(AssertionError, match=r"urls_made_up\.Neither"):
        assert_scope_covers("tests.finta_keys.urls_made_up")


@pytest.mark.parametrize(
    "urls", [(), (path("x", made_up.Accounts.as_view(authentication_classes=[SessionAuthentication])),)]
)
def test_S7_urls_without_keys_test_nothing(urls):
    with pytest.raises(AssertionError, match="No view of these URLs"):
        assert_scope_covers(urls)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_need_no_name_and_get_a_scope(alice, accounts):
    keys = [make_key(alice)[0] for _ in range(2)]
    assert keys[0].name != keys[1].name
    key, secret = make_key(alice, "Till", [accounts.checking])
    assert (key.name, key.share_all_accounts) == ("Till", False)
    assert [account["name"] for account in key_client(secret).get("/v2/accounts").json()["accounts"]] == ["Checking"]


def test_a_client_takes_the_options_of_djangos(unrestricted):
    client = key_client(unrestricted.secret, raise_request_exception=False)
    assert client.raise_request_exception is False
