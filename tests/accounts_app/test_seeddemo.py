"""``manage.py seeddemo``."""

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
from accounts_app.demo import seed
from accounts_app.demo.data import OWNERS
from accounts_app.models import Account, Transaction, User, today
from accounts_app.validators import validate_liability
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import UserFactory

PASSWORD = r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}"
# every weekday, and both ends of months
DAYS = [date(2027, 12, 31) + timedelta(days=30 * step) for step in range(12)]


@pytest.fixture(autouse=True)
def _debug(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.delenv("PORT", raising=False)


@pytest.fixture
def short_history(monkeypatch):
    """Fewer transactions, for speed."""
    monkeypatch.setattr(seed, "HISTORY", timedelta(days=40))


@pytest.fixture
def seeded(db, short_history):
    """The output of the first run."""
    return seeddemo()


def seeddemo():
    out = StringIO()
    call_command("seeddemo", stdout=out)
    return out.getvalue()


def user(name):
    return User.objects.get(email=f"{name}@example.com")


def account(name):
    return Account.objects.get(name=name)


def all_rows():
    """Return all rows of the three tables."""
    return [sorted(map(repr, model.objects.values())) for model in (User, Account, Transaction)]


def rows_on(day):
    return [
        row for accounts in OWNERS.values() for account in accounts for row in seed.generate_transactions(account, day)
    ]


class TestFirstRun:
    def test_creates_two_owners_without_keys(self, seeded):
        assert [(owner.email, owner.accounts.count()) for owner in User.objects.all()] == [
            ("alice@example.com", 5),
            ("bob@example.com", 3),
        ]
        assert not ApiKey.objects.exists()
        assert not User.objects.filter(is_staff=True).exists()
        assert not User.objects.filter(is_superuser=True).exists()

    def test_prints_how_to_sign_in(self, seeded):
        assert "Sign in at http://127.0.0.1:8000/login as" in seeded
        for name, accounts in (("alice", 5), ("bob", 3)):
            printed = re.search(rf"{name}@example.com  password ({PASSWORD})  \({accounts} accounts, \d+ ", seeded)
            assert Client().login(username=f"{name}@example.com", password=printed[1])
        assert "creates the first key" in seeded
        assert "`.venv/bin/python manage.py createsuperuser`" in seeded

    @pytest.mark.parametrize(("port", "shown"), [("9001", "9001"), ("", "8000")])
    def test_prints_port_of_environment(self, db, short_history, monkeypatch, port, shown):
        monkeypatch.setenv("PORT", port)

        printed = seeddemo()
        assert f"http://127.0.0.1:{shown}/login" in printed
        assert f"http://127.0.0.1:{shown}/v2 " in printed
        assert f"http://127.0.0.1:{shown}/v2/docs)" in printed

    def test_migrates_first_on_request(self, db, short_history, monkeypatch):
        calls = []
        monkeypatch.setattr(
            "accounts_app.management.commands.seeddemo.call_command", lambda name, **_: calls.append(name)
        )
        seeddemo()
        assert calls == []
        call_command("seeddemo", "--migrate", stdout=StringIO())
        assert calls == ["migrate"]

    def test_password_depends_on_secret_key(self, settings):
        passwords = set()
        for key in ("one installation", "another", "a third"):
            settings.SECRET_KEY = key
            passwords.add(seed.demo_password())

        assert len(passwords) == 3
        assert all(re.fullmatch(PASSWORD, password) for password in passwords)

    @pytest.mark.rule("M2")
    def test_first_key_turns_storage_mode_on(self, seeded):
        assert not user("alice").storage_mode
        _, secret = make_key(user("alice"))
        client = ApiClient(secret)

        assert user("alice").storage_mode
        assert len(client.get("/v2/accounts").json()["accounts"]) == 3
        assert len(client.get("/v2/accounts?status=all").json()["accounts"]) == 5
        for status in ("posted", "pending", "deleted"):
            response = client.get(f"/v2/transactions?status={status}")
            assert response.json()["transactions"], response.content

    def test_ids_are_reproducible(self, seeded):
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
    def test_requires_debug(self, db, settings):
        settings.DEBUG = False
        with pytest.raises(CommandError, match=r"set DEBUG=true .* createsuperuser"):
            seeddemo()

        assert all_rows() == [[], [], []]


class TestSecondRun:
    def test_second_run_changes_nothing(self, seeded):
        before = all_rows()

        assert seeddemo() == seeded
        assert all_rows() == before

    def test_later_run_changes_nothing(self, seeded):
        before = all_rows()
        seed.seed_demo(today() + timedelta(days=40))

        assert all_rows() == before

    def test_users_changes_are_kept(self, seeded):
        User.objects.filter(email="bob@example.com").update(is_active=False, is_staff=True)
        storage_mode.switch_on(user("alice"))
        Account.objects.filter(name="Savings").update(name="Rainy days", current_balance=Decimal("12.50"))
        account("Cash at home").close()
        Account.objects.filter(name="Brokerage").update(owner=user("alice"))
        Transaction.objects.filter(account__name="Gold Card").first().delete()
        before = all_rows()
        seeddemo()

        assert all_rows() == before

    @pytest.mark.rule("M4")
    def test_deleted_transactions_stay_deleted(self, seeded):
        bobs = Transaction.objects.filter(account__owner=user("bob")).count()
        storage_mode.switch_off(user("alice"))

        assert "(5 accounts, 0 transactions)" in seeddemo()
        assert Transaction.objects.count() == bobs

    def test_missing_account_is_recreated(self, seeded):
        before = all_rows()
        account("Gold Card").delete()
        assert all_rows() != before
        seeddemo()

        strip = re.compile(r"'created_at': datetime\.datetime\([^)]*\)")
        assert [[strip.sub("", row) for row in rows] for rows in all_rows()] == [
            [strip.sub("", row) for row in rows] for rows in before
        ]

    def test_changed_password_is_not_printed(self, seeded):
        alice = user("alice")
        alice.set_password("my own one")
        alice.save(update_fields=["password"])
        message = seeddemo()

        assert re.search(r"alice@example.com  with the password you set  \(", message)
        assert re.search(rf"bob@example.com  password {PASSWORD}", message)
        assert user("alice").check_password("my own one")

    def test_password_check_keeps_hash(self, seeded, settings):
        before = all_rows()
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.ScryptPasswordHasher",
            *settings.PASSWORD_HASHERS,
        ]
        assert check_password(seed.demo_password(), user("alice").password)
        seeddemo()

        assert all_rows() == before

    def test_owner_with_changed_email_is_kept(self, seeded):
        alice = user("alice")
        alice.email = "me@example.org"
        alice.save(update_fields=["email"])
        message = seeddemo()

        assert User.objects.count() == 2
        assert f"me@example.org  password {seed.demo_password()}  (5 accounts" in message

    def test_existing_user_gets_accounts(self, db, short_history):
        before = UserFactory(email="Alice@example.com", is_staff=True)
        message = seeddemo()

        after = User.objects.get(pk=before.pk)
        assert (after.password, after.is_staff, after.email) == (before.password, True, before.email)
        assert after.accounts.count() == 5
        assert "with the password you set" in message


class TestData(TestCase):
    """The complete demo, created once."""

    @classmethod
    def setUpTestData(cls):
        seed.seed_demo(today())

    def test_rows_are_valid(self):
        for row in [*User.objects.all(), *Account.objects.all()]:
            row.full_clean()
        for row in Transaction.objects.all():
            row.clean_fields(exclude=["account", "sort_date"])

    def test_accounts_cover_every_kind(self):
        alices = Account.objects.filter(owner=user("alice"))

        assert Counter(alices.values_list("status", flat=True)) == {"active": 3, "closed": 1, "disconnected": 1}
        assert set(Account.objects.values_list("currency", flat=True)) == {"USD", "EUR"}
        assert alices.get(provider="manual").bank_connection_id is None
        assert alices.get(status="closed").closed_at == alices.get(status="closed").balance_as_of
        assert not Account.objects.exclude(status="closed").filter(closed_at__isnull=False).exists()

    def test_synced_accounts_have_provider_data(self):
        at_banks = Account.objects.exclude(provider="manual")

        assert at_banks.count() == 7
        for item in at_banks:
            assert re.fullmatch(r"\d{4}", item.mask)
            assert item.provider_account_id
            assert item.bank_connection_id
            assert item.institution_name

    def test_institution_has_one_connection(self):
        connections = set(Account.objects.values_list("institution_name", "bank_connection_id"))

        assert len({institution for institution, _ in connections}) == len(connections)
        assert len({connection for _, connection in connections}) == len(connections)
        assert Account.objects.filter(institution_name="Chase").count() == 2
        assert Account.objects.filter(institution_name="Charles Schwab").count() == 2

    def test_liabilities_are_valid(self):
        liabilities = [account.liability for account in Account.objects.filter(liability__isnull=False)]

        for liability in liabilities:
            validate_liability(liability)
        assert sorted(liability["type"] for liability in liabilities) == ["credit", "mortgage"]

    def test_currencies_match_accounts(self):
        for account in Account.objects.all():
            assert set(account.transactions.values_list("currency", flat=True)) == {account.currency}

    def test_card_payments_match(self):
        paid = account("Total Checking").transactions.filter(merchant_name="American Express")
        received = account("Gold Card").transactions.filter(merchant_name="Autopay payment")

        assert [(row.posted_date, -row.amount) for row in paid] == [(row.posted_date, row.amount) for row in received]
        assert paid.count() in (6, 7)


class TestTransactions:
    @pytest.mark.thorough
    @pytest.mark.parametrize("day", DAYS, ids=str)
    def test_transactions_are_consistent_on_any_day(self, day):
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
            assert row.posted_date is None or day - seed.HISTORY <= row.posted_date <= day
            assert row.authorized_date is None or row.authorized_date <= (row.posted_date or day)

    @pytest.mark.parametrize("day", [date(2028, 1, 8), date(2028, 3, 28), date(2028, 5, 20)], ids=str)
    def test_silent_accounts_have_no_pending_rows(self, day):
        for slug in ("alice/chase-savings", "alice/cash"):
            (account,) = (account for account in OWNERS["alice@example.com"] if account.slug == slug)
            assert {row.status for row in seed.generate_transactions(account, day)} == {"posted"}

    def test_amounts_are_whole_cents(self):
        for row in rows_on(DAYS[0]):
            assert row.amount
            assert row.amount == round(row.amount, 2)
            assert abs(row.amount) < Decimal("10000")
            assert row.net_amount == (None if row.fees is None else row.amount - row.fees)
            assert bool(row.fees) == bool(row.fee_type)

    def test_transactions_are_realistic(self):
        rows = rows_on(DAYS[0])

        assert {row.payment_channel for row in rows} == {"online", "in store", "other"}
        assert {row.fee_type for row in rows} >= {"atm", "foreign_transaction", "conversion"}
        assert len([row for row in rows if row.merchant_name == "Northwind Traders" and row.amount > 3000]) >= 13
        checks = [row.check_number for row in rows if row.check_number]
        assert len(set(checks)) == len(checks) >= 12
        assert all(row.original_description for row in rows if row.provider != "manual")

    def test_day_does_not_depend_on_seed_date(self):
        def posted(seed_date):
            settled = (row for row in rows_on(seed_date) if row.status == "posted" and row.currency == "USD")
            common = (row for row in settled if DAYS[0] - timedelta(100) <= row.created_date <= DAYS[0] - timedelta(70))
            return sorted((row.pk, row.amount, row.summary, row.posted_date) for row in common)

        assert len(posted(DAYS[0])) > 50
        assert posted(DAYS[0]) == posted(DAYS[0] + timedelta(days=30))
