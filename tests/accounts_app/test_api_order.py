"""The order of checks: 401, 429, 403, 404, 405, 413 and 415, 400.

Each request fails two of them.
"""

from __future__ import annotations

import json

import pytest

from accounts_app.models import User
from finta_keys.testing import comparable_parts
from tests.accounts_app.api_assertions import account_url, assert_error, assert_unauthorized
from tests.conftest import ApiClient

HUGE = {"data": b"[" + b" " * 70_000, "content_type": "application/json"}
NO_JSON = {"data": b"nope", "content_type": "application/json"}
TEXT = {"data": b"nope", "content_type": "text/plain"}

UNKNOWN_PATHS = (
    "/v2",
    "/v2/",
    "/v2/nowhere",
    "/v2/me/",
    "/v2/accounts/",
    "/v2/accounts.json",
    "/v2/accounts%0A",
    "/v2/me%0A",
    "/v2/%0A",
    "/v2/accounts/a/b",
    "/v2//accounts",
    "/v2/ME",
    "/v2/health/",
    "/v2/openapi",
    "/v2/%FF",
)


@pytest.fixture
def exhausted_limit(settings, unrestricted):
    """Alice's client after her only request of this minute."""
    settings.API_RATE_LIMIT = "1/minute"
    assert unrestricted.client.get("/v2/me").status_code == 200
    return unrestricted.client


@pytest.fixture
def storage_mode_off(unrestricted, alice):
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    return unrestricted.client


def test_401_comes_before_429(exhausted_limit, alice):
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert_unauthorized(exhausted_limit.get("/v2/me"))


def test_401_comes_before_404_and_405(accounts):
    assert_unauthorized(ApiClient().put(account_url()))
    assert_unauthorized(ApiClient().put(account_url(accounts.checking.pk)))


def test_429_comes_before_403(exhausted_limit, alice):
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    assert_error(exhausted_limit.get("/v2/me"), 429, "RATE_LIMITED")


def test_429_comes_before_404_and_405(exhausted_limit):
    assert_error(exhausted_limit.put(account_url()), 429, "RATE_LIMITED")


def test_403_comes_before_404(storage_mode_off):
    for url in ("/v2/nowhere", account_url(), "/v2/transactions?bankAccountId=x"):
        assert_error(storage_mode_off.get(url), 403, "STORAGE_MODE_REQUIRED")


def test_403_comes_before_405_and_400(storage_mode_off):
    assert_error(storage_mode_off.put("/v2/accounts"), 403, "STORAGE_MODE_REQUIRED")
    assert_error(storage_mode_off.get("/v2/transactions?limit=0"), 403, "STORAGE_MODE_REQUIRED")


@pytest.mark.parametrize("method", ["PUT", "POST", "OPTIONS", "TRACE"])
def test_404_comes_before_405(unrestricted, method):
    for url in (account_url(), "/v2/transactions?bankAccountId=x", "/v2/nowhere"):
        assert_error(unrestricted.client.generic(method, url), 404, "NOT_FOUND")


@pytest.mark.parametrize("body", [HUGE, NO_JSON, TEXT])
def test_404_comes_before_413_415_and_400(unrestricted, body):
    assert_error(unrestricted.client.generic("PATCH", account_url(), **body), 404, "NOT_FOUND")


def test_filter_404_comes_before_400(unrestricted):
    assert_error(unrestricted.client.get("/v2/transactions?bankAccountId=x&limit=0"), 404, "NOT_FOUND")


@pytest.mark.parametrize("body", [HUGE, NO_JSON, TEXT])
def test_405_comes_before_413_415_and_400(unrestricted, accounts, body):
    for url in ("/v2/accounts", "/v2/me", account_url(accounts.cash.pk), "/v2/transactions?limit=0"):
        response = unrestricted.client.generic("PUT", url, **body)
        assert_error(response, 405, "METHOD_NOT_ALLOWED")


def test_413_and_415_come_before_400(unrestricted):
    post = unrestricted.client.generic
    assert_error(post("POST", "/v2/accounts", **HUGE), 413, "PAYLOAD_TOO_LARGE")
    assert_error(post("POST", "/v2/accounts", **TEXT), 415, "UNSUPPORTED_MEDIA_TYPE")
    wrong_type = {"data": json.dumps({"nope": 1}), "content_type": "application/xml"}
    assert_error(post("POST", "/v2/accounts", **wrong_type), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_413_comes_before_400_of_synced_account(unrestricted, accounts):
    url = account_url(accounts.checking.pk)
    assert_error(unrestricted.client.generic("PATCH", url, **HUGE), 413, "PAYLOAD_TOO_LARGE")
    assert_error(unrestricted.client.generic("PATCH", url, **TEXT), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_unknown_path_needs_a_key(unrestricted, path):
    assert_unauthorized(ApiClient().get(path))
    response = unrestricted.client.get(path)
    assert_error(response, 404, "NOT_FOUND")
    assert comparable_parts(response) == comparable_parts(unrestricted.client.get("/v2/nowhere-else"))


@pytest.mark.parametrize("path", ["/v2x", "/v2.json", "/v2%0A", "/v", "/v22/me"])
def test_similar_path_outside_api_is_a_page(unrestricted, path):
    for client in (ApiClient(), unrestricted.client):
        response = client.get(path)
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")


def test_public_endpoints_ignore_invalid_key(db):
    for client in (ApiClient(), ApiClient("finta_nonsense")):
        assert client.get("/v2/health").json() == {"status": "ok"}
        assert client.get("/v2/openapi.json").json()["openapi"].startswith("3.")
        assert client.post("/v2/health").status_code == 405
