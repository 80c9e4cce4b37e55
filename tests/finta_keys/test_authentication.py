"""``ApiKeyAuthentication``: three answers (rules X4 and X5), and none in a view without a scope (S7)."""

import base64
import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts_app.models import User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, is_scoped, require_scope, unscoped
from finta_keys.testing import answer_of
from tests.factories import UserFactory
from tests.finta_keys import urls_made_up

pytestmark = pytest.mark.urls("tests.finta_keys.urls_made_up")

UNKNOWN = "finta_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0sa1ru"  # fixed, as it stands in names of tests


def authenticate(header, view=urls_made_up.Accounts):
    """Ask the class itself, as if ``view`` was called with this header."""
    headers = {} if header is None else {"HTTP_AUTHORIZATION": header}
    request = Request(APIRequestFactory().get("/", **headers), parser_context={"view": view()})
    return ApiKeyAuthentication().authenticate(request)


def get(path, header=None, **extra):
    if header is not None:
        extra["HTTP_AUTHORIZATION"] = header
    return Client().get(path, **extra)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        f"Token {UNKNOWN}",
        f"Bearer{UNKNOWN}",
        f"Bearer\t{UNKNOWN}",
        UNKNOWN,
        "Bearer some.other.token",
        "Bearer FINTA_" + UNKNOWN[6:],
        "Bearer finta",
        f"Bearer x{UNKNOWN}",
        "Bearer \xe9\xff",
    ],
)
def test_what_is_not_ours_is_left_to_other_classes(header, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert authenticate(header) is None


@pytest.mark.parametrize(
    "presented",
    [
        "finta_",
        "finta_x",
        UNKNOWN[:-1],
        UNKNOWN + "x",
        UNKNOWN[:-1] + ("a" if UNKNOWN[-1] != "a" else "b"),
        UNKNOWN.swapcase().replace("FINTA", "finta"),
        f"{UNKNOWN},Bearer {UNKNOWN}",
        f"{UNKNOWN} {UNKNOWN}",
        f"{UNKNOWN}\xe9",
        "finta_\xff\xfe",
        "finta_" + "٠" * 54,
        "finta_\0",
        "finta_" + "a" * 100_000,
    ],
)
def test_X1_what_is_ours_and_malformed_is_refused_without_asking_the_database(presented, db, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(AuthenticationFailed):
        authenticate(f"Bearer {presented}")


def test_X4_a_wellformed_unknown_secret_costs_one_query(db, django_assert_num_queries):
    with django_assert_num_queries(1), pytest.raises(AuthenticationFailed):
        authenticate(f"Bearer {UNKNOWN}")


def test_a_good_secret_gives_its_owner_and_key_with_one_query(alice, restricted, django_assert_num_queries):
    with django_assert_num_queries(1):
        user, key = authenticate(f"Bearer {restricted.secret}")
    assert (user, key) == (alice, restricted.key)
    with django_assert_num_queries(0):
        assert key.owner is user
        assert user.email == "alice@example.com"


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "bEaReR {}", "Bearer   {}", "  Bearer {}  "])
def test_the_scheme_is_found_in_any_case_and_spacing(restricted, header):
    assert authenticate(header.format(restricted.secret))[1] == restricted.key


def test_X5_unknown_malformed_rotated_and_deleted_secrets_and_inactive_users_get_the_same_401(
    alice, restricted, unrestricted
):
    deactivated = UserFactory(is_active=False)
    User.objects.filter(pk=deactivated.pk).update(is_active=True)
    _, of_deactivated = ApiKey.objects.create_key(owner=deactivated, name="Key")
    User.objects.filter(pk=deactivated.pk).update(is_active=False)
    restricted.key.rotate()
    unrestricted.key.delete()
    dead = [UNKNOWN, "finta_x", restricted.secret, unrestricted.secret, of_deactivated]
    answers = [get("/accounts", f"Bearer {each}") for each in dead]
    assert {answer.status_code for answer in answers} == {401}
    assert len({str(answer_of(answer)) for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


def test_X4_every_wellformed_secret_that_is_not_good_costs_the_same_query(
    alice, restricted, unrestricted, django_assert_num_queries
):
    rotated = restricted.secret
    restricted.key.rotate()
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    for each in (UNKNOWN, rotated, unrestricted.secret):
        with django_assert_num_queries(1):
            assert ApiKey.objects.authenticate(each) is None


def test_K4_a_rotation_a_deletion_and_a_deactivation_count_from_the_next_request_on(alice, restricted):
    header = f"Bearer {restricted.secret}"
    assert get("/accounts", header).status_code == 200
    User.objects.update(is_active=False)
    assert get("/accounts", header).status_code == 401
    User.objects.update(is_active=True)
    assert get("/accounts", header).status_code == 200
    fresh = restricted.key.rotate()
    assert get("/accounts", header).status_code == 401
    assert get("/accounts", f"Bearer {fresh}").status_code == 200
    restricted.key.delete()
    assert get("/accounts", f"Bearer {fresh}").status_code == 401


def test_K4_a_scope_edit_counts_from_the_next_request_on(restricted, accounts):
    def names():
        return [each["name"] for each in get("/accounts", f"Bearer {restricted.secret}").json()]

    assert names() == ["Checking"]
    restricted.key.restrict_to([accounts.cash])
    assert names() == ["Cash"]
    restricted.key.share_all()
    assert names() == ["Cash", "Checking", "Savings"]


def test_the_digest_is_no_secret(restricted):
    """Who reads the table has nothing to present."""
    for presented in (bytes(restricted.key.digest).hex(), restricted.key.hint, f"finta_{restricted.key.digest.hex()}"):
        assert ApiKey.objects.authenticate(presented) is None


def test_other_ways_of_signing_in_work_beside_it(alice, bob, restricted, bobs_account):
    assert [each["name"] for each in get("/beside-session", f"Bearer {restricted.secret}").json()] == ["Checking"]
    basic = base64.b64encode(b"bob@example.com:correct horse battery staple").decode()
    browser = Client()
    browser.force_login(bob)
    # Others' requests are limited by the view's own queryset, which shows everything here.
    for response in (
        get("/beside-session", f"Basic {basic}"),
        get("/beside-session", "Bearer bob"),
        browser.get("/beside-session"),
    ):
        assert [each["name"] for each in response.json()] == ["Bob's", "Cash", "Checking", "Savings"]


def test_a_bad_secret_of_ours_is_refused_even_if_another_way_would_let_the_caller_in(bob, restricted):
    browser = Client()
    browser.force_login(bob)
    assert browser.get("/beside-session", HTTP_AUTHORIZATION=f"Bearer {UNKNOWN}").status_code == 401


def test_a_view_that_lets_anybody_in_shows_nothing_to_them(accounts):
    assert get("/open-to-all").json() == []


@pytest.mark.parametrize("path", ["/neither", "/unmarked-function", "/who-calls-inherited"])
@pytest.mark.parametrize("presented", ["good", UNKNOWN, "finta_x"])
def test_S7_a_view_without_scope_or_mark_fails_at_the_first_call_with_any_key(restricted, path, presented):
    presented = restricted.secret if presented == "good" else presented
    with pytest.raises(ImproperlyConfigured) as error:
        get(path, f"Bearer {presented}")
    assert re.match(r"tests.finta_keys.urls_made_up.(Neither|unmarked_function|WhoCallsInherited) ", str(error.value))
    assert "AccountScopeMixin" in str(error.value)
    assert '@unscoped("' in str(error.value)


def test_S7_a_marked_class_and_a_marked_function_answer(alice, restricted):
    header = f"Bearer {restricted.secret}"
    assert get("/who-calls", header).json() == {"email": "alice@example.com", "key": "Restricted"}
    assert get("/marked-function", header).json() == {"email": "alice@example.com"}


def test_S7_a_mark_is_not_inherited():
    assert is_scoped(urls_made_up.WhoCalls)
    assert not is_scoped(urls_made_up.WhoCallsInherited)
    with pytest.raises(ImproperlyConfigured, match=r"urls_made_up\.WhoCallsInherited authenticates by API key"):
        require_scope(urls_made_up.WhoCallsInherited)


def test_S7_a_subclass_can_say_so_itself():
    @unscoped("says who calls, in another way")
    class Marked(urls_made_up.WhoCalls):
        pass

    assert Marked.unscoped_reason == "says who calls, in another way"
    require_scope(Marked)


def test_S7_the_mixin_is_inherited():
    class More(urls_made_up.Accounts):
        pass

    assert issubclass(More, AccountScopeMixin)
    require_scope(More)


@pytest.mark.parametrize("reason", ["", " ", None, object, 1])
def test_S7_a_mark_needs_a_reason(reason):
    with pytest.raises(TypeError, match="takes the reason"):
        unscoped(reason)


def test_S7_a_mark_without_parentheses_is_refused():
    with pytest.raises(TypeError, match="takes the reason"):

        @unscoped
        class View:
            pass


def test_S7_a_plain_function_cannot_be_marked():
    with pytest.raises(TypeError, match="above @api_view"):

        @unscoped("below @api_view by mistake")
        def view(request):
            """Never called."""


def test_a_request_without_a_view_is_refused(restricted):
    request = Request(APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}"))
    request.parser_context = None
    with pytest.raises(ImproperlyConfigured, match="views of Django REST framework only"):
        ApiKeyAuthentication().authenticate(request)


def test_K2_an_error_while_a_secret_is_looked_up_does_not_report_it(restricted, monkeypatch, rf):
    from django.db import DatabaseError
    from django.views.debug import ExceptionReporter

    def fail(*args):
        raise DatabaseError("for the test")

    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.execute", fail)
    request = rf.get("/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    with pytest.raises(DatabaseError) as error:
        urls_made_up.Accounts.as_view()(request)
    reporter = ExceptionReporter(request, error.type, error.value, error.tb)
    for text in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert "for the test" in text
        assert restricted.secret[10:-4] not in text
