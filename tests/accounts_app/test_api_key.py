"""GET /v2/key, and read-only keys at the API."""

from datetime import date

import pytest

from accounts_app.models import Account, User
from finta_keys.testing import comparable_parts, make_key
from tests.accounts_app.api_assertions import account_url, assert_error, manual_account
from tests.conftest import ApiClient

PATHS = ["/v2", "/v2/me", "/v2/key", "/v2/accounts", "/v2/transactions", "/v2/nowhere", "/v2/health/"]


@pytest.fixture
def reader(alice, accounts):
    _, secret = make_key(alice, "Reader", [accounts.cash], read_only=True, expires_at=date(2199, 3, 31))
    User.objects.filter(pk=alice.pk).update(storage_mode=True)
    return ApiClient(secret)


def test_key_describes_itself(restricted):
    assert restricted.client.get("/v2/key").json() == {
        "id": str(restricted.key.pk),
        "name": "Restricted",
        "hint": restricted.key.hint,
        "permission": "read_write",
        "expiresAt": None,
        "shareAllAccounts": False,
    }


@pytest.mark.rule("K7")
@pytest.mark.rule("K8")
def test_key_tells_permission_and_expiry(reader):
    body = reader.get("/v2/key").json()
    assert (body["permission"], body["expiresAt"]) == ("read_only", "2199-03-31T00:00:00Z")


@pytest.mark.rule("K8")
@pytest.mark.rule("S4")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_write_is_same_403_everywhere(reader, accounts, bobs_account, method):
    pks = [accounts.cash.pk, accounts.checking.pk, bobs_account.pk, None, "malformed"]
    hidden = f"/v2/transactions?bankAccountId={accounts.checking.pk}"
    responses = {
        str(comparable_parts(reader.send(method, path, manual_account())))
        for path in [*PATHS, hidden, *map(account_url, pks)]
    }
    assert len(responses) == 1
    assert "READ_ONLY_KEY" in responses.pop()
    assert Account.objects.get(pk=accounts.cash.pk).closed_at is None


@pytest.mark.rule("K8")
@pytest.mark.rule("M3")
def test_storage_mode_comes_before_read_only(reader, alice):
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    assert_error(reader.post("/v2/accounts"), 403, "STORAGE_MODE_REQUIRED")


@pytest.mark.rule("K8")
def test_rate_limit_comes_before_read_only(reader, settings):
    settings.API_RATE_LIMIT = "1/minute"
    assert_error(reader.post("/v2/accounts"), 403, "READ_ONLY_KEY")
    assert_error(reader.post("/v2/accounts"), 429, "RATE_LIMITED")


@pytest.mark.rule("K8")
def test_read_only_key_reads(reader, accounts):
    assert reader.get("/v2/accounts").status_code == 200
    assert reader.head(account_url(accounts.cash.pk)).status_code == 200
    assert_error(reader.get(account_url(accounts.checking.pk)), 404, "NOT_FOUND")
