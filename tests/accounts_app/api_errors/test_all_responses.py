"""Headers and bodies of all responses."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from accounts_app import limiter
from accounts_app.api.views import MeView
from accounts_app.models import Account
from finta_keys.testing import comparable_parts
from tests.accounts_app.api_assertions import account_url, assert_error, manual_account
from tests.conftest import ApiClient


def responses(client, accounts, settings):
    """Responses of every status by name, from the views and from Django."""
    checking = account_url(accounts.checking.pk)
    yield "200", client.get("/v2/me")
    yield "health", client.get("/v2/health")
    yield "openapi", client.get("/v2/openapi.json")
    yield "201", client.send("POST", "/v2/accounts", manual_account())
    yield "400", client.get("/v2/accounts?status=x")
    yield "401", ApiClient().get("/v2/me")
    yield "404", client.get("/v2/nowhere")
    yield "405", client.put(checking)
    yield "413", client.generic("POST", "/v2/accounts", b"x" * 70_000, content_type="application/json")
    yield "415", client.generic("POST", "/v2/accounts", b"x", content_type="text/plain")
    with mock.patch.object(CursorWrapper, "execute", side_effect=OperationalError):
        yield "503", client.get("/v2/me")
    with mock.patch.object(MeView, "get", side_effect=RuntimeError):
        yield "500", client.get("/v2/me")
    for debug in (False, True):
        settings.DEBUG = debug
        yield f"a disallowed host, DEBUG {debug}", client.get("/v2/me", HTTP_HOST="evil.example")
        yield f"a host that is no host, DEBUG {debug}", client.get("/v2/me", HTTP_HOST="a b/../\r\n")
    settings.DEBUG = False
    settings.API_RATE_LIMIT = "1/minute"
    limiter._build_limiter.cache_clear()
    client.get("/v2/me")
    yield "429", client.get("/v2/me")


def test_responses_are_uncached_json(client, accounts, settings):
    for name, response in responses(client, accounts, settings):
        assert response["Content-Type"] == "application/json", name
        assert "Authorization" in [name.strip() for name in response["Vary"].split(",")], name
        assert response["Cache-Control"] == "private, no-store", name
        assert response["X-Content-Type-Options"] == "nosniff", name
        assert response.get("Content-Length", "none") in (str(len(response.content)), "none"), name
        assert response.json(), name
        assert not response.cookies, name
        if name.isdecimal():
            assert response.status_code == int(name)
        if name.startswith("a "):
            assert_error(response, 400, "BAD_REQUEST")


def test_204_has_no_body(client, accounts):
    response = client.delete(account_url(accounts.cash.pk))
    assert (response.status_code, response.content) == (204, b"")
    assert response["Vary"] == "Authorization"
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/xml", "image/*", "*/*", "", "application/json;q=0", "x", "\xff", ",;=", "a" * 9000],
)
def test_accept_header_is_ignored(client, accept):
    for url in ("/v2/me", "/v2/accounts?format=api", "/v2/nowhere", "/v2/health", "/v2/openapi.json"):
        expected, response = client.get(url), client.get(url, HTTP_ACCEPT=accept)
        assert response["Content-Type"] == "application/json"
        assert comparable_parts(response) == comparable_parts(expected)


def test_pages_keep_their_own_headers(client):
    response = client.get("/login")
    assert "Authorization" not in response.get("Vary", "")
    assert "no-store" not in response.get("Cache-Control", "") or "private" in response["Cache-Control"]
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["head", "get"])
def test_head_matches_get(client, method):
    for url in ("/v2/me", "/v2/accounts?status=x", "/v2/nowhere", "/v2/health"):
        head, get = client.head(url), client.get(url)
        assert head.content == b""
        assert comparable_parts(head)[0::2] == comparable_parts(get)[0::2]


def test_error_rolls_back(client, accounts):
    before = list(Account.objects.order_by("pk").values())
    for body in ({}, {"name": 1}, {"name": "x", "nope": 1}, []):
        assert client.send("PATCH", account_url(accounts.cash.pk), body).status_code == 400
        assert client.send("POST", "/v2/accounts", body).status_code == 400
    assert list(Account.objects.order_by("pk").values()) == before
