"""``get_key()`` outside Django REST framework, and the second header that may present a key."""

import pytest
from django.http import JsonResponse
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account
from finta_keys import secret as secrets
from finta_keys.authentication import ApiKeyAuthentication, get_key
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin
from tests.conftest import ApiClient
from tests.finta_keys.calls import call, make_request
from tests.finta_keys.urls_example import BearerTokens


class Names(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]

    def get(self, request):
        return Response(sorted(account.name for account in self.scoped(Account.objects.all())))


class ReadsHeaders(APIView):
    """A public view that does not open to keys."""

    authentication_classes = [ApiKeyAuthentication, BearerTokens]

    def get(self, request):
        return Response([request.headers.get(name) for name in ("Authorization", "X-API-Key")])


def plain_view(request):
    key = get_key(request)
    rows = key.scoped(Account.objects.all()) if key else []
    return JsonResponse({"key": key and key.name, "rows": [row.name for row in rows], "user": str(request.user)})


class TenantMiddleware:
    """Looks up the key before the view does."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.tenant = get_key(request)
        return self.get_response(request)


@pytest.fixture
def _urls(settings):
    settings.ROOT_URLCONF = (path("plain", plain_view), path("names", Names.as_view()))


@pytest.mark.usefixtures("_urls")
def test_plain_view_gets_the_key(restricted, accounts):
    assert restricted.client.get("/plain").json() == {
        "key": "Restricted",
        "rows": ["Checking"],
        "user": "AnonymousUser",
    }
    assert ApiClient().get("/plain").json()["key"] is None


@pytest.mark.usefixtures("_urls")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_unsafe_requests_have_their_key_too(restricted, method):
    assert restricted.client.send(method, "/plain").json()["key"] == "Restricted"


@pytest.mark.rule("T3")
@pytest.mark.usefixtures("_urls")
def test_get_key_records_the_use(restricted):
    assert ApiKey.objects.get(pk=restricted.key.pk).last_used_at is None
    restricted.client.get("/plain")
    assert ApiKey.objects.get(pk=restricted.key.pk).last_used_at is not None


def test_get_key_twice_costs_one_query(restricted, django_assert_num_queries):
    request = make_request(restricted.secret)
    with django_assert_num_queries(1):
        assert get_key(request) is get_key(request)
        assert get_key(request) == restricted.key


def test_get_key_for_unknown_secret_costs_one_query(db, django_assert_num_queries):
    request = make_request(secrets.generate())
    with django_assert_num_queries(1):
        assert get_key(request) is None
        assert get_key(request) is None


@pytest.mark.parametrize("secret", [None, "finta_x", "some.other.token"])
def test_get_key_without_well_formed_secret_costs_nothing(db, django_assert_num_queries, secret):
    with django_assert_num_queries(0):
        assert get_key(make_request(secret)) is None


@pytest.mark.rule("K4")
def test_get_key_reads_again_for_the_next_request(restricted):
    assert get_key(make_request(restricted.secret)) == restricted.key
    restricted.key.delete()
    assert get_key(make_request(restricted.secret)) is None


@pytest.mark.usefixtures("_urls")
@pytest.mark.parametrize("path", ["/plain", "/names"])
def test_middleware_and_view_share_one_query(restricted, accounts, settings, django_assert_num_queries, path):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        f"{__name__}.TenantMiddleware",
    ]
    restricted.client.get(path)  # The first use is written.
    with django_assert_num_queries(2):
        assert "Checking" in restricted.client.get(path).content.decode()


def test_get_key_does_not_set_the_user(alice, bob, restricted):
    request = make_request(restricted.secret, user=bob)
    assert get_key(request).owner == alice
    assert request.user == bob


@pytest.mark.rule("X5")
def test_get_key_rejects_keys_of_deactivated_owners(alice, restricted):
    alice.is_active = False
    alice.save()
    assert get_key(make_request(restricted.secret)) is None


# --- FINTA_KEYS_EXTRA_HEADER -----------------------------------------------------------------------------------------


@pytest.fixture
def extra_header(settings):
    settings.FINTA_KEYS_EXTRA_HEADER = "X-API-Key"


def by_headers(view, authorization=None, extra=None, **options):
    headers = {"authorization": authorization, "x-api-key": extra}
    return call(view, headers={name: value for name, value in headers.items() if value is not None}, **options)


@pytest.mark.usefixtures("extra_header")
@pytest.mark.parametrize("padded", ["{}", " {} ", "\t{}"])
def test_extra_header_presents_a_key(restricted, accounts, padded):
    extra = padded.format(restricted.secret)
    assert by_headers(Names, extra=extra).data == ["Checking"]
    assert by_headers(Names, "Basic proxy", extra).data == ["Checking"]
    assert by_headers(Names, "Bearer token-of-the-proxy", extra).data == ["Checking"]
    assert get_key(make_request(**{"x-api-key": restricted.secret})) == restricted.key


def test_extra_header_is_off_by_default(restricted):
    assert by_headers(Names, extra=restricted.secret).data == []
    assert "X-API-Key" not in call(Names, restricted.secret)["Vary"]


@pytest.mark.rule("S7.9")
@pytest.mark.usefixtures("extra_header")
def test_vary_names_the_extra_header(alice, restricted):
    for response in (by_headers(Names, extra=restricted.secret), call(Names), call(Names, user=alice)):
        assert {"Authorization", "X-API-Key"} <= set(response["Vary"].split(", "))


@pytest.mark.usefixtures("extra_header")
def test_two_different_keys_are_rejected(restricted, unrestricted, accounts):
    for other in (unrestricted.secret, "finta_x", restricted.secret[:-1]):
        for pair in ((restricted.secret, other), (other, restricted.secret)):
            response = by_headers(Names, f"Bearer {pair[0]}", pair[1])
            assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.usefixtures("extra_header")
def test_same_key_twice_is_accepted(restricted, accounts):
    assert by_headers(Names, f"Bearer {restricted.secret}", restricted.secret).data == ["Checking"]


@pytest.mark.usefixtures("extra_header")
@pytest.mark.parametrize("value", ["", "other", "FINTA_x", "Bearer finta_x", "\xff"])
def test_foreign_value_in_extra_header_is_ignored(alice, restricted, accounts, value):
    assert by_headers(Names, f"Bearer {restricted.secret}", value).data == ["Checking"]
    assert len(by_headers(Names, extra=value, user=alice).data) == 3


@pytest.mark.rule("S7.2")
@pytest.mark.usefixtures("extra_header")
def test_invalid_key_in_extra_header_is_rejected(alice, accounts):
    for value in ("finta_x", secrets.generate()):
        response = by_headers(Names, extra=value, user=alice)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.rule("S7.1")
@pytest.mark.usefixtures("extra_header")
def test_closed_view_hides_both_headers(restricted):
    both = by_headers(ReadsHeaders, f"Bearer {restricted.secret}", restricted.secret)
    assert (both.status_code, both.data) == (200, [None, None])
    assert by_headers(ReadsHeaders, extra=restricted.secret).data == [None, None]
    assert by_headers(ReadsHeaders, "Basic proxy", restricted.secret).data == ["Basic proxy", None]


@pytest.mark.rule("K6")
@pytest.mark.usefixtures("extra_header")
def test_key_in_extra_header_beats_the_session(bob, restricted, accounts, bobs_account):
    assert by_headers(Names, extra=restricted.secret, user=bob).data == ["Checking"]
