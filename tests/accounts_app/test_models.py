"""Users, accounts and transactions, with their constraints."""

import datetime as dt
import re
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts_app.models import Account, NotWritable, Transaction, User, today
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import PASSWORD, AccountFactory, TransactionFactory, UserFactory
from tests.finta_keys.test_key_locks import locks  # noqa: F401  # a fixture

NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.rule("T2")
def test_deletions_lock_the_owner_first(alice, accounts, locks):  # noqa: F811
    accounts.cash.delete()
    assert [lock[:2] for lock in locks] == [("User", "no key")]
    locks.clear()
    alice.delete()
    assert [lock[:2] for lock in locks] == [("User", "full")]


def rejection(write, *args, **kwargs):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        write(*args, **kwargs)
    return str(refusal.value)


# --- users
# -----------------------------------------------------------------------------------------------------------


def test_create_user_folds_email(db):
    user = User.objects.create_user("Zoe@EXAMPLE.com", PASSWORD)
    user.refresh_from_db()
    assert (user.email, user.email_key) == ("Zoe@example.com", "zoe@example.com")
    assert user.check_password(PASSWORD)
    assert (user.is_active, user.is_staff, user.is_superuser, user.storage_mode) == (True, False, False, False)
    assert str(user) == "Zoe@example.com"


def test_create_superuser(db):
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    assert (user.is_staff, user.is_superuser) == (True, True)


@pytest.mark.parametrize("email", ["ALICE@example.com", "alice@EXAMPLE.com"])
def test_email_is_unique_regardless_of_case(alice, email):
    with pytest.raises(ValidationError) as refusal:
        User.objects.create_user(email, PASSWORD)
    assert refusal.value.message_dict == {"email": ["A user with this e-mail exists."]}
    with pytest.raises(ValidationError) as refusal:
        User(email=email, password="x").full_clean()
    assert refusal.value.message_dict["email"] == ["A user with this e-mail exists."]
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["ALICE@example.com", "ａｌｉｃｅ@example.com", "al\u200bice@example.com"], ids=ascii)
def test_database_rejects_look_alike_email(alice, email):
    assert "email_key" in rejection(UserFactory, email=email)


@pytest.mark.parametrize("email", ["", "alice", "@example.com", "a@" + "b" * 260 + ".com"])
def test_invalid_email_is_rejected(db, email):
    with pytest.raises(ValidationError) as refusal:
        User.objects.create_user(email, PASSWORD)
    assert "email" in refusal.value.message_dict


def test_database_rejects_taken_email(alice, bob):
    assert "email_key" in rejection(User.objects.filter(pk=bob.pk).update, email_key="alice@example.com")
    response = rejection(User.objects.filter(pk=bob.pk).update, email="alice@example.com")
    assert re.search(r"accounts_app_user\.email$|\(email\)=", response, re.MULTILINE)


def test_changed_email_is_folded(alice):
    alice.email = "New@Example.com"
    alice.save(update_fields=["email"])
    assert User.objects.get(email_key="new@example.com") == alice
    alice.email = "Newer@Example.com"
    alice.save()
    assert User.objects.get(email_key="newer@example.com") == alice


def test_update_fields_are_respected(alice):
    User.objects.update(email_key="as-it-is")
    alice.is_staff = True
    alice.save(update_fields=["is_staff"])
    assert User.objects.get().email_key == "as-it-is"


@pytest.mark.parametrize("typed", ["alice@example.com", "ALICE@Example.COM", "Ａlice@example.com"])
def test_sign_in_ignores_case_of_email(alice, typed):
    assert authenticate(username=typed, password=PASSWORD) == alice


@pytest.mark.parametrize("typed", ["", "bob@example.com", None, "\0"])
def test_unknown_email_cannot_sign_in(alice, typed):
    assert authenticate(username=typed, password=PASSWORD) is None
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key(typed)


def test_deleting_user_deletes_only_own_rows(alice, bob, restricted, bobs_account):
    TransactionFactory(account=Account.objects.filter(owner=alice).first())
    make_key(bob)
    alice.delete()
    assert list(User.objects.all()) == [bob]
    assert list(Account.objects.all()) == [bobs_account]
    assert ApiKey.objects.get().owner == bob
    assert not Transaction.objects.exists()


# --- accounts
# --------------------------------------------------------------------------------------------------------


def test_only_closed_accounts_have_closing_date(alice):
    account = AccountFactory(owner=alice)
    one = Account.objects.filter(pk=account.pk)
    assert "accounts_app_closed_has_date" in rejection(one.update, status="closed")
    for status in ("active", "disconnected"):
        assert "accounts_app_closed_has_date" in rejection(one.update, status=status, closed_at=NOON)
    assert "accounts_app_closed_has_date" in rejection(AccountFactory, owner=alice, status="closed")
    one.update(status="closed", closed_at=NOON)
    assert "accounts_app_closed_has_date" in rejection(one.update, closed_at=None)
    one.update(status="disconnected", closed_at=None)


def test_create_manual(alice):
    with time_machine.travel(NOON, tick=False):
        account = Account.objects.create_manual(
            owner_id=alice.pk, name="Cash", type="other", currency="EUR", current_balance=Decimal("1.25")
        )
    account.refresh_from_db()
    assert (account.owner, account.provider, account.balance_as_of, account.status) == (alice, "manual", NOON, "active")
    assert account.is_manual


def test_account_str():
    assert str(Account(institution_name="First Bank", name="Checking", mask="1234")) == "First Bank Checking ··1234"
    assert str(Account(name="Cash")) == "Cash"


def test_edit_changes_only_given_fields(accounts):
    stale = Account.objects.get(pk=accounts.cash.pk)
    Account.objects.filter(pk=accounts.cash.pk).update(mask="9999")
    stale.edit(name="Wallet", institution_name="Home")
    accounts.cash.refresh_from_db()
    assert (accounts.cash.name, accounts.cash.institution_name, accounts.cash.mask) == ("Wallet", "Home", "9999")
    assert accounts.cash.balance_as_of is None


@pytest.mark.parametrize("field", ["current_balance", "available_balance"])
def test_edit_of_balance_updates_its_date(accounts, field):
    with time_machine.travel(NOON, tick=False):
        accounts.cash.edit(**{field: Decimal(7)})
    accounts.cash.refresh_from_db()
    assert getattr(accounts.cash, field) == 7
    assert accounts.cash.balance_as_of == NOON


def test_synced_account_is_read_only(accounts):
    before = Account.objects.filter(pk=accounts.checking.pk).values().get()
    for change in (lambda: accounts.checking.edit(name="Mine"), accounts.checking.close):
        with pytest.raises(NotWritable, match="Only manual accounts"):
            change()
    assert Account.objects.filter(pk=accounts.checking.pk).values().get() == before


def test_close_keeps_rows_and_first_date(accounts):
    TransactionFactory(account=accounts.cash)
    with time_machine.travel(NOON, tick=False) as clock:
        accounts.cash.close()
        clock.shift(60)
        accounts.cash.close()
        Account.objects.get(pk=accounts.cash.pk).close()
    accounts.cash.refresh_from_db()
    assert (accounts.cash.status, accounts.cash.closed_at) == ("closed", NOON)
    assert accounts.cash.transactions.count() == 1


def test_closed_account_cannot_be_edited(accounts):
    accounts.cash.close()
    with pytest.raises(NotWritable, match="is closed"):
        accounts.cash.edit(name="Wallet")
    accounts.cash.refresh_from_db()
    assert accounts.cash.name == "Cash"


def test_deleting_account_deletes_only_its_transactions(accounts):
    TransactionFactory(account=accounts.cash)
    stored = TransactionFactory(account=accounts.checking)
    accounts.cash.delete()
    assert list(Transaction.objects.all()) == [stored]


def test_money_is_exact_to_15_digits(accounts):
    for amount in (Decimal("99999999999.9999"), Decimal("-99999999999.9999"), Decimal("0.0001")):
        accounts.cash.edit(current_balance=amount)
        accounts.cash.refresh_from_db()
        assert accounts.cash.current_balance == amount
        assert Decimal(repr(float(amount))) == amount


# --- transactions
# ----------------------------------------------------------------------------------------------------


def test_posted_transaction_needs_posted_date(accounts):
    row = TransactionFactory(account=accounts.checking)
    assert "accounts_app_posted_has_date" in rejection(Transaction.objects.update, posted_date=None)
    Transaction.objects.update(posted_date=None, status="pending")
    assert "accounts_app_posted_has_date" in rejection(Transaction.objects.update, status="posted")
    row.refresh_from_db()
    assert str(row) == row.summary


def test_provider_id_is_unique_per_account(accounts):
    TransactionFactory(account=accounts.checking, provider_id="one")
    message = rejection(TransactionFactory, account=accounts.checking, provider_id="one")
    assert "provider_id" in message
    TransactionFactory(account=accounts.savings, provider_id="one")


def test_sort_date_follows_updates(accounts):
    posted, authorized, created = dt.date(2026, 3, 3), dt.date(2026, 2, 2), dt.date(2026, 1, 1)
    row = TransactionFactory(
        account=accounts.checking, posted_date=posted, authorized_date=authorized, created_date=created
    )
    rows = Transaction.objects.filter(pk=row.pk)
    assert rows.get().sort_date == posted
    rows.update(posted_date=None, status="pending")
    assert rows.get().sort_date == authorized
    rows.update(authorized_date=None)
    assert rows.get().sort_date == created
    rows.update(posted_date=posted)
    assert rows.get().sort_date == posted


def test_created_date_is_utc(accounts):
    with time_machine.travel(dt.datetime(2027, 3, 1, 23, 30, tzinfo=dt.UTC), tick=False):
        assert today() == dt.date(2027, 3, 1)
        assert TransactionFactory(account=accounts.cash, posted_date=None, status="pending").created_date == today()


def test_transaction_order(accounts):
    created = [TransactionFactory(account=accounts.cash, posted_date=dt.date(2026, 1, day)) for day in (1, 3, 3, 2)]
    newest_first = sorted(created, key=lambda row: (row.posted_date, row.pk), reverse=True)
    assert list(Transaction.objects.all()) == newest_first
