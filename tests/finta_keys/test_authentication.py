"""``ApiKeyAuthentication``: None, a 401, or the owner and the key."""

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncRequestFactory, Client
from rest_framework.exceptions import AuthenticationFailed

from accounts_app.models import User
from finta_keys import authentication
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.key_headers import presented_secrets
from finta_keys.models import ApiKey
from finta_keys.request_state import state_of
from finta_keys.scoping import unscoped
from finta_keys.testing import comparable_parts
from tests.factories import UserFactory
from tests.finta_keys import urls_example
from tests.finta_keys.calls import call, make_request

pytestmark = pytest.mark.urls("tests.finta_keys.urls_example")

UNKNOWN = "finta_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0sa1ru"  # fixed, because it is part of test names


def authenticate(header, view=urls_example.Accounts):
    """Call the authentication class alone, as if the gate of ``view`` were running."""
    request = make_request(**({} if header is None else {"authorization": header}))
    view = view()
    view.setup(request)
    state = state_of(request)
    state.open_view, state.secrets = view, presented_secrets(request)
    return ApiKeyAuthentication().authenticate(view.initialize_request(request))


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
def test_foreign_credentials_are_left_to_other_classes(header, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert authenticate(header) is None


@pytest.mark.rule("X1")
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
def test_malformed_secret_is_rejected_without_query(presented, db, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(AuthenticationFailed):
        authenticate(f"Bearer {presented}")


@pytest.mark.rule("X4")
def test_unknown_secret_costs_one_query(db, django_assert_num_queries):
    with django_assert_num_queries(1), pytest.raises(AuthenticationFailed):
        authenticate(f"Bearer {UNKNOWN}")


def test_valid_secret_returns_owner_and_key(alice, restricted, django_assert_num_queries):
    with django_assert_num_queries(1):
        user, key = authenticate(f"Bearer {restricted.secret}")
    assert (user, key) == (alice, restricted.key)
    with django_assert_num_queries(0):
        assert key.owner is user
        assert user.email == "alice@example.com"


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "bEaReR {}", "Bearer   {}", "  Bearer {}  "])
def test_scheme_matches_in_any_case_and_spacing(restricted, header):
    assert authenticate(header.format(restricted.secret))[1] == restricted.key


@pytest.mark.rule("X5")
def test_all_rejected_secrets_get_the_same_401(alice, restricted, unrestricted):
    deactivated = UserFactory()
    _, of_deactivated = ApiKey.objects.create_key(owner=deactivated, name="Key")
    User.objects.filter(pk=deactivated.pk).update(is_active=False)
    restricted.key.rotate()
    unrestricted.key.delete()
    rejected = [UNKNOWN, "finta_x", restricted.secret, unrestricted.secret, of_deactivated]
    responses = [get("/accounts", f"Bearer {secret}") for secret in rejected]
    assert {response.status_code for response in responses} == {401}
    assert len({str(comparable_parts(response)) for response in responses}) == 1
    assert responses[0].headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.rule("X4")
@pytest.mark.rule("X5")
def test_all_rejected_secrets_cost_one_query(alice, restricted, unrestricted, django_assert_num_queries):
    rotated = restricted.secret
    restricted.key.rotate()
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    for secret in (UNKNOWN, rotated, unrestricted.secret):
        with django_assert_num_queries(1):
            assert ApiKey.objects.authenticate(secret) is None


@pytest.mark.rule("X4")
@pytest.mark.parametrize("presented", [UNKNOWN, "finta_malformed", None])
def test_authentication_never_sleeps(restricted, monkeypatch, presented):
    def sleep(seconds):
        raise AssertionError("A delay would not hide which secrets are known.")

    monkeypatch.setattr("time.sleep", sleep)
    ApiKey.objects.authenticate(presented or restricted.secret)


@pytest.mark.rule("K4")
def test_changes_to_keys_take_effect_at_once(alice, restricted):
    header = f"Bearer {restricted.secret}"
    assert get("/accounts", header).status_code == 200
    User.objects.update(is_active=False)
    assert get("/accounts", header).status_code == 401
    User.objects.update(is_active=True)
    assert get("/accounts", header).status_code == 200
    secret = restricted.key.rotate()
    assert get("/accounts", header).status_code == 401
    assert get("/accounts", f"Bearer {secret}").status_code == 200
    restricted.key.delete()
    assert get("/accounts", f"Bearer {secret}").status_code == 401


@pytest.mark.rule("K4")
def test_scope_edit_takes_effect_at_once(restricted, accounts):
    def names():
        return [row["name"] for row in get("/accounts", f"Bearer {restricted.secret}").json()]

    assert names() == ["Checking"]
    restricted.key.restrict_to([accounts.cash])
    assert names() == ["Cash"]
    restricted.key.share_all()
    assert names() == ["Cash", "Checking", "Savings"]


def test_digest_and_hint_do_not_authenticate(restricted):
    for presented in (bytes(restricted.key.digest).hex(), restricted.key.hint, f"finta_{restricted.key.digest.hex()}"):
        assert ApiKey.objects.authenticate(presented) is None


# --- views that open to keys -----------------------------------------------------------------------------------------


@pytest.mark.rule("S7.3")
def test_other_authentication_classes_limit_to_own_accounts(alice, bob, restricted, bobs_account):
    assert [row["name"] for row in get("/beside-session", f"Bearer {restricted.secret}").json()] == ["Checking"]
    basic = base64.b64encode(b"bob@example.com:correct horse battery staple").decode()
    browser = Client()
    browser.force_login(bob)
    for response in (
        get("/beside-session", f"Basic {basic}"),
        get("/beside-session", "Bearer bob"),
        browser.get("/beside-session"),
    ):
        assert [row["name"] for row in response.json()] == ["Bob's"]


@pytest.mark.rule("S7.2")
def test_invalid_key_is_rejected_despite_session(bob, restricted):
    browser = Client()
    browser.force_login(bob)
    response = browser.get("/beside-session", HTTP_AUTHORIZATION=f"Bearer {UNKNOWN}")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.rule("S7.3")
def test_public_scoped_view_shows_nothing(accounts):
    assert get("/open-to-all").json() == []


# --- views that do not open to keys ----------------------------------------------------------------------------------

CLOSED = ["/neither", "/unmarked-function", "/who-calls-inherited"]


@pytest.fixture
def logged(monkeypatch, caplog):
    """Start with no closed view logged, and return the log."""
    monkeypatch.setattr(authentication, "_logged", set())
    return caplog


@pytest.mark.rule("S7.1")
@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("presented", ["valid", UNKNOWN, "finta_x"])
def test_closed_view_responds_as_without_key(restricted, path, presented, django_assert_num_queries):
    secret = restricted.secret if presented == "valid" else presented
    with django_assert_num_queries(0):
        assert comparable_parts(get(path, f"Bearer {secret}")) == comparable_parts(get(path))


@pytest.mark.rule("S7.1")
def test_closed_view_leaves_other_headers(restricted):
    request = make_request(restricted.secret, **{"x-other": "kept"})
    assert request.headers["Authorization"]  # cached before
    urls_example.WhoCallsInherited.as_view()(request)
    assert "Authorization" not in request.headers
    assert "HTTP_AUTHORIZATION" not in request.META
    assert request.headers["X-Other"] == "kept"


@pytest.mark.rule("S7.1")
def test_closed_view_removes_key_from_asgi_scope(restricted):
    headers = {"authorization": f"Bearer {restricted.secret}", "x-other": "kept"}
    request = AsyncRequestFactory().get("/neither", headers=headers)
    urls_example.WhoCallsInherited.as_view()(request)
    names = [name.lower() for name, _ in request.scope["headers"]]
    assert b"authorization" not in names
    assert b"x-other" in names


@pytest.mark.rule("S7.1")
def test_closed_view_hides_the_key_from_later_classes(restricted):
    """A class that claims every Bearer token would reject the key at a public view."""

    class RejectsUnknownTokens(urls_example.BearerTokens):
        def authenticate_credentials(self, key):
            raise AuthenticationFailed

    classes = [ApiKeyAuthentication, RejectsUnknownTokens]
    response = call(urls_example.WhoCallsInherited, restricted.secret, authentication_classes=classes)
    assert (response.status_code, response.data) == (200, {"email": None, "key": None})
    assert call(urls_example.WhoCallsInherited, "other", authentication_classes=classes).status_code == 401


@pytest.mark.rule("S7.1")
def test_closed_view_is_logged_once(restricted, logged):
    for _ in range(2):
        call(urls_example.WhoCallsInherited, restricted.secret)
        call(urls_example.WhoCallsInherited)
    (record,) = logged.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "tests.finta_keys.urls_example.WhoCallsInherited does not open to API keys, so the key of a request was "
        'ignored. To open it, add AccountScopeMixin or mark it @unscoped("reason").'
    )
    call(urls_example.Neither, restricted.secret)
    assert "urls_example.Neither does not open" in logged.records[1].getMessage()


@pytest.mark.rule("S7.1")
def test_view_that_authenticates_too_early_ignores_the_key(restricted, accounts, logged):
    class Early(urls_example.OneAccount):
        def initialize_request(self, request, *args, **kwargs):
            request = super().initialize_request(request, *args, **kwargs)
            _ = request.user
            return request

    for _ in range(2):
        assert call(Early, restricted.secret, kwargs={"pk": accounts.checking.pk}).status_code == 401
    (record,) = logged.records
    assert "Early authenticated a request before initial(), so its API key was ignored." in record.getMessage()


@pytest.mark.rule("K2")
def test_log_of_a_closed_view_shows_no_secret(restricted, logged):
    call(urls_example.WhoCallsInherited, restricted.secret)
    assert restricted.secret[10:-4] not in logged.text


@pytest.mark.rule("S7.1")
def test_view_called_by_an_open_view_stays_closed(restricted):
    """A handler that calls another view does not open that view."""

    @unscoped("calls another view")
    class Delegates(urls_example.WhoCalls):
        def get(self, request):
            return urls_example.WhoCallsInherited.as_view()(request._request)

    assert call(Delegates, restricted.secret).data == {"email": None, "key": None}


def test_request_without_a_view_stays_closed(restricted):
    view = urls_example.Accounts()
    request = make_request(restricted.secret)
    view.setup(request)
    drf_request = view.initialize_request(request)
    drf_request.parser_context = None
    assert ApiKeyAuthentication().authenticate(drf_request) is None


def test_authenticating_an_http_request_raises(restricted):
    with pytest.raises(ImproperlyConfigured, match=r"call finta_keys\.authentication\.get_key\(request\)"):
        ApiKeyAuthentication().authenticate(make_request(restricted.secret))


@pytest.mark.rule("K2")
def test_error_report_of_a_lookup_hides_the_secret(restricted, monkeypatch):
    from django.db import DatabaseError
    from django.views.debug import ExceptionReporter

    def fail(*args):
        raise DatabaseError("for the test")

    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.fetch", fail)
    request = make_request(restricted.secret)
    with pytest.raises(DatabaseError) as error:
        urls_example.Accounts.as_view()(request)
    reporter = ExceptionReporter(request, error.type, error.value, error.tb)
    for text in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert "for the test" in text
        assert restricted.secret[10:-4] not in text
