"""Accounts and transactions in the admin."""

import json

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.urls import reverse

from accounts_app.admin import AccountAdmin
from accounts_app.models import Account, Transaction, User
from tests.accounts_app.admin.helpers import edit, errors, url

pytestmark = pytest.mark.thorough

# Accounts


ACCOUNT = {
    "provider": "manual",
    "name": "Cash",
    "type": "depository",
    "currency": "USD",
    "current_balance": "1.5",
    "status": "active",
    "liability": "null",
}


def new_account(browser, alice, **data):
    return browser.post(url(Account, "add"), {**ACCOUNT, "owner": alice.pk, **data})


def test_add_account(superuser, alice):
    assert new_account(superuser, alice).status_code == 302
    assert Account.objects.get().owner == alice


def test_owner_autocomplete(superuser, alice, bob):
    query = {"app_label": "accounts_app", "model_name": "account", "field_name": "owner", "term": "ali"}
    matches = superuser.get(reverse("admin:autocomplete"), query).json()["results"]
    assert matches == [{"id": str(alice.pk), "text": alice.email}]


@pytest.mark.rule("S3")
def test_transfer_removes_account_from_old_keys(superuser, accounts, restricted, bob):
    assert edit(superuser, accounts.checking, owner=bob.pk).status_code == 302
    assert Account.objects.get(pk=accounts.checking.pk).owner == bob
    assert not restricted.key.scoped(Account.objects.all()).exists()


def test_edit_of_deleted_account_shows_message(superuser, accounts, monkeypatch):
    save = AccountAdmin.save_model

    def deleted_meanwhile(*args, **kwargs):
        Account.objects.filter(pk=accounts.cash.pk).delete()
        save(*args, **kwargs)

    monkeypatch.setattr(AccountAdmin, "save_model", deleted_meanwhile)
    response = edit(superuser, accounts.cash, name="Coins")
    assert response.status_code == 302
    assert "another change was saved" in str([*get_messages(response.wsgi_request)])


def test_edit_saves_only_changed_columns(superuser, accounts, monkeypatch):
    save = AccountAdmin.save_model

    def closed_meanwhile(*args, **kwargs):
        Account.objects.get(pk=accounts.cash.pk).close()
        save(*args, **kwargs)

    monkeypatch.setattr(AccountAdmin, "save_model", closed_meanwhile)
    edit(superuser, accounts.cash, name="Coins")
    accounts.cash.refresh_from_db()
    assert (accounts.cash.name, accounts.cash.status) == ("Coins", "closed")
    assert accounts.cash.closed_at


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner", "x"),
        ("owner", "6a1e1c3e-0d1b-4c55-8f6a-000000000000"),
        ("owner", ""),
        ("owner", "a\0b"),
        ("name", ""),
        ("name", "a\0b"),
        ("bank_connection_id", "x"),
        ("current_balance", "1" * 16),
        ("current_balance", "NaN"),
        ("current_balance", "1e400"),
        ("available_balance", "Infinity"),
        ("status", "open"),
        ("currency", "DOLLARS"),
        ("closed_at_0", "yesterday"),
        ("liability", "x"),
        ("liability", "[1]"),
        ("liability", "{}"),
        ("liability", '{"type": "other"}'),
        ("liability", '{"type": "credit", "apr": NaN}'),
        ("liability", '{"type": "credit", "apr": 1e999}'),
        ("liability", '{"type": "credit", "note": "\\u0000"}'),
        ("liability", '{"type": "credit", "note": "\\ud800"}'),
        ("liability", json.dumps({"type": "credit", "note": "x" * 9000})),
        ("liability", "1" * 5000),
        ("liability", "[" * 100_000),
    ],
    ids=lambda value: value[:20].replace("\0", "NUL"),
)
def test_invalid_account_value_is_a_field_error(superuser, alice, field, value):
    assert errors(new_account(superuser, alice, **{field: value}))[field.removesuffix("_0")]
    assert not Account.objects.exists()


def test_liability_is_saved_unchanged(superuser, alice):
    liability = {"type": "mortgage", "rate": 1.5, "terms": [{"years": 30}]}
    new_account(superuser, alice, liability=json.dumps(liability))
    assert Account.objects.get().liability == liability
    assert edit(superuser, Account.objects.get(), name="House").status_code == 302
    assert Account.objects.get().liability == liability


def test_empty_liability_is_null(superuser, accounts):
    assert edit(superuser, accounts.cash, name="Coins").status_code == 302
    assert Account.objects.filter(pk=accounts.cash.pk, liability__isnull=True).exists()


@pytest.mark.parametrize(
    "data", [{"status": "closed"}, {"status": "active", "closed_at_0": "2026-01-02", "closed_at_1": "03:04"}]
)
def test_status_must_match_closing_date(superuser, alice, accounts, data):
    assert errors(new_account(superuser, alice, **data))
    assert errors(edit(superuser, accounts.cash, **data))
    assert Account.objects.filter(status="active", closed_at=None).count() == 3


def test_close_and_reopen_account(superuser, accounts):
    closed = {"status": "closed", "closed_at_0": "2026-01-02", "closed_at_1": "03:04"}
    assert edit(superuser, accounts.cash, **closed).status_code == 302
    assert Account.objects.get(pk=accounts.cash.pk).closed_at.year == 2026
    opened = {"status": "active", "closed_at_0": "", "closed_at_1": ""}
    assert edit(superuser, accounts.cash, **opened).status_code == 302
    assert Account.objects.get(pk=accounts.cash.pk).closed_at is None


# Transactions


TRANSACTION = {
    "provider": "plaid",
    "provider_id": "tx",
    "summary": "Coffee",
    "status": "posted",
    "amount": "-3.5",
    "currency": "USD",
    "posted_date": "2026-01-15",
}


def new_transaction(browser, checking, **data):
    return browser.post(url(Transaction, "add"), {**TRANSACTION, "account": checking.pk, **data})


def test_add_and_edit_transaction(superuser, accounts):
    assert new_transaction(superuser, accounts.checking).status_code == 302
    assert edit(superuser, Transaction.objects.get(), posted_date="2026-02-01").status_code == 302
    assert str(Transaction.objects.get().sort_date) == "2026-02-01"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "x"),
        ("account", "6a1e1c3e-0d1b-4c55-8f6a-000000000000"),
        ("account", ""),
        ("amount", "1" * 16),
        ("fees", "NaN"),
        ("category_id", "x"),
        ("posted_date", "x"),
        ("summary", "x" * 501),
    ],
)
def test_invalid_transaction_value_is_a_field_error(superuser, accounts, field, value):
    assert errors(new_transaction(superuser, accounts.checking, **{field: value}))[field]
    assert not Transaction.objects.exists()


def test_posted_transaction_needs_a_date(superuser, accounts):
    assert errors(new_transaction(superuser, accounts.checking, posted_date=""))


def test_duplicate_transaction_is_a_form_error(superuser, accounts):
    new_transaction(superuser, accounts.checking)
    assert errors(new_transaction(superuser, accounts.checking))
    assert Transaction.objects.count() == 1


def test_models_are_registered():
    assert {User, Account, Transaction} <= set(admin.site._registry)
