"""Adding manual accounts."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
import time_machine

from accounts_app.forms import AddAccountForm
from accounts_app.models import Account, User
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.accounts_app.accounts_page.helpers import (
    TYPED,
    add,
    flash_message,
    form_values,
    rows,
    text,
)


@time_machine.travel(dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC), tick=False)
def test_add_account_with_all_fields(alice, alices_browser):
    alices_browser.force_login(alice)
    add(
        alices_browser,
        institution_name=" Second Bank ",
        name="Car loan",
        mask="0042",
        type="loan",
        subtype="car",
        currency="eur",
        current_balance="-1,234.5",
        available_balance="0",
    )
    account = Account.objects.get()
    assert (account.owner, account.provider, account.status) == (alice, "manual", "active")
    assert (account.institution_name, account.name, account.mask) == ("Second Bank", "Car loan", "0042")
    assert (account.type, account.subtype, account.currency) == ("loan", "car", "EUR")
    assert (account.current_balance, account.available_balance) == (Decimal("-1234.5"), 0)
    assert account.balance_as_of == dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC)


def test_optional_fields_can_be_empty(alices_browser):
    assert add(alices_browser).status_code == 302
    assert Account.objects.get().available_balance is None


def test_message_lists_keys_with_access(alice, alices_browser, restricted):
    make_key(alice, "Laptop")
    response = add(alices_browser)
    assert (
        flash_message(alices_browser, response)
        == "Added “Cash”. Keys that can access it: Laptop (it shares all accounts)."
    )
    make_key(alice, "Production")
    response = add(alices_browser, name="Purse")
    message = flash_message(alices_browser, response)
    assert message == "Added “Purse”. Keys that can access it: Production, Laptop (they share all accounts)."


def test_message_lists_at_most_five_keys(alice, alices_browser):
    for number in range(8):
        make_key(alice, f"Key {number}")
    message = flash_message(alices_browser, add(alices_browser))
    assert "Key 7, Key 6, Key 5, Key 4, Key 3 and 3 more (they share all accounts)." in message


def test_page_lists_keys_with_access(alice, bob, alices_browser, restricted):
    assert "immediately" not in text(alices_browser.get("/accounts/new"))
    make_key(bob, "Stranger")
    for number in range(7):
        make_key(alice, f"Key {number}")
    listed = "because they share all accounts: Key 6, Key 5, Key 4, Key 3, Key 2 and 2 more."
    assert listed in text(alices_browser.get("/accounts/new"))
    assert listed in text(alices_browser.post("/accounts/new", {}))


def test_expired_keys_are_not_listed(alice, alices_browser):
    key, _ = make_key(alice, "Old")
    ApiKey.objects.filter(pk=key.pk).update(expires_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert "Old" not in text(alices_browser.get("/accounts/new"))
    assert "No key can access it yet" in flash_message(alices_browser, add(alices_browser))


def test_message_without_keys(alice, alices_browser, bob):
    make_key(bob)
    assert (
        flash_message(alices_browser, add(alices_browser))
        == "Added “Cash”. No key can access it yet. Create a key to share it."
    )
    make_key(alice, "Restricted", [Account.objects.get()])
    message = flash_message(alices_browser, add(alices_browser))
    assert message == "Added “Cash”. No key can access it yet. Edit the scope of a key to share it."


@pytest.mark.rule("S3")
def test_added_account_is_visible_to_unrestricted_keys(alices_browser, restricted, unrestricted):
    add(alices_browser, name="Brand new")
    assert "Brand new" not in restricted.client.get("/v2/accounts").content.decode()
    assert "Brand new" in unrestricted.client.get("/v2/accounts").content.decode()


def test_adding_changes_no_owner_or_key(alice, alices_browser, restricted):
    before = list(ApiKey.objects.values()), list(User.objects.values())
    made_up = str(uuid.uuid4())
    add(alices_browser, owner="bob", owner_id=made_up, provider="plaid", status="closed", id=made_up)
    account = Account.objects.get(name="Cash", institution_name="")
    assert (account.owner, account.provider, account.status) == (alice, "manual", "active")
    assert (list(ApiKey.objects.values()), list(User.objects.values())) == before


def test_repeated_submission_adds_nothing(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    first, again = (alices_browser.post("/accounts/new", sent) for _ in range(2))
    assert (first.status_code, first.url) == (again.status_code, again.url) == (302, "/accounts")
    assert Account.objects.count() == 1


def test_equal_values_count_as_repeated(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    otherwise = {"name": " Cash ", "currency": "usd", "current_balance": "12.5"}
    again = alices_browser.post("/accounts/new", {**sent, **otherwise})
    assert again.status_code == 302
    assert Account.objects.count() == 1


def test_changed_resubmission_asks_first(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    page = alices_browser.post("/accounts/new", {**sent, "name": "Purse"})
    assert page.status_code == 409
    assert "You have already added an account" in text(page)
    assert Account.objects.count() == 1
    assert form_values(page)["name"] == "Purse"
    assert alices_browser.post("/accounts/new", form_values(page)).status_code == 302
    assert sorted(Account.objects.values_list("name", flat=True)) == ["Cash", "Purse"]


def test_late_resubmission_keeps_later_edit(alices_browser):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    account = Account.objects.get()
    account.edit(name="Wallet")
    account.close()
    before = rows()
    assert alices_browser.post("/accounts/new", sent).status_code == 409
    assert rows() == before


def test_nonce_of_other_owner_is_harmless(alices_browser, bobs_browser, bob):
    sent = {**form_values(bobs_browser.get("/accounts/new")), **TYPED, "name": "Bob's secret hoard"}
    bobs_browser.post("/accounts/new", sent)
    before = Account.objects.values().get(owner=bob)
    stolen = alices_browser.post("/accounts/new", {**sent, "name": "Mine"})
    unused = alices_browser.post("/accounts/new", {**sent, "name": "Mine", "nonce": str(uuid.uuid4())})
    assert (stolen.status_code, stolen.url) == (unused.status_code, unused.url) == (302, "/accounts")
    assert Account.objects.values().get(owner=bob) == before
    assert "hoard" not in text(alices_browser.get("/accounts"))


def test_account_id_as_nonce_is_harmless(alices_browser, bobs_account, cash):
    before = rows()
    for response in (bobs_account, cash):
        sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED, "nonce": str(response.pk)}
        assert alices_browser.post("/accounts/new", sent).status_code == 302
    assert [row for row in rows() if row in before] == before
    assert Account.objects.count() == len(before) + 2


@pytest.mark.parametrize("changes", [{}, {"name": "Bob's secret hoard"}])
def test_resubmission_after_transfer_reveals_nothing(alices_browser, bob, changes):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    alices_browser.post("/accounts/new", sent)
    Account.objects.update(owner=bob, **changes)
    before = rows()
    response = alices_browser.post("/accounts/new", sent)
    assert response.status_code == 409
    assert "hoard" not in text(response)
    assert rows() == before


@pytest.mark.parametrize("nonce", ["", "x", "\0", "\ud800"])
def test_invalid_nonce_is_replaced(alices_browser, nonce):
    response = alices_browser.post("/accounts/new", {**TYPED, "nonce": nonce.encode("utf-8", "replace").decode()})
    assert "This form was incomplete" in text(response)
    assert not Account.objects.exists()
    assert alices_browser.post("/accounts/new", form_values(response)).status_code == 302
    assert Account.objects.get().name == "Cash"


def test_deleted_owner_adds_nothing(alice, alices_browser, monkeypatch):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    save = AddAccountForm.save
    monkeypatch.setattr(AddAccountForm, "save", lambda form, owner: User.objects.get().delete() and save(form, owner))
    assert alices_browser.post("/accounts/new", sent).url == "/login"
    assert not Account.objects.exists()


@pytest.mark.rule("T2")
def test_add_locks_the_owner_first(alices_browser, django_assert_max_num_queries):
    sent = {**form_values(alices_browser.get("/accounts/new")), **TYPED}
    with django_assert_max_num_queries(11) as queries:
        alices_browser.post("/accounts/new", sent)
    statements = [query["sql"] for query in queries]
    save = next(number for number, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "accounts_app_user"' in statements[save + 1]
