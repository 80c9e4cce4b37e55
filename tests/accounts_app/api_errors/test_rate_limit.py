"""The response 429."""

from __future__ import annotations

import pytest

from accounts_app import limiter
from finta_keys.testing import comparable_parts, make_key
from tests.accounts_app.api_assertions import assert_error, assert_unauthorized
from tests.conftest import ApiClient


def test_retry_after_is_accurate(client, settings, clock):
    settings.API_RATE_LIMIT = "2/minute"
    assert client.get("/v2/me").status_code == 200
    clock.shift(20)
    assert client.get("/v2/nowhere").status_code == 404  # every response to a valid key counts
    clock.shift(10.5)
    response = client.get("/v2/me")
    assert_error(response, 429, "RATE_LIMITED", "Too many requests")
    wait = response["Retry-After"]
    assert wait.isdecimal()
    assert int(wait) in (30, 31)
    clock.shift(int(wait) - 2)
    assert client.get("/v2/me").status_code == 429
    clock.shift(2.1)
    assert client.get("/v2/me").status_code == 200
    assert client.get("/v2/me").status_code == 429  # the second request is still in the window


def test_rejected_requests_do_not_extend_wait(client, settings, clock):
    settings.API_RATE_LIMIT = "1/minute"
    client.get("/v2/me")
    for _ in range(5):
        clock.shift(10)
        assert client.get("/v2/me").status_code == 429
    clock.shift(11)
    assert client.get("/v2/me").status_code == 200


def test_rate_limit_is_per_owner(restricted, unrestricted, bob, settings):
    _, secret = make_key(bob)
    settings.API_RATE_LIMIT = "2/minute"
    assert restricted.client.get("/v2/me").status_code == 200
    assert unrestricted.client.get("/v2/me").status_code == 200
    for client in (restricted.client, unrestricted.client, ApiClient(make_key(restricted.key.owner, "New")[1])):
        assert client.get("/v2/me").status_code == 429
    assert ApiClient(secret).get("/v2/me").status_code == 200
    # Requests without a valid key are not counted, and public endpoints are not limited.
    assert_unauthorized(ApiClient("finta_x").get("/v2/me"))
    assert ApiClient().get("/v2/health").status_code == 200


def test_rotation_keeps_rate_limit(unrestricted, settings):
    settings.API_RATE_LIMIT = "1/minute"
    unrestricted.client.get("/v2/me")
    assert ApiClient(unrestricted.key.rotate()).get("/v2/me").status_code == 429


@pytest.mark.rule("S4")
def test_no_rate_limit_headers_in_errors(client, settings):
    settings.API_RATE_LIMIT = "3/minute"
    first, second = client.get("/v2/me"), client.get("/v2/me")
    assert comparable_parts(first) == comparable_parts(second)
    assert not [name for name in first.headers if "rate" in name.lower() or "remaining" in name.lower()]


def test_unreachable_storage_disables_rate_limit(client, settings, caplog):
    settings.RATE_LIMIT_STORAGE, settings.API_RATE_LIMIT = "redis://127.0.0.1:1", "1/minute"
    assert [client.get("/v2/me").status_code for _ in range(3)] == [200] * 3
    assert [record.getMessage() for record in caplog.records if record.name == "accounts_app.limiter"] == [
        "The API is not limited: RATE_LIMIT_STORAGE cannot be reached."
    ]
    limiter._logged_at["The API is not limited"] -= 61
    client.get("/v2/me")
    assert len([record for record in caplog.records if record.name == "accounts_app.limiter"]) == 2
