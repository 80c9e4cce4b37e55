"""Caches never show the response to one caller to another."""

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control, cache_page
from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account, User
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.calls import call, make_request
from tests.finta_keys.test_decorators import MarkedHandler, MarkedScoped, forgets

pytestmark = pytest.mark.rule("S7.9")


@pytest.fixture(autouse=True)
def _cache(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tests"}}
    yield
    caches["default"].clear()


def names(rows):
    return sorted(row.name for row in rows)


class Names(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]

    def get(self, request):
        return Response(names(self.scoped(Account.objects.all())))

    def post(self, request):
        self.scoped(Account.objects.all())
        return Response(headers={"Cache-Control": "max-age=60"})

    @method_decorator(cache_control(public=True))
    def put(self, request):
        self.scoped(Account.objects.all())
        return JsonResponse({})


# --- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [Names, MarkedHandler, MarkedScoped])
def test_response_varies_by_authorization(alice, restricted, view):
    for response in (call(view, restricted.secret), call(view), call(view, user=alice), call(view, "finta_x")):
        assert response["Vary"] == "Accept, Authorization"


def test_view_with_one_renderer_varies_by_authorization(restricted):
    for secret in (restricted.secret, None):
        assert call(Names, secret, renderer_classes=[JSONRenderer])["Vary"] == "Authorization"


@pytest.mark.parametrize(("own", "expected"), [("Cookie", "Cookie, Authorization"), ("authorization", "authorization")])
def test_vary_of_the_handler_is_kept(restricted, own, expected):
    class Own(Names):
        renderer_classes = [JSONRenderer]

        def get(self, request):
            return Response(names(self.scoped(Account.objects.all())), headers={"Vary": own})

    for secret in (restricted.secret, None):
        assert call(Own, secret)["Vary"] == expected


def test_closed_view_does_not_vary(restricted):
    class Closed(APIView):
        authentication_classes = [ApiKeyAuthentication]
        renderer_classes = [JSONRenderer]

        def get(self, request):
            return Response([])

    assert not call(Closed, restricted.secret).has_header("Vary")


@pytest.mark.parametrize("view", [Names, MarkedHandler, MarkedScoped])
def test_response_to_a_key_is_private(alice, restricted, view):
    assert call(view, restricted.secret)["Cache-Control"] == "private, no-store"
    assert not call(view).has_header("Cache-Control")
    assert not call(view, user=alice).has_header("Cache-Control")


def test_function_view_is_private(restricted):
    with pytest.raises(ImproperlyConfigured):
        call(forgets, restricted.secret)
    assert call(forgets, restricted.secret, "options")["Cache-Control"] == "private, no-store"


def test_errors_are_private(restricted, accounts):
    assert call(Names, restricted.secret, "delete")["Cache-Control"] == "private, no-store"


def test_view_may_set_its_own_cache_control(restricted):
    assert call(Names, restricted.secret, "post")["Cache-Control"] == "max-age=60"
    assert call(Names, restricted.secret, "put")["Cache-Control"] == "public"


# --- cache_page() ----------------------------------------------------------------------------------------------------


def respond(view, secret=None, **options):
    response = view(make_request(secret, **options))
    response.render()
    return response


def test_cache_page_around_a_view_keeps_keys_apart(restricted, unrestricted):
    view = cache_page(60)(Names.as_view())
    for key, count in ((unrestricted, 3), (restricted, 1), (unrestricted, 3)):
        assert len(respond(view, key.secret).data) == count


@pytest.mark.rule("K4")
def test_cache_page_does_not_outlive_the_key(restricted):
    view = cache_page(60)(Names.as_view(permission_classes=[]))
    assert respond(view, restricted.secret).data == ["Checking"]
    restricted.key.restrict_to(Account.objects.filter(name="Cash"))
    assert respond(view, restricted.secret).data == ["Cash"]
    restricted.key.delete()
    assert respond(view, restricted.secret).status_code == 401


def test_cache_page_on_dispatch_keeps_keys_apart(restricted, unrestricted):
    view = method_decorator(cache_page(60), name="dispatch")(type("Cached", (Names,), {})).as_view()
    for key, count in ((unrestricted, 3), (restricted, 1), (unrestricted, 3)):
        assert len(respond(view, key.secret).data) == count


@pytest.mark.parametrize("make", [Response, lambda rows: JsonResponse(rows, safe=False)])
def test_cache_page_on_a_handler_raises(restricted, unrestricted, make):
    class Cached(Names):
        @method_decorator(cache_page(60))
        def get(self, request):
            return make(names(self.scoped(Account.objects.all())))

    for key in (restricted, unrestricted, restricted):
        with pytest.raises(ImproperlyConfigured, match=r"cache_page\(\) on GET of .*Cached .*scope_cache_key"):
            call(Cached, key.secret)


# --- scope_cache_key() -----------------------------------------------------------------------------------------------


class CacheKey(AccountScopeMixin, APIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    parts = ("report",)

    def unlimited_for(self, request):
        return getattr(request.user, "is_staff", False)

    def get(self, request):
        return Response(self.scope_cache_key(*self.parts))


def cache_key(secret=None, *parts, user=None):
    return call(CacheKey, secret, user=user, parts=parts).data


def test_cache_key_is_stable(alice, restricted):
    assert cache_key(restricted.secret, "report", 1) == cache_key(restricted.secret, "report", 1)
    assert cache_key(user=alice) == cache_key(user=alice)
    assert len(cache_key(restricted.secret)) < 200


def test_cache_key_differs_by_parts(restricted):
    parts = [(), ("report",), ("report", 1), ("report", "1"), ("report1",), (1, "report"), ("a", "b"), ("ab",)]
    assert len({cache_key(restricted.secret, *part) for part in parts}) == len(parts)


def test_cache_key_differs_by_caller(alice, bob, restricted, unrestricted, accounts):
    twin = make_key(alice, "Twin", [accounts.checking])[1]
    secrets = [restricted.secret, unrestricted.secret, twin]
    keys = [*(cache_key(secret) for secret in secrets), cache_key(user=alice), cache_key(user=bob), cache_key()]
    assert len(set(keys)) == len(keys)


def test_cache_key_of_unlimited_caller_differs(alice, bob):
    before = cache_key(user=bob)
    User.objects.update(is_staff=True)
    assert cache_key(user=User.objects.get(pk=bob.pk)) != before


def test_cache_key_changes_with_the_scope(restricted, accounts):
    keys = [cache_key(restricted.secret)]
    restricted.key.restrict_to([accounts.cash])
    keys.append(cache_key(restricted.secret))
    restricted.key.share_all()
    keys.append(cache_key(restricted.secret))
    assert len(set(keys)) == 3
    restricted.key.restrict_to([accounts.checking])
    assert cache_key(restricted.secret) == keys[0]


def test_cache_key_changes_with_ownership(alice, bob, restricted, unrestricted, accounts):
    before = [cache_key(restricted.secret), cache_key(unrestricted.secret), cache_key(user=alice)]
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    after = [cache_key(restricted.secret), cache_key(unrestricted.secret), cache_key(user=alice)]
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_cache_key_changes_with_new_accounts(alice, unrestricted, restricted):
    before = cache_key(unrestricted.secret), cache_key(restricted.secret)
    AccountFactory(owner=alice)
    assert cache_key(unrestricted.secret) != before[0]
    assert cache_key(restricted.secret) == before[1]


@pytest.mark.rule("S7.6")
def test_cache_key_counts_as_scoping(restricted):
    """A cached response needs no other query."""
    assert call(CacheKey, restricted.secret).status_code == 200
