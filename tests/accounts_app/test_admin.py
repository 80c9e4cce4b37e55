"""Users, accounts and transactions in the admin."""

import json
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.db import connection
from django.forms import MultiWidget
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app import storage_mode
from accounts_app.admin import AccountAdmin, UserAdmin
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import PASSWORD, AccountFactory, TransactionFactory, UserFactory

NEW_PASSWORD = "staple battery horse correct"


@pytest.fixture
def superuser(db):
    browser = Client()
    browser.force_login(UserFactory(email="operator@example.com", is_staff=True, is_superuser=True))
    return browser


def url(model, page, *args):
    return reverse(f"admin:accounts_app_{model.__name__.lower()}_{page}", args=args)


def form_data(response):
    """Return the form's values as a browser would submit them."""
    data = {}
    for field in response.context["adminform"].form:
        value, widget = field.value(), field.field.widget
        if isinstance(widget, MultiWidget):
            parts = enumerate(widget.decompress(value))
            data |= {f"{field.html_name}_{number}": part or "" for number, part in parts}
        elif isinstance(value, bool):
            data |= {field.html_name: "on"} if value else {}
        elif value is not None and not field.field.disabled:
            data[field.html_name] = value
    return data


def edit(browser, obj, **changes):
    address = url(type(obj), "change", obj.pk)
    return browser.post(address, {**form_data(browser.get(address)), **changes})


def errors(response):
    assert response.status_code == 200
    return response.context["adminform"].form.errors


# All pages


def test_pages_open(superuser, alice, accounts):
    things = [alice, accounts.checking, TransactionFactory(account=accounts.checking)]
    for thing in things:
        for page in ("changelist", "add"):
            assert superuser.get(url(type(thing), page)).status_code == 200
        for page in ("change", "delete", "history"):
            assert superuser.get(url(type(thing), page, thing.pk)).status_code == 200
    assert superuser.get(reverse("admin:auth_user_password_change", args=[alice.pk])).status_code == 200


@pytest.mark.parametrize("model", [User, Account, Transaction])
@pytest.mark.parametrize("pk", [uuid4(), "x", "_", "a%00b"])
def test_missing_rows_redirect(superuser, model, pk):
    for page in ("change", "delete", "history"):
        address = f"{url(model, 'changelist')}{pk}/{page}/"
        assert superuser.get(address).headers["Location"] == reverse("admin:index")


@pytest.mark.parametrize("model", [User, Account, Transaction])
def test_search_lists(superuser, model):
    transaction = TransactionFactory(
        summary="Needle", account__name="Needle", account__owner__email="needle@example.com"
    )
    matches = superuser.get(url(model, "changelist"), {"q": "needle"}).context["cl"].result_list
    assert [type(row) for row in matches] == [model]
    assert transaction.pk


@pytest.mark.parametrize("make", [UserFactory, AccountFactory, TransactionFactory])
def test_list_queries_are_constant(superuser, make):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            superuser.get(url(make._meta.model, "changelist"))
        return len(captured)

    make()
    queries()  # loads the content types
    with_one = queries()
    make.create_batch(3)
    assert queries() == with_one


# Users


def new_user(browser, email, password=PASSWORD, **data):
    fields = {"email": email, "usable_password": "true", "password1": password, "password2": password}
    return browser.post(url(User, "add"), {**fields, **data})


def test_added_user_can_sign_in(superuser):
    response = new_user(superuser, "Carol@example.com")
    carol = User.objects.get_by_natural_key("carol@EXAMPLE.com")
    assert response.headers["Location"] == url(User, "change", carol.pk)
    assert carol.check_password(PASSWORD)
    assert Client().login(username="carol@example.com", password=PASSWORD)


@pytest.mark.parametrize(
    "email", ["alice@example.com", "ALICE@example.com", "ａlice@example.com", "", "x", "a\0@example.com"]
)
def test_add_rejects_taken_or_invalid_email(superuser, alice, email):
    assert errors(new_user(superuser, email))["email"]
    assert User.objects.count() == 2


@pytest.mark.parametrize("email", ["bob@example.com", "BOB@Example.com", "", "x"])
def test_edit_rejects_taken_or_invalid_email(superuser, alice, bob, email):
    assert errors(edit(superuser, alice, email=email))["email"]
    assert User.objects.get(pk=alice.pk).email == "alice@example.com"


def test_edit_changes_case_of_email(superuser, alice):
    assert edit(superuser, alice, email="Alice@example.com").status_code == 302
    alice.refresh_from_db()
    assert (alice.email, alice.email_key) == ("Alice@example.com", "alice@example.com")


def test_edit_keeps_password_and_session(superuser, alice):
    assert edit(superuser, alice, email="alicia@example.com", is_staff="on").status_code == 302
    assert User.objects.get(pk=alice.pk).is_staff
    assert Client().login(username="alicia@example.com", password=PASSWORD)


def test_set_password(superuser, alice):
    address = reverse("admin:auth_user_password_change", args=[alice.pk])
    data = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert superuser.post(address, data).status_code == 302
    assert Client().login(username=alice.email, password=NEW_PASSWORD)


@pytest.mark.rule("M1")
def test_storage_mode_is_read_only(superuser, alice):
    page = superuser.get(url(User, "change", alice.pk))
    assert "Storage Mode" in page.content.decode()
    assert "storage_mode" not in page.context["adminform"].form.fields
    edit(superuser, alice, storage_mode="on", is_staff="on")
    assert not User.objects.get(pk=alice.pk).storage_mode


@pytest.mark.rule("M2")
def test_edit_keeps_storage_mode_of_new_key(superuser, alice, monkeypatch):
    save = UserAdmin.save_model

    def key_created_meanwhile(*args, **kwargs):
        storage_mode.switch_on(User.objects.get(pk=alice.pk))
        save(*args, **kwargs)

    monkeypatch.setattr(UserAdmin, "save_model", key_created_meanwhile)
    edit(superuser, alice, is_staff="on")
    alice.refresh_from_db()
    assert alice.is_staff
    assert alice.storage_mode


@pytest.mark.rule("X5")
def test_deactivation_invalidates_keys(superuser, alice):
    _, secret = make_key(alice)
    data = form_data(superuser.get(url(User, "change", alice.pk)))
    superuser.post(url(User, "change", alice.pk), {name: value for name, value in data.items() if name != "is_active"})
    assert ApiKey.objects.authenticate(secret) is None


@pytest.mark.rule("T2")
@pytest.mark.parametrize("make", [UserFactory, AccountFactory])
def test_delete_locks_the_owner_first(superuser, make, monkeypatch):
    model, deleted = make._meta.model, []
    delete = model.delete
    monkeypatch.setattr(model, "delete", lambda obj: (deleted.append(obj.pk), delete(obj)))
    one, *many = make.create_batch(3)
    superuser.post(url(model, "delete", one.pk), {"post": "yes"})
    action = {"action": "delete_selected", "_selected_action": [account.pk for account in many], "post": "yes"}
    superuser.post(url(model, "changelist"), action)
    assert sorted(deleted) == sorted([one.pk, *[account.pk for account in many]])
    assert not model.objects.filter(pk__in=deleted).exists()


def test_deleting_user_deletes_related_rows(superuser, alice, accounts, restricted):
    TransactionFactory(account=accounts.checking)
    page = superuser.get(url(User, "delete", alice.pk)).content.decode()
    assert bytes(restricted.key.digest).hex() not in page
    superuser.post(url(User, "delete", alice.pk), {"post": "yes"})
    assert not any(model.objects.exists() for model in (Account, Transaction, ApiKey))


def test_concurrently_taken_email_shows_message(superuser, alice, monkeypatch):
    monkeypatch.setattr(User, "clean", lambda user: None)
    response = new_user(superuser, "ALICE@example.com")
    assert response.headers["Location"] == url(User, "add")
    assert "try again" in str(next(iter(get_messages(response.wsgi_request))))
    assert User.objects.count() == 2


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
