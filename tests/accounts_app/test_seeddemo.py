"""The command ``seeddemo``: two owners to try the site with."""

import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError, call_command
from django.test import Client, TestCase

from accounts_app import storage_mode
from accounts_app.demo import seed as demo
from accounts_app.demo.data import OWNERS
from accounts_app.models import Account, Transaction, User, today
from accounts_app.validators import validate_liability
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import UserFactory

PASSWORD = r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}"
# Every day of the week, and both ends of months.
DAYS = [date(2027, 12, 31) + timedelta(days=30 * step) for step in range(12)]


@pytest.fixture(autouse=True)
def _debug(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.delenv("PORT", raising=False)


@pytest.fixture
def short_history(monkeypatch):
    """What the command does to what is there does not depend on how much there is."""
    monkeypatch.setattr(demo, "HISTORY", timedelta(days=40))


@pytest.fixture
def seeded(db, short_history):
    """What the first run printed."""
    return seeddemo()


def seeddemo():
    out = StringIO()
    call_command("seeddemo", stdout=out)
    return out.getvalue()


def user(name):
    return User.objects.get(email=f"{name}@example.com")


def account(name):
    return Account.objects.get(name=name)


def everything():
    """Return every row of the three tables."""
    return [sorted(map(repr, model.objects.values())) for model in (User, Account, Transaction)]


def rows_on(day):
    return [row for accounts in OWNERS.values() for each in accounts for row in demo.transactions(each, day)]


class TestFirstRun:
    def test_two_owners_with_five_and_three_accounts_and_no_keys(self, seeded):
        assert [(owner.email, owner.accounts.count()) for owner in User.objects.all()] == [
            ("alice@example.com", 5),
            ("bob@example.com", 3),
        ]
        assert not ApiKey.objects.exists()
        assert not User.objects.filter(is_staff=True).exists()
        assert not User.objects.filter(is_superuser=True).exists()

    def test_it_says_where_and_how_to_sign_in(self, seeded):
        assert "Sign in at http://127.0.0.1:8000/login as" in seeded
        for name, accounts in (("alice", 5), ("bob", 3)):
            printed = re.search(rf"{name}@example.com  password ({PASSWORD})  \({accounts} accounts, \d+ ", seeded)
            assert Client().login(username=f"{name}@example.com", password=printed[1])
        assert "first key, which switches it on" in seeded
        assert "`.venv/bin/python manage.py createsuperuser`" in seeded

    @pytest.mark.parametrize(("port", "shown"), [("9001", "9001"), ("", "8000")])
    def test_it_names_the_port_of_the_environment(self, db, short_history, monkeypatch, port, shown):
        monkeypatch.setenv("PORT", port)

        assert f"http://127.0.0.1:{shown}/login" in seeddemo()

    def test_the_password_is_another_one_in_every_installation(self, settings):
        passwords = set()
        for key in ("one installation", "another", "a third"):
            settings.SECRET_KEY = key
            passwords.add(demo.password())

        assert len(passwords) == 3
        assert all(re.fullmatch(PASSWORD, password) for password in passwords)

    def test_M1_storage_mode_is_off_and_M2_the_first_key_shows_what_is_there(self, seeded):
        assert not user("alice").storage_mode
        _, secret = make_key(user("alice"))
        client = ApiClient(secret)

        assert user("alice").storage_mode
        assert len(client.get("/v2/accounts").json()["accounts"]) == 3
        assert len(client.get("/v2/accounts?status=all").json()["accounts"]) == 5
        for status in ("posted", "pending", "deleted"):
            answer = client.get(f"/v2/transactions?status={status}")
            assert answer.json()["transactions"], answer.content

    def test_ids_are_the_same_on_two_machines(self, seeded):
        before = {
            *User.objects.values_list("pk"),
            *Account.objects.values_list("pk"),
            *Transaction.objects.values_list("pk"),
        }
        User.objects.all().delete()
        seeddemo()

        assert before == {
            *User.objects.values_list("pk"),
            *Account.objects.values_list("pk"),
            *Transaction.objects.values_list("pk"),
        }


class TestDebugOff:
    def test_it_refuses_with_the_way_out_and_makes_nothing(self, db, settings):
        settings.DEBUG = False
        with pytest.raises(CommandError, match=r"Set DEBUG=true .* createsuperuser"):
            seeddemo()

        assert everything() == [[], [], []]


class TestSecondRun:
    def test_it_changes_nothing_and_says_the_same(self, seeded):
        before = everything()

        assert seeddemo() == seeded
        assert everything() == before

    def test_it_changes_nothing_on_a_later_day_either(self, seeded):
        before = everything()
        demo.seed(today() + timedelta(days=40))

        assert everything() == before

    def test_what_a_person_has_changed_stays(self, seeded):
        User.objects.filter(email="bob@example.com").update(is_active=False, is_staff=True)
        storage_mode.switch_on(user("alice"))
        Account.objects.filter(name="Savings").update(name="Rainy days", current_balance=Decimal("12.50"))
        account("Cash at home").close()
        Account.objects.filter(name="Brokerage").update(owner=user("alice"))
        Transaction.objects.filter(account__name="Gold Card").first().delete()
        before = everything()
        seeddemo()

        assert everything() == before

    def test_M4_transactions_that_were_deleted_by_storage_mode_stay_deleted(self, seeded):
        bobs = Transaction.objects.filter(account__owner=user("bob")).count()
        storage_mode.switch_off(user("alice"))

        assert "(5 accounts, 0 transactions)" in seeddemo()
        assert Transaction.objects.count() == bobs

    def test_an_account_that_is_missing_comes_back_with_its_transactions(self, seeded):
        before = everything()
        account("Gold Card").delete()
        assert everything() != before
        seeddemo()

        strip = re.compile(r"'created_at': datetime\.datetime\([^)]*\)")
        assert [[strip.sub("", row) for row in rows] for rows in everything()] == [
            [strip.sub("", row) for row in rows] for rows in before
        ]

    def test_a_password_that_was_changed_is_not_shown_nor_changed(self, seeded):
        alice = user("alice")
        alice.set_password("my own one")
        alice.save(update_fields=["password"])
        said = seeddemo()

        assert re.search(r"alice@example.com  with the password you gave it  \(", said)
        assert re.search(rf"bob@example.com  password {PASSWORD}", said)
        assert user("alice").check_password("my own one")

    def test_looking_at_the_password_does_not_hash_it_anew(self, seeded, settings):
        before = everything()
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.ScryptPasswordHasher",
            *settings.PASSWORD_HASHERS,
        ]
        assert check_password(demo.password(), user("alice").password)
        seeddemo()

        assert everything() == before

    def test_an_owner_who_changed_the_address_is_not_made_again(self, seeded):
        alice = user("alice")
        alice.email = "me@example.org"
        alice.save(update_fields=["email"])
        said = seeddemo()

        assert User.objects.count() == 2
        assert f"me@example.org  password {demo.password()}  (5 accounts" in said

    def test_a_user_who_had_the_address_before_gets_the_accounts_only(self, db, short_history):
        before = UserFactory(email="Alice@example.com", is_staff=True)
        said = seeddemo()

        after = User.objects.get(pk=before.pk)
        assert (after.password, after.is_staff, after.email) == (before.password, True, before.email)
        assert after.accounts.count() == 5
        assert "with the password you gave it" in said


class TestData(TestCase):
    """The whole of it, made once."""

    @classmethod
    def setUpTestData(cls):
        demo.seed(today())

    def test_every_row_is_valid(self):
        for row in [*User.objects.all(), *Account.objects.all()]:
            row.full_clean()
        for row in Transaction.objects.all():
            row.clean_fields(exclude=["account", "sort_date"])

    def test_the_accounts_are_of_every_kind(self):
        alices = Account.objects.filter(owner=user("alice"))

        assert Counter(alices.values_list("status", flat=True)) == {"active": 3, "closed": 1, "disconnected": 1}
        assert set(Account.objects.values_list("currency", flat=True)) == {"USD", "EUR"}
        assert alices.get(provider="manual").bank_connection_id is None
        assert alices.get(status="closed").closed_at == alices.get(status="closed").balance_as_of
        assert not Account.objects.exclude(status="closed").filter(closed_at__isnull=False).exists()

    def test_banks_tell_what_banks_tell(self):
        at_banks = Account.objects.exclude(provider="manual")

        assert at_banks.count() == 7
        for each in at_banks:
            assert re.fullmatch(r"\d{4}", each.mask)
            assert each.provider_account_id
            assert each.bank_connection_id
            assert each.institution_name

    def test_accounts_share_a_connection_where_they_share_an_institution(self):
        connections = set(Account.objects.values_list("institution_name", "bank_connection_id"))

        assert len({institution for institution, _ in connections}) == len(connections)
        assert len({connection for _, connection in connections}) == len(connections)
        assert Account.objects.filter(institution_name="Chase").count() == 2
        assert Account.objects.filter(institution_name="Charles Schwab").count() == 2

    def test_liabilities_are_what_the_api_accepts(self):
        liabilities = [each.liability for each in Account.objects.filter(liability__isnull=False)]

        for liability in liabilities:
            validate_liability(liability)
        assert sorted(liability["type"] for liability in liabilities) == ["credit", "mortgage"]

    def test_currencies_are_those_of_the_accounts(self):
        for each in Account.objects.all():
            assert set(each.transactions.values_list("currency", flat=True)) == {each.currency}

    def test_a_card_payment_leaves_one_account_and_reaches_the_other(self):
        paid = account("Total Checking").transactions.filter(merchant_name="American Express")
        received = account("Gold Card").transactions.filter(merchant_name="Autopay payment")

        assert [(row.posted_date, -row.amount) for row in paid] == [(row.posted_date, row.amount) for row in received]
        assert paid.count() in (6, 7)


class TestTransactions:
    @pytest.mark.parametrize("day", DAYS, ids=str)
    def test_they_make_sense_on_whatever_day_they_are_made(self, day):
        rows = rows_on(day)

        assert 500 < len(rows) < 1000
        assert len({row.pk for row in rows}) == len(rows)
        statuses = Counter(row.status for row in rows)
        assert statuses["pending"] >= 2
        assert 8 <= statuses["deleted"] <= 16
        assert statuses["posted"] > 450
        for row in rows:
            assert (row.posted_date is not None) == (row.status == "posted")
            assert row.posted_date or row.authorized_date
            assert row.posted_date is None or day - demo.HISTORY <= row.posted_date <= day
            assert row.authorized_date is None or row.authorized_date <= (row.posted_date or day)

    @pytest.mark.parametrize("day", [date(2028, 1, 8), date(2028, 3, 28), date(2028, 5, 20)], ids=str)
    def test_nothing_is_pending_where_a_bank_has_nothing_more_to_tell(self, day):
        for slug in ("alice/chase-savings", "alice/cash"):
            (each,) = (each for each in OWNERS["alice@example.com"] if each.slug == slug)
            assert {row.status for row in demo.transactions(each, day)} == {"posted"}

    def test_sums_are_of_whole_cents_and_below_15_digits(self):
        for row in rows_on(DAYS[0]):
            assert row.amount
            assert row.amount == round(row.amount, 2)
            assert abs(row.amount) < Decimal("10000")
            assert row.net_amount == (None if row.fees is None else row.amount - row.fees)
            assert bool(row.fees) == bool(row.fee_type)

    def test_they_are_as_in_life(self):
        rows = rows_on(DAYS[0])

        assert {row.payment_channel for row in rows} == {"online", "in store", "other"}
        assert {row.fee_type for row in rows} >= {"atm", "foreign_transaction", "conversion"}
        assert len([row for row in rows if row.merchant_name == "Northwind Traders" and row.amount > 3000]) >= 13
        checks = [row.check_number for row in rows if row.check_number]
        assert len(set(checks)) == len(checks) >= 12
        assert all(row.original_description for row in rows if row.provider != "manual")

    def test_what_happened_on_a_day_does_not_depend_on_when_the_demo_is_made(self):
        def posted(made):
            settled = (row for row in rows_on(made) if row.status == "posted" and row.currency == "USD")
            common = (row for row in settled if DAYS[0] - timedelta(100) <= row.created_date <= DAYS[0] - timedelta(70))
            return sorted((row.pk, row.amount, row.summary, row.posted_date) for row in common)

        assert len(posted(DAYS[0])) > 50
        assert posted(DAYS[0]) == posted(DAYS[0] + timedelta(days=30))
