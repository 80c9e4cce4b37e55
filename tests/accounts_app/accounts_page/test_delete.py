"""Deleting closed manual accounts."""

import uuid

import pytest
from django.test import Client

from accounts_app.models import Account, NotWritable, Transaction
from finta_keys.testing import make_key
from tests.accounts_app.accounts_page.helpers import BACK, close_url, flash_message, main_text, text
from tests.factories import TransactionFactory
from tests.finta_keys.test_key_locks import locks  # noqa: F401  # a fixture


def delete_url(account):
    return f"/accounts/{getattr(account, 'pk', account)}/delete"


@pytest.fixture
def closed(cash):
    cash.close()
    return cash


def test_delete_asks_for_confirmation(alice, alices_browser, closed, accounts):
    TransactionFactory.create_batch(2, account=closed)
    make_key(alice, "Shop", [closed])
    make_key(alice, "Everything")
    page = main_text(alices_browser.get(delete_url(closed)))
    assert "Delete “ Cash ”?" in page
    assert "Its 2 transactions will be deleted too." in page
    assert "It will leave the scope of this key." in page
    assert "Shop" in page
    assert "Everything" not in page
    assert "cannot be undone" in page
    assert Account.objects.filter(pk=closed.pk).exists()


def test_delete_deletes_transactions_and_leaves_scopes(alice, alices_browser, closed, accounts):
    TransactionFactory(account=closed)
    kept = TransactionFactory(account=accounts.savings)
    key, _ = make_key(alice, "Shop", [closed])
    assert flash_message(alices_browser, alices_browser.post(delete_url(closed))) == "Deleted “Cash”."
    assert not Account.objects.filter(pk=closed.pk).exists()
    assert Transaction.objects.get() == kept
    key.refresh_from_db()
    assert not key.share_all_accounts
    assert not key.scoped(Account.objects.all()).exists()  # S1


def test_page_without_transactions_and_keys(alices_browser, closed):
    page = main_text(alices_browser.get(delete_url(closed)))
    assert "It has no transactions." in page
    assert "No restricted key has it in its scope." in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_open_or_synced_account_is_not_deleted(alices_browser, accounts, method):
    Account.objects.filter(pk=accounts.savings.pk).update(status="closed", closed_at="2026-01-01T00:00Z")
    reasons = {accounts.cash: "This account is open. Close it first.", accounts.savings: "synced from your bank"}
    for account, reason in reasons.items():
        response = getattr(alices_browser, method)(delete_url(account))
        assert response.status_code == 409
        assert reason in text(response)
        assert BACK in text(response)
        assert Account.objects.filter(pk=account.pk).exists()


def test_concurrent_reopening_wins(alices_browser, closed):
    """An operator reopens the account after the page was shown."""
    alices_browser.get(delete_url(closed))
    Account.objects.filter(pk=closed.pk).update(status="active", closed_at=None)
    assert alices_browser.post(delete_url(closed)).status_code == 409
    with pytest.raises(NotWritable):
        Account.objects.get(pk=closed.pk).delete_closed()


def test_foreign_and_missing_accounts_look_alike(alices_browser, bobs_account):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual", status="closed", closed_at="2026-01-01T00:00Z")
    for method in ("get", "post"):
        for pk in (bobs_account.pk, uuid.uuid4(), "none"):
            response = getattr(alices_browser, method)(delete_url(pk))
            assert response.status_code == 404
            assert "Account not found" in text(response)
    assert Account.objects.filter(pk=bobs_account.pk).exists()


def test_delete_needs_csrf_token_and_sign_in(alice, closed):
    assert Client().post(delete_url(closed)).url == f"/login?next={delete_url(closed)}"
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post(delete_url(closed)).status_code == 403
    assert Account.objects.filter(pk=closed.pk).exists()


@pytest.mark.rule("K6")
def test_delete_rejects_keys(unrestricted, closed):
    unrestricted.client.post(delete_url(closed))
    assert Account.objects.filter(pk=closed.pk).exists()


@pytest.mark.rule("T2")
def test_delete_locks_the_owner_first(alices_browser, closed, locks):  # noqa: F811
    alices_browser.post(delete_url(closed))
    assert [lock[0] for lock in locks][:2] == ["User", "Account"]


def test_only_closed_manual_accounts_have_a_delete_link(alices_browser, accounts):
    assert "Delete" not in main_text(alices_browser.get("/accounts"))
    alices_browser.post(close_url(accounts.cash))
    page = text(alices_browser.get("/accounts"))
    assert page.count(f'href="{delete_url(accounts.cash)}" aria-label="Delete {accounts.cash.label} (closed)"') == 1
    assert page.count("/delete") == 1


def test_many_keys_are_counted(alice, alices_browser, closed):
    for number in range(12):
        make_key(alice, f"Key {number}", [closed])
    page = main_text(alices_browser.get(delete_url(closed)))
    assert "the scope of these keys" in page
    assert "12 keys" in page
