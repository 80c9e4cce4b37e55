"""The error responses::

    {"error": {"code": "…", "message": "…"}}

Only a 401 differs: ``{"error": "Missing or invalid Authorization header"}``.
"""

from __future__ import annotations

import datetime as dt
import logging
from unittest import mock

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper
from rest_framework.response import Response

from accounts_app import limiter
from accounts_app.api.views import HealthView, MeView
from accounts_app.models import Account, User
from finta_keys import secret as secrets
from finta_keys.models import ApiKey
from finta_keys.testing import answer_of, make_key
from tests.accounts_app.api_assertions import account_url, assert_error, assert_unauthorized, manual_account
from tests.conftest import ApiClient

NOON = dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC)
DETAILS = "host db1.internal refused user finta"


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


def call(authorization, url="/v2/me", **extra):
    """Send this Authorization header."""
    return ApiClient().get(url, HTTP_AUTHORIZATION=authorization, **extra)


# 401


@pytest.fixture
def bad_secrets(alice, bob, accounts):
    """Invalid secrets by reason."""
    rotated, old = make_key(alice, "Rotated")
    rotated.rotate()
    deleted, gone = make_key(alice, "Deleted")
    deleted.delete()
    _, inactive = make_key(bob, "Inactive")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    unknown = secrets.generate()
    return {
        "unknown": unknown,
        "rotated": old,
        "deleted": gone,
        "of an inactive owner": inactive,
        "mistyped": unknown[:-1] + ("A" if unknown[-1] != "A" else "B"),
        "malformed": "finta_x",
        "prefix only": "finta_",
        "another product's": "sk_live_" + "x" * 40,
    }


@pytest.mark.rule("X5")
@pytest.mark.parametrize("url", ["/v2/me", "/v2/accounts", "/v2/nowhere", "/v2/accounts/x"])
def test_all_invalid_secrets_get_identical_401(bad_secrets, url):
    for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
        none = ApiClient().generic(method, url)
        assert none.status_code == 401
        for reason, presented in bad_secrets.items():
            assert answer_of(ApiClient(presented).generic(method, url)) == answer_of(none), reason


def test_401_response(db):
    response = ApiClient().get("/v2/me")
    assert_unauthorized(response)
    assert response.content == b'{"error":"Missing or invalid Authorization header"}'
    assert response["Content-Type"] == "application/json"


HEADERS = {
    "empty": "",
    "blank": "   ",
    "no scheme": "{good}",
    "scheme only": "Bearer",
    "scheme and a space": "Bearer ",
    "two headers, joined": "Bearer {good},Bearer {good}",
    "two headers, joined with a space": "Bearer {good}, Bearer {good}",
    "two secrets": "Bearer {good} {good}",
    "Basic": "Basic {good}",
    "Token": "Token {good}",
    "quoted": 'Bearer "{good}"',
    "followed by more": "Bearer {good}x",
    "in capitals": "Bearer FINTA_",
    "bytes that are not text": "Bearer \xff\xfe\x80",
    "bytes that are not text, after the prefix": "Bearer finta_\xff\xfe",
    "UTF-8 read as Latin-1": "Bearer finta_\xe2\x80\xa6",
    "NUL": "Bearer finta_\0",
    "a line break": "Bearer {good}\nX-Other: 1",
    "huge": "Bearer finta_" + "x" * 1_000_000,
    "huge scheme": "B" * 100_000 + " {good}",
    "commas": "," * 1000,
    "digits of another script": "Bearer finta_" + "\u0661" * 54,
}


@pytest.mark.parametrize("header", HEADERS)
def test_malformed_authorization_header_gets_401(unrestricted, header):
    response = call(HEADERS[header].replace("{good}", unrestricted.secret))
    assert_unauthorized(response)
    assert answer_of(response) == answer_of(ApiClient().get("/v2/me"))


@pytest.mark.parametrize(
    "header", ["Bearer {good}", "bearer {good}", "BEARER {good}", "Bearer  {good}", " Bearer {good} "]
)
def test_bearer_scheme_ignores_case_and_blanks(unrestricted, header):
    assert call(header.replace("{good}", unrestricted.secret)).status_code == 200


def test_secret_is_read_only_from_header(unrestricted):
    good = unrestricted.secret
    for url in (f"/v2/me?access_token={good}", f"/v2/me?key={good}", f"/v2/me?authorization=Bearer%20{good}"):
        assert_unauthorized(ApiClient().get(url))
    for headers in ({"x-api-key": good}, {"cookie": f"authorization=Bearer {good}"}, {"proxy-authorization": good}):
        assert_unauthorized(ApiClient().get("/v2/me", headers=headers))


@pytest.mark.rule("K4")
def test_changes_apply_to_next_request(unrestricted, alice):
    assert unrestricted.client.get("/v2/me").status_code == 200
    new = ApiClient(unrestricted.key.rotate())
    assert_unauthorized(unrestricted.client.get("/v2/me"))
    assert new.get("/v2/me").status_code == 200
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert_unauthorized(new.get("/v2/me"))
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert new.get("/v2/me").status_code == 200
    unrestricted.key.delete()
    assert_unauthorized(new.get("/v2/me"))


# 403


@pytest.mark.rule("M3")
def test_storage_mode_off_returns_403(unrestricted, restricted, alice, accounts):
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    before = list(ApiKey.objects.values("pk", "name", "digest", "share_all_accounts", "rotation"))
    urls = ["/v2/me", "/v2/accounts", account_url(accounts.checking.pk), "/v2/transactions", "/v2/nowhere", "/v2"]
    for url in urls:
        for client in (unrestricted.client, restricted.client):
            for method in ("GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"):
                assert_error(client.generic(method, url), 403, "STORAGE_MODE_REQUIRED", "Storage Mode is off")
    assert_unauthorized(ApiClient().get("/v2/me"))
    assert list(ApiKey.objects.values("pk", "name", "digest", "share_all_accounts", "rotation")) == before
    User.objects.filter(pk=alice.pk).update(storage_mode=True)
    assert unrestricted.client.get("/v2/me").status_code == 200


@pytest.mark.rule("M3")
def test_storage_mode_is_per_owner(unrestricted, bob):
    _, secret = make_key(bob)
    User.objects.filter(pk=bob.pk).update(storage_mode=False)
    assert unrestricted.client.get("/v2/me").status_code == 200
    assert ApiClient(secret).get("/v2/me").status_code == 403


# 429


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


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
    assert answer_of(first) == answer_of(second)
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


# 500 and 503


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", [RuntimeError, IntegrityError, DataError, KeyError, PermissionDenied])
def test_500_has_no_details_with_debug(client, settings, monkeypatch, caplog, kind, debug):
    settings.DEBUG = debug
    monkeypatch.setattr(MeView, "get", mock.Mock(side_effect=kind(DETAILS)))
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response.json()["error"]["message"] == "Something went wrong on our side."
    assert DETAILS in caplog.text  # in the log only


@pytest.mark.parametrize("debug", [False, True])
def test_unserializable_response_is_a_500(client, settings, monkeypatch, debug):
    settings.DEBUG = debug
    monkeypatch.setattr(MeView, "get", lambda *args: Response({"x": object()}))
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("debug", [False, True])
def test_middleware_error_is_a_500(client, settings, monkeypatch, debug):
    settings.DEBUG = debug
    fail = mock.Mock(side_effect=RuntimeError(DETAILS))
    monkeypatch.setattr("django.middleware.clickjacking.XFrameOptionsMiddleware.process_response", fail)
    response = client.get("/v2/me")
    assert_error(response, 500, "INTERNAL_ERROR")
    assert response["Vary"] == "Authorization"


@pytest.mark.parametrize("error", [SuspiciousOperation(DETAILS), RequestDataTooBig(DETAILS)])
def test_suspicious_operation_is_a_400(client, monkeypatch, error):
    monkeypatch.setattr(MeView, "get", mock.Mock(side_effect=error))
    response = client.get("/v2/me")
    assert_error(response, 400, "BAD_REQUEST")
    assert DETAILS not in response.content.decode()


@pytest.mark.parametrize("error", [OperationalError(DETAILS), InterfaceError(DETAILS)])
@pytest.mark.parametrize("url", ["/v2/me", "/v2/accounts", "/v2/health", "/v2/nowhere"])
def test_unavailable_database_is_a_503(client, url, error):
    with mock.patch.object(CursorWrapper, "execute", side_effect=error):
        response = client.get(url)
    assert_error(response, 503, "UNAVAILABLE")
    assert response["Retry-After"] == "5"
    assert DETAILS not in response.content.decode()


def test_health_recovers_with_database(client):
    assert client.get("/v2/health").status_code == 200
    with mock.patch.object(CursorWrapper, "execute", side_effect=OperationalError(DETAILS)):
        assert client.get("/v2/health").status_code == 503
    assert client.get("/v2/health").json() == {"status": "ok"}


def test_line_break_in_path_is_escaped(db, monkeypatch, caplog):
    caplog.set_level(logging.ERROR, "accounts_app.api.errors")
    monkeypatch.setattr(HealthView, "get", mock.Mock(side_effect=RuntimeError(DETAILS)))
    ApiClient().get("/v2/health")
    [record] = [record for record in caplog.records if record.name == "accounts_app.api.errors"]
    assert record.getMessage() == "GET '/v2/health' failed"


# All responses


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
        assert answer_of(response) == answer_of(expected)


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
        assert answer_of(head)[0::2] == answer_of(get)[0::2]


def test_error_rolls_back(client, accounts):
    before = list(Account.objects.order_by("pk").values())
    for body in ({}, {"name": 1}, {"name": "x", "nope": 1}, []):
        assert client.send("PATCH", account_url(accounts.cash.pk), body).status_code == 400
        assert client.send("POST", "/v2/accounts", body).status_code == 400
    assert list(Account.objects.order_by("pk").values()) == before
