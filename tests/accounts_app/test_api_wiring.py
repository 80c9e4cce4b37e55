"""Every URL under ``/v2`` requires a key and a scope (S7), and none manages keys (K6)."""

from __future__ import annotations

import json
from inspect import unwrap
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated

from accounts_app.api.base import JsonView, KeyView
from accounts_app.api.throttling import OwnerRateThrottle
from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.scoping import AccountScopeMixin, unscoped
from finta_keys.testing import EVERY_METHOD
from tests.accounts_app.api_assertions import assert_unauthorized

OPEN = {
    "health": "asks whether the database answers, and tells nothing of anybody",
    "openapi": "describes the API, and is the same for everybody",
    "api_docs": "describes the API to people",
}
UNSCOPED = {
    "key": "describes the calling key, no accounts",
    "me": "returns the owner of the key, no accounts",
    "not_found": "always returns 404",
}


def api_urls(patterns):
    """Yield the name, route and callback of every URL under ``/v2``."""
    for entry in patterns:
        if str(entry.pattern).startswith("v2"):
            yield from walk([entry], "/")


def walk(entries, prefix):
    for entry in entries:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from walk(entry.url_patterns, route)
        else:
            assert isinstance(entry, URLPattern)
            yield entry.name, route, entry.callback


def problems(patterns):
    """Return the problems of the views under ``/v2``, as sentences."""
    return [f"{route}: {fault}" for name, route, callback in api_urls(patterns) for fault in faults(name, callback)]


def faults(name, callback):
    view = getattr(callback, "cls", None)
    if view is None:
        yield "is no view of Django REST framework"
    elif name in OPEN:
        return
    else:
        yield from faults_of_a_key_view(name, view)


def faults_of_a_key_view(name, view):
    if list(view.authentication_classes) != [ApiKeyAuthentication]:
        yield "authenticates by something else than a key"
    if list(view.permission_classes) != [IsAuthenticated]:
        yield "lets in who has no key"
    if list(view.throttle_classes) != [OwnerRateThrottle]:
        yield "has no rate limit"
    if not issubclass(view, KeyView) or unwrap(view.initial) is not unwrap(KeyView.initial):
        yield "has an order of checks of its own"
    if not issubclass(view, AccountScopeMixin) and name not in UNSCOPED:
        yield "is not limited to the key's scope"


@pytest.fixture
def urls(accounts):
    """Every URL under ``/v2``, with the id of a visible account."""
    matches = list(api_urls(get_resolver().url_patterns))
    assert len(matches) >= 7
    made_up = {"not_found": "/v2/nowhere"}
    return {
        name: made_up.get(name, route.replace("<str:accountId>", str(accounts.cash.pk))) for name, route, _ in matches
    }


@pytest.mark.rule("S7")
def test_every_api_url_is_scoped_or_exempt():
    assert problems(get_resolver().url_patterns) == []


@pytest.mark.rule("S7")
def test_exempt_urls_exist_and_are_marked():
    matches = {name: callback for name, _, callback in api_urls(get_resolver().url_patterns)}
    assert matches.keys() >= {*OPEN, *UNSCOPED}
    for name, reason in UNSCOPED.items():
        assert matches[name].cls.unscoped_reason == reason
    for name in OPEN:
        assert not matches[name].cls.authentication_classes


class Unscoped(KeyView):
    queryset = Account.objects.all()


@unscoped("says so, but is not on the list")
class Marked(KeyView):
    pass


class WithoutKey(JsonView):
    pass


class WithSession(AccountScopeMixin, KeyView):
    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)


class ForAnybody(AccountScopeMixin, KeyView):
    permission_classes = (AllowAny,)


class Unlimited(AccountScopeMixin, KeyView):
    throttle_classes = ()


class OwnOrder(AccountScopeMixin, KeyView):
    def initial(self, request, *args, **kwargs):
        pass


class Good(AccountScopeMixin, KeyView):
    queryset = Account.objects.all()


def plain_view(request):
    return HttpResponse(Account.objects.all())


@pytest.mark.rule("S7")
@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (Unscoped.as_view(), "is not limited to the key's scope"),
        (Marked.as_view(), "is not limited to the key's scope"),
        (WithoutKey.as_view(), "authenticates by something else than a key"),
        (WithSession.as_view(), "authenticates by something else than a key"),
        (ForAnybody.as_view(), "lets in who has no key"),
        (Unlimited.as_view(), "has no rate limit"),
        (OwnOrder.as_view(), "has an order of checks of its own"),
        (plain_view, "is no view of Django REST framework"),
    ],
)
def test_unprotected_view_is_reported(view, fault):
    near = [path("v2", include([path("/new", view, name="new")]))]
    deep = [path("v2/more", include([path("/and", include([path("/more", view)]))]))]
    assert f"/v2/new: {fault}" in problems(near)
    assert f"/v2/more/and/more: {fault}" in problems(deep)


@pytest.mark.rule("S7")
def test_protected_view_is_not_reported():
    assert problems([path("v2/new", Good.as_view(), name="new"), path("elsewhere", plain_view)]) == []


@pytest.mark.rule("S7")
def test_view_without_scope_rejects_keys(rf, unrestricted):
    request = rf.get("/", headers={"authorization": f"Bearer {unrestricted.secret}"})
    assert Unscoped.as_view()(request).status_code == 401


@pytest.mark.rule("K6")
def test_api_rejects_sessions(alices_browser, urls):
    for name, url in urls.items():
        for method in EVERY_METHOD:
            response = alices_browser.generic(method, url)
            if name in OPEN:
                assert response.status_code in (200, 405)
            elif method == "HEAD":
                assert response.status_code == 401
            else:
                assert_unauthorized(response)


@pytest.mark.slow
@pytest.mark.rule("K6")
def test_api_never_changes_keys(unrestricted, restricted, alice, urls):
    def rows():
        # Creating an account adds it to the key's own scope (S5).
        keys = list(ApiKey.objects.order_by("pk").values())
        return [{k: v for k, v in key.items() if k != "last_used_at"} for key in keys], KeyAccountScope.objects.count()

    before = rows()
    body = {"name": "Mine", "owner": str(alice.pk), "share_all_accounts": True, "accounts": [], "secret": "finta_x"}
    guesses = [f"/v2/{word}" for word in ("keys", "keys/new", f"keys/{restricted.key.pk}", f"keys/{uuid4()}/rotate")]
    for url in (*urls.values(), *guesses):
        for method in EVERY_METHOD:
            for data in ("", json.dumps(body)):
                unrestricted.client.generic(method, url, data, content_type="application/json")
    assert rows() == before
