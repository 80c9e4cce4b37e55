"""The responses 401 and 403."""

from __future__ import annotations

import pytest

from accounts_app.models import User
from finta_keys.models import ApiKey
from finta_keys.testing import comparable_parts, make_key
from tests.accounts_app.api_assertions import account_url, assert_error, assert_unauthorized
from tests.accounts_app.api_errors.helpers import call
from tests.conftest import ApiClient

# 401


@pytest.mark.rule("X5")
@pytest.mark.parametrize("url", ["/v2/me", "/v2/accounts", "/v2/nowhere", "/v2/accounts/x"])
def test_all_invalid_secrets_get_identical_401(bad_secrets, url):
    for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
        none = ApiClient().generic(method, url)
        assert none.status_code == 401
        for reason, presented in bad_secrets.items():
            assert comparable_parts(ApiClient(presented).generic(method, url)) == comparable_parts(none), reason


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
    assert comparable_parts(response) == comparable_parts(ApiClient().get("/v2/me"))


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
