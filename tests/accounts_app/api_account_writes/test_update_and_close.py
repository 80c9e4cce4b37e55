"""PATCH and DELETE /v2/accounts/{accountId}."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from accounts_app.models import Account, User
from finta_keys.testing import comparable_parts, make_key
from tests.accounts_app.api_account_writes.helpers import FULL, NOON
from tests.accounts_app.api_assertions import account_url, assert_error, manual_account
from tests.conftest import ApiClient
from tests.factories import AccountFactory

# PATCH


@pytest.mark.parametrize("field", FULL)
def test_patch_changes_only_one_field(client, cash, field):
    url = account_url(cash.pk)
    before = client.get(url).json()["account"]
    response = client.send("PATCH", url, {field: FULL[field]})
    assert response.status_code == 200
    moved = {"balanceAsOf"} if field.endswith("Balance") else set()
    after = response.json()["account"]
    assert after[field] == FULL[field]
    assert {k for k in after if after[k] != before[k]} - {field} == moved
    assert client.get(url).json() == {"account": after}


def test_patch_changes_and_clears_all_fields(client, cash):
    url = account_url(cash.pk)
    after = client.send("PATCH", url, FULL).json()["account"]
    assert {name: after[name] for name in FULL} == FULL
    optional = dict.fromkeys(("subtype", "institutionName", "mask", "availableBalance", "liability"))
    after = client.send("PATCH", url, optional).json()["account"]
    assert {name: after[name] for name in optional} == optional
    cash.refresh_from_db()
    assert Account.objects.filter(pk=cash.pk, liability__isnull=True).exists()


def test_patch_updates_balance_date_only_with_balance(client, cash):
    url = account_url(cash.pk)
    with time_machine.travel(NOON, tick=False):
        for field in ("currentBalance", "availableBalance"):
            assert client.send("PATCH", url, {field: 1}).json()["account"]["balanceAsOf"] == "2026-01-15T12:00:00Z"
    with time_machine.travel(NOON + dt.timedelta(days=1), tick=False):
        after = client.send("PATCH", url, {"name": "Purse", "liability": None}).json()["account"]
    assert after["balanceAsOf"] == "2026-01-15T12:00:00Z"


def test_empty_patch_lists_writable_fields(client, cash):
    response = client.send("PATCH", account_url(cash.pk), {})
    assert_error(response, 400, "BAD_REQUEST", "Give at least one of name, type, currency")


def test_patch_rejects_synced_account(client, accounts):
    url = account_url(accounts.checking.pk)
    before = client.get(url).content
    assert_error(
        client.send("PATCH", url, {"name": "Mine"}), 400, "BAD_REQUEST", "This account is synced from your bank"
    )
    assert client.get(url).content == before


def test_patch_rejects_closed_account(client, cash):
    url = account_url(cash.pk)
    client.delete(url)
    before = client.get(url).content
    assert_error(client.send("PATCH", url, {"name": "Open"}), 400, "BAD_REQUEST", "This account is closed")
    assert client.get(url).content == before


def test_patch_saves_only_its_columns(client, cash, monkeypatch):
    edit = Account.edit

    def edit_late(account, **fields):
        Account.objects.filter(pk=account.pk).update(mask="7777")
        edit(account, **fields)

    monkeypatch.setattr(Account, "edit", edit_late)
    client.send("PATCH", account_url(cash.pk), {"name": "Purse"})
    cash.refresh_from_db()
    assert (cash.name, cash.mask) == ("Purse", "7777")


@pytest.mark.rule("S3")
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_patch_rechecks_scope_under_lock(alice, bob, method, monkeypatch):
    account = AccountFactory(owner=alice, provider="manual", name="Cash")
    _, secret = make_key(alice, "Racer", [account])
    from accounts_app.api.views import AccountView

    change = AccountView._change

    def change_late(*args, **kwargs):
        Account.objects.filter(pk=account.pk).update(owner=bob)
        return change(*args, **kwargs)

    monkeypatch.setattr(AccountView, "_change", change_late)
    response = ApiClient(secret).send(method, account_url(account.pk), {"name": "Mine"})
    assert_error(response, 404, "NOT_FOUND")
    account.refresh_from_db()
    assert (account.name, account.status) == ("Cash", "active")


# DELETE


@time_machine.travel(NOON, tick=False)
def test_delete_closes_account_and_keeps_row(client, cash):
    response = client.delete(account_url(cash.pk))
    assert (response.status_code, response.content) == (204, b"")
    shown = client.get(account_url(cash.pk)).json()["account"]
    assert (shown["status"], shown["closedAt"]) == ("closed", "2026-01-15T12:00:00Z")
    assert str(cash.pk) not in client.get("/v2/accounts").content.decode()
    assert str(cash.pk) in client.get("/v2/accounts?status=closed").content.decode()


def test_repeated_delete_changes_nothing(client, cash):
    url = account_url(cash.pk)
    first = client.delete(url)
    before = client.get(url).content
    second = client.delete(url)
    assert comparable_parts(second) == comparable_parts(first)
    assert (second.status_code, second.content) == (204, b"")
    assert client.get(url).content == before


def test_delete_rejects_synced_account(client, accounts):
    response = client.delete(account_url(accounts.checking.pk))
    assert_error(response, 400, "BAD_REQUEST", "This account is synced from your bank")
    assert Account.objects.get(pk=accounts.checking.pk).status == "active"


def test_delete_ignores_body(client, cash):
    response = client.generic("DELETE", account_url(cash.pk), b"\xff" * 70_000, content_type="text/plain")
    assert response.status_code == 204


@pytest.mark.rule("M3")
def test_writes_need_storage_mode(client, alice, cash):
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    before = list(Account.objects.values())
    assert client.send("POST", "/v2/accounts", manual_account()).status_code == 403
    assert client.send("PATCH", account_url(cash.pk), {"name": "x"}).status_code == 403
    assert client.delete(account_url(cash.pk)).status_code == 403
    assert list(Account.objects.values()) == before
