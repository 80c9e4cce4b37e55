"""The scope of new accounts (S5)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from accounts_app.models import Account
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.accounts_app.api_assertions import account_url, assert_unauthorized, manual_account
from tests.conftest import ApiClient


@pytest.fixture
def other_keys(alice, accounts):
    """Two more keys of Alice: restricted and unrestricted."""
    key, secret = make_key(alice, "Other", [accounts.savings])
    return SimpleNamespace(key=key, client=ApiClient(secret))


@pytest.mark.rule("S5")
def test_new_account_joins_scope_of_its_key(restricted, other_keys, unrestricted):
    before = list(other_keys.key.scope_rows.values())
    url = account_url(restricted.client.send("POST", "/v2/accounts", manual_account()).json()["account"]["id"])
    assert restricted.client.get(url).status_code == 200
    assert other_keys.client.get(url).status_code == 404
    assert unrestricted.client.get(url).status_code == 200
    assert list(other_keys.key.scope_rows.values()) == before
    assert unrestricted.key.scope_rows.count() == 0
    assert restricted.key.scope_rows.count() == 2


@pytest.mark.rule("S5")
def test_new_account_of_unrestricted_key_joins_no_scope(restricted, other_keys, unrestricted):
    url = account_url(unrestricted.client.send("POST", "/v2/accounts", manual_account()).json()["account"]["id"])
    assert unrestricted.client.get(url).status_code == 200
    for client in (restricted.client, other_keys.client):
        assert client.get(url).status_code == 404


@pytest.mark.rule("S5")
def test_rejected_body_does_not_change_scope(restricted):
    restricted.client.send("POST", "/v2/accounts", manual_account(currentBalance="1"))
    assert restricted.key.scope_rows.count() == 1


@pytest.mark.rule("S5")
def test_account_and_scope_row_are_atomic(restricted, monkeypatch):
    monkeypatch.setattr(ApiKey, "add_to_scope", lambda *args: 1 / 0)
    count = Account.objects.count()
    assert restricted.client.send("POST", "/v2/accounts", manual_account()).status_code == 500
    assert Account.objects.count() == count


@pytest.mark.rule("S5")
def test_post_uses_scope_edited_during_request(restricted, monkeypatch):
    """The key shares all accounts by the time the account is created."""
    locked = ApiKey.locked

    def locked_later(key):
        if not key.share_all_accounts:
            ApiKey.objects.filter(pk=key.pk).update(share_all_accounts=True)
        return locked(key)

    monkeypatch.setattr(ApiKey, "locked", locked_later)
    assert restricted.client.send("POST", "/v2/accounts", manual_account()).status_code == 201
    assert restricted.key.scope_rows.count() == 1


@pytest.mark.rule("X5")
def test_key_deleted_during_post_gets_401(restricted, monkeypatch):
    locked = ApiKey.locked

    def locked_too_late(key):
        ApiKey.objects.filter(pk=key.pk).delete()
        return locked(key)

    monkeypatch.setattr(ApiKey, "locked", locked_too_late)
    count = Account.objects.count()
    assert_unauthorized(restricted.client.send("POST", "/v2/accounts", manual_account()))
    assert Account.objects.count() == count
