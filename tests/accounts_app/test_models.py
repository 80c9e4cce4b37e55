"""Users, accounts and transactions, and what the database refuses about them."""

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

NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)


def refused(write, *args, **kwargs):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        write(*args, **kwargs)
    return str(refusal.value)


# --- users -----------------------------------------------------------------------------------------------------------


def test_a_user_is_created_with_a_folded_address(db):
    user = User.objects.create_user("Zoe@EXAMPLE.com", PASSWORD)
    user.refresh_from_db()
    assert (user.email, user.email_key) == ("Zoe@example.com", "zoe@example.com")
    assert user.check_password(PASSWORD)
    assert (user.is_active, user.is_staff, user.is_superuser, user.storage_mode) == (True, False, False, False)
    assert str(user) == "Zoe@example.com"


def test_a_superuser_is_created(db):
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    assert (user.is_staff, user.is_superuser) == (True, True)


@pytest.mark.parametrize("email", ["ALICE@example.com", "alice@EXAMPLE.com"])
def test_K1_an_address_in_another_case_is_refused(alice, email):
    with pytest.raises(ValidationError) as refusal:
        User.objects.create_user(email, PASSWORD)
    assert refusal.value.message_dict == {"email": ["A user with this e-mail exists."]}
    with pytest.raises(ValidationError) as refusal:
        User(email=email, password="x").full_clean()
    assert refusal.value.message_dict["email"] == ["A user with this e-mail exists."]
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["ALICE@example.com", "ａｌｉｃｅ@example.com", "al\u200bice@example.com"], ids=ascii)
def test_K1_the_database_refuses_a_look_alike_address(alice, email):
    assert "email_key" in refused(UserFactory, email=email)


@pytest.mark.parametrize("email", ["", "alice", "@example.com", "a@" + "b" * 260 + ".com"])
def test_what_is_no_address_is_refused(db, email):
    with pytest.raises(ValidationError) as refusal:
        User.objects.create_user(email, PASSWORD)
    assert "email" in refusal.value.message_dict


def test_K1_the_database_decides_about_a_taken_address(alice, bob):
    assert "email_key" in refused(User.objects.filter(pk=bob.pk).update, email_key="alice@example.com")
    taken = refused(User.objects.filter(pk=bob.pk).update, email="alice@example.com")
    assert re.search(r"accounts_app_user\.email$|\(email\)=", taken, re.MULTILINE)


def test_a_changed_address_is_folded_anew(alice):
    alice.email = "New@Example.com"
    alice.save(update_fields=["email"])
    assert User.objects.get(email_key="new@example.com") == alice
    alice.email = "Newer@Example.com"
    alice.save()
    assert User.objects.get(email_key="newer@example.com") == alice


def test_other_columns_can_be_saved_alone(alice):
    User.objects.update(email_key="as-it-is")
    alice.is_staff = True
    alice.save(update_fields=["is_staff"])
    assert User.objects.get().email_key == "as-it-is"


@pytest.mark.parametrize("typed", ["alice@example.com", "ALICE@Example.COM", "Ａlice@example.com"])
def test_a_user_signs_in_with_the_address_in_any_case(alice, typed):
    assert authenticate(username=typed, password=PASSWORD) == alice


@pytest.mark.parametrize("typed", ["", "bob@example.com", None, "\0"])
def test_an_unknown_address_signs_nobody_in(alice, typed):
    assert authenticate(username=typed, password=PASSWORD) is None
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key(typed)


def test_deleting_a_user_deletes_what_is_theirs_and_nothing_else(alice, bob, restricted, bobs_account):
    TransactionFactory(account=Account.objects.filter(owner=alice).first())
    make_key(bob)
    alice.delete()
    assert list(User.objects.all()) == [bob]
    assert list(Account.objects.all()) == [bobs_account]
    assert ApiKey.objects.get().owner == bob
    assert not Transaction.objects.exists()


# --- accounts --------------------------------------------------------------------------------------------------------


def test_a_closed_account_has_a_date_and_no_other_has_one(alice):
    account = AccountFactory(owner=alice)
    one = Account.objects.filter(pk=account.pk)
    assert "accounts_app_closed_has_date" in refused(one.update, status="closed")
    for status in ("active", "disconnected"):
        assert "accounts_app_closed_has_date" in refused(one.update, status=status, closed_at=NOON)
    assert "accounts_app_closed_has_date" in refused(AccountFactory, owner=alice, status="closed")
    one.update(status="closed", closed_at=NOON)
    assert "accounts_app_closed_has_date" in refused(one.update, closed_at=None)
    one.update(status="disconnected", closed_at=None)


def test_a_manual_account_is_created(alice):
    with time_machine.travel(NOON, tick=False):
        account = Account.objects.create_manual(
            owner_id=alice.pk, name="Cash", type="other", currency="EUR", current_balance=Decimal("1.25")
        )
    account.refresh_from_db()
    assert (account.owner, account.provider, account.balance_as_of, account.status) == (alice, "manual", NOON, "active")
    assert account.is_manual


def test_an_account_says_what_it_is():
    assert str(Account(institution_name="First Bank", name="Checking", mask="1234")) == "First Bank Checking ··1234"
    assert str(Account(name="Cash")) == "Cash"


def test_an_edit_changes_its_fields_only(accounts):
    stale = Account.objects.get(pk=accounts.cash.pk)
    Account.objects.filter(pk=accounts.cash.pk).update(mask="9999")
    stale.edit(name="Wallet", institution_name="Home")
    accounts.cash.refresh_from_db()
    assert (accounts.cash.name, accounts.cash.institution_name, accounts.cash.mask) == ("Wallet", "Home", "9999")
    assert accounts.cash.balance_as_of is None


@pytest.mark.parametrize("field", ["current_balance", "available_balance"])
def test_an_edit_of_a_balance_is_dated(accounts, field):
    with time_machine.travel(NOON, tick=False):
        accounts.cash.edit(**{field: Decimal(7)})
    accounts.cash.refresh_from_db()
    assert getattr(accounts.cash, field) == 7
    assert accounts.cash.balance_as_of == NOON


def test_an_account_that_its_bank_keeps_up_is_neither_edited_nor_closed(accounts):
    before = Account.objects.filter(pk=accounts.checking.pk).values().get()
    for change in (lambda: accounts.checking.edit(name="Mine"), accounts.checking.close):
        with pytest.raises(NotWritable, match="Only manual accounts"):
            change()
    assert Account.objects.filter(pk=accounts.checking.pk).values().get() == before


def test_closing_keeps_the_rows_and_the_first_date(accounts):
    TransactionFactory(account=accounts.cash)
    with time_machine.travel(NOON, tick=False) as clock:
        accounts.cash.close()
        clock.shift(60)
        accounts.cash.close()
        Account.objects.get(pk=accounts.cash.pk).close()
    accounts.cash.refresh_from_db()
    assert (accounts.cash.status, accounts.cash.closed_at) == ("closed", NOON)
    assert accounts.cash.transactions.count() == 1


def test_a_closed_account_is_not_edited(accounts):
    accounts.cash.close()
    with pytest.raises(NotWritable, match="is closed"):
        accounts.cash.edit(name="Wallet")
    accounts.cash.refresh_from_db()
    assert accounts.cash.name == "Cash"


def test_deleting_an_account_deletes_its_transactions_and_no_others(accounts):
    TransactionFactory(account=accounts.cash)
    kept = TransactionFactory(account=accounts.checking)
    accounts.cash.delete()
    assert list(Transaction.objects.all()) == [kept]


def test_money_is_exact_to_15_digits(accounts):
    for amount in (Decimal("99999999999.9999"), Decimal("-99999999999.9999"), Decimal("0.0001")):
        accounts.cash.edit(current_balance=amount)
        accounts.cash.refresh_from_db()
        assert accounts.cash.current_balance == amount
        assert Decimal(repr(float(amount))) == amount


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_posted_transaction_has_a_date(accounts):
    row = TransactionFactory(account=accounts.checking)
    assert "accounts_app_posted_has_date" in refused(Transaction.objects.update, posted_date=None)
    Transaction.objects.update(posted_date=None, status="pending")
    assert "accounts_app_posted_has_date" in refused(Transaction.objects.update, status="posted")
    row.refresh_from_db()
    assert str(row) == row.summary


def test_a_provider_tells_a_transaction_once_for_each_account(accounts):
    TransactionFactory(account=accounts.checking, provider_id="one")
    message = refused(TransactionFactory, account=accounts.checking, provider_id="one")
    assert "provider_id" in message
    TransactionFactory(account=accounts.savings, provider_id="one")


def test_the_date_of_the_order_is_never_null_and_no_update_can_forget_it(accounts):
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


def test_a_transaction_is_dated_today_in_utc(accounts):
    with time_machine.travel(dt.datetime(2027, 3, 1, 23, 30, tzinfo=dt.UTC), tick=False):
        assert today() == dt.date(2027, 3, 1)
        assert TransactionFactory(account=accounts.cash, posted_date=None, status="pending").created_date == today()


def test_transactions_are_ordered_newest_first_and_then_by_id(accounts):
    made = [TransactionFactory(account=accounts.cash, posted_date=dt.date(2026, 1, day)) for day in (1, 3, 3, 2)]
    newest_first = sorted(made, key=lambda row: (row.posted_date, row.pk), reverse=True)
    assert list(Transaction.objects.all()) == newest_first
