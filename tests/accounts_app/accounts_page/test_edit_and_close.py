"""Editing and closing manual accounts."""

import re
import uuid

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts_app.forms import EditAccountForm
from accounts_app.models import Account
from finta_keys.testing import comparable_parts
from tests.accounts_app.accounts_page.helpers import (
    BACK,
    TYPED,
    close_url,
    edit_url,
    flash_message,
    form_values,
    main_text,
    rows,
    text,
)
from tests.factories import UserFactory

# Editing


def test_edit_saves_only_form_fields(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(liability={"type": "credit"}, bank_connection_id=uuid.uuid4())
    before = Account.objects.values().get(pk=cash.pk)
    sent = {
        **form_values(alices_browser.get(edit_url(cash))),
        "name": "Wallet",
        "provider": "plaid",
        "status": "closed",
    }
    assert flash_message(alices_browser, alices_browser.post(edit_url(cash), sent)) == "Saved “Wallet”."
    assert Account.objects.values().get(pk=cash.pk) == {**before, "name": "Wallet"}


def test_changed_balance_updates_its_date(alices_browser, cash):
    sent = form_values(alices_browser.get(edit_url(cash)))
    alices_browser.post(edit_url(cash), {**sent, "subtype": "coins"})
    assert Account.objects.get(pk=cash.pk).balance_as_of is None
    alices_browser.post(edit_url(cash), {**sent, "current_balance": "7"})
    account = Account.objects.get(pk=cash.pk)
    assert account.balance_as_of is not None
    assert (account.subtype, account.current_balance) == ("coins", 7)


def test_edit_clears_optional_field(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(available_balance=5)
    sent = form_values(alices_browser.get(edit_url(cash)))
    assert sent["available_balance"] == "5.00"
    alices_browser.post(edit_url(cash), {**sent, "available_balance": "", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.available_balance, account.institution_name) == (None, "")


def test_unchanged_form_saves_nothing(alices_browser, cash):
    before = rows()
    sent = form_values(alices_browser.get(edit_url(cash)))
    sent["current_balance"] = "100.250"
    assert flash_message(alices_browser, alices_browser.post(edit_url(cash), sent)) == "Nothing was changed."
    assert rows() == before


def test_two_tabs_keep_each_others_changes(alices_browser, cash):
    one, two = (form_values(alices_browser.get(edit_url(cash))) for _ in range(2))
    alices_browser.post(edit_url(cash), {**one, "name": "Wallet", "available_balance": "3"})
    alices_browser.post(edit_url(cash), {**two, "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.available_balance, account.current_balance) == ("Wallet", 3, 42)


def test_corrected_tab_keeps_other_changes(alices_browser, cash):
    stale = form_values(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(name="Wallet")
    refused = alices_browser.post(edit_url(cash), {**stale, "current_balance": "x"})
    alices_browser.post(edit_url(cash), {**form_values(refused), "current_balance": "42"})
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.current_balance) == ("Wallet", 42)


def test_second_tab_does_not_replace_change_unseen(alices_browser, cash):
    """It shows the current values, keeps the input, and saves if the user insists."""
    first, second = (form_values(alices_browser.get(edit_url(cash))) for _ in range(2))
    alices_browser.post(edit_url(cash), {**first, "name": "Wallet", "mask": "", "subtype": "coins"})
    before = rows()
    typed = {"name": "Purse", "mask": "99", "current_balance": "42"}
    response = alices_browser.post(edit_url(cash), {**second, **typed})
    assert response.status_code == 409
    assert rows() == before
    page = main_text(response)
    assert "Nothing was saved. The account was changed after you opened this form. Check the marked fields." in page
    assert page.count("This is now “Wallet”. Save again to replace it.") == 1
    assert page.count("This is now empty. Save again to replace it.") == 1
    assert text(response).count('aria-invalid="true"') == 2
    shown = form_values(response)
    assert {name: shown[name] for name in typed} == typed
    assert shown["subtype"] == "coins"  # the user did not change it
    flash_message(alices_browser, alices_browser.post(edit_url(cash), shown))
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.mask, account.subtype, account.current_balance) == ("Purse", "99", "coins", 42)


def test_second_change_after_conflict_is_one_too(alices_browser, cash):
    shown = form_values(alices_browser.get(edit_url(cash)))
    Account.objects.update(current_balance="1200.5")
    response = alices_browser.post(edit_url(cash), {**shown, "current_balance": "42"})
    assert "This is now “1200.50”" in text(response)
    Account.objects.update(current_balance="7")
    response = alices_browser.post(edit_url(cash), form_values(response))
    assert (response.status_code, "This is now “7.00”" in text(response)) == (409, True)
    assert Account.objects.get(pk=cash.pk).current_balance == 7


def test_same_change_in_two_tabs_is_no_conflict(alices_browser, cash):
    first, second = ({**form_values(alices_browser.get(edit_url(cash))), "current_balance": "42"} for _ in range(2))
    for sent in (first, {**second, "current_balance": "42.0", "name": "Wallet"}):
        flash_message(alices_browser, alices_browser.post(edit_url(cash), sent))
    assert Account.objects.get(pk=cash.pk).name == "Wallet"


def test_value_with_blanks_is_no_conflict(alices_browser, cash):
    """The admin may store texts that the form trims."""
    Account.objects.filter(pk=cash.pk).update(name=" Cash ", currency="usd")
    sent = form_values(alices_browser.get(edit_url(cash)))
    flash_message(alices_browser, alices_browser.post(edit_url(cash), {**sent, "name": "Wallet", "currency": "EUR"}))
    assert Account.objects.get(pk=cash.pk).name == "Wallet"


def test_invalid_initial_value_is_a_conflict(alices_browser, cash):
    sent = form_values(alices_browser.get(edit_url(cash)))
    sent |= {"initial-current_balance": "much", "current_balance": "42"}
    response = alices_browser.post(edit_url(cash), sent)
    assert (response.status_code, "This is now “100.25”" in text(response)) == (409, True)
    assert form_values(response)["initial-current_balance"] == "100.25"


def test_form_without_initial_values_is_compared(alices_browser, cash):
    alices_browser.post(edit_url(cash), {**TYPED, "current_balance": "100.25", "institution_name": ""})
    account = Account.objects.get(pk=cash.pk)
    assert (account.institution_name, account.mask, account.balance_as_of) == ("", "", None)


def test_disconnected_manual_account_is_writable(alices_browser, cash):
    Account.objects.filter(pk=cash.pk).update(status="disconnected")
    sent = {**form_values(alices_browser.get(edit_url(cash))), "name": "Wallet"}
    assert alices_browser.post(edit_url(cash), sent).status_code == 302


def test_edit_of_closed_account_shows_values(alices_browser, cash):
    sent = form_values(alices_browser.get(edit_url(cash)))
    cash.close()
    before = rows()
    response = alices_browser.post(edit_url(cash), {**sent, "name": "Typed for nothing"})
    assert response.status_code == 409
    assert "This account is closed. Closed accounts cannot be changed. Nothing was saved." in text(response)
    assert form_values(response)["name"] == "Typed for nothing"
    assert ">Save<" not in text(response)
    assert BACK in text(response)
    assert rows() == before


def test_concurrent_close_wins(alices_browser, cash, monkeypatch):
    """The row is loaded again under a lock."""
    sent = form_values(alices_browser.get(edit_url(cash)))
    now = Account.objects.get(pk=cash.pk)
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: now.close() or {"name": "Wallet"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Wallet"}).status_code == 409
    account = Account.objects.get(pk=cash.pk)
    assert (account.name, account.status) == ("Cash", "closed")


def test_concurrent_transfer_wins(alices_browser, cash, bob, monkeypatch):
    sent = form_values(alices_browser.get(edit_url(cash)))
    monkeypatch.setattr(EditAccountForm, "changes", lambda form: Account.objects.update(owner=bob) and {"name": "Mine"})
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert Account.objects.get(pk=cash.pk).name == "Cash"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_synced_account_page(alices_browser, accounts, page, method):
    before = rows()
    response = getattr(alices_browser, method)(page(accounts.checking), {**TYPED, "name": "x"})
    assert response.status_code == 409
    assert "This account is synced from your bank. Only manual accounts can be changed." in text(response)
    assert BACK in text(response)
    assert rows() == before


@pytest.mark.parametrize("page", [edit_url, close_url])
def test_closed_account_page(alices_browser, cash, page):
    cash.close()
    response = alices_browser.get(page(cash))
    assert response.status_code == 409
    assert "This account is closed. Closed accounts cannot be changed." in text(response)
    assert BACK in text(response)


# Closing


def test_close_asks_for_confirmation(alices_browser, cash):
    page = main_text(alices_browser.get(close_url(cash)))
    assert "Close “ Cash ”?" in page
    assert "can still read it" in page
    assert "can no longer edit it" in page
    assert "cannot be undone" in page
    assert Account.objects.get(pk=cash.pk).status == "active"


def test_keys_can_read_closed_account(alices_browser, cash, unrestricted):
    before = Account.objects.values().get(pk=cash.pk)
    assert flash_message(alices_browser, alices_browser.post(close_url(cash))) == "Closed “Cash”."
    after = Account.objects.values().get(pk=cash.pk)
    assert after == {**before, "status": "closed", "closed_at": after["closed_at"]}
    assert unrestricted.client.get(f"/v2/accounts/{cash.pk}").json()["account"]["status"] == "closed"
    assert f"{cash.label} (closed)" in text(alices_browser.get("/accounts"))


def test_repeated_close_changes_nothing(alices_browser, cash):
    flash_message(alices_browser, alices_browser.post(close_url(cash)))
    before = rows()
    assert flash_message(alices_browser, alices_browser.post(close_url(cash))) == "Closed “Cash”."
    assert rows() == before


# Missing accounts


def without_token(response):
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", response.content)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
@pytest.mark.parametrize("page", [edit_url, close_url])
def test_foreign_missing_and_malformed_look_alike(alice, alices_browser, bobs_account, page, method):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    before = rows()
    ids = [bobs_account.pk, uuid.uuid4(), "none", "0", "%00", "%F0%9F%8F%A6", f"{bobs_account.pk}x", "x" * 3000, "'--"]
    with time_machine.travel(timezone.now(), tick=False):  # The Expires header contains the second.
        responses = [getattr(alices_browser, method)(page(pk), TYPED if method == "post" else None) for pk in ids]
    assert (
        len(
            {
                (response.status_code, without_token(response), str(sorted(comparable_parts(response)[2].items())))
                for response in responses
            }
        )
        == 1
    )
    assert rows() == before
    if method in ("get", "post"):
        assert responses[0].status_code == 404
        assert "Account not found" in text(responses[0])
        assert "may have been deleted, or moved" in text(responses[0])
        assert BACK in text(responses[0])


def test_foreign_and_missing_cost_same_queries(alices_browser, bobs_account, django_assert_num_queries):
    for pk in (bobs_account.pk, uuid.uuid4()):
        with django_assert_num_queries(3):  # session, user, account
            alices_browser.get(edit_url(pk))
        with django_assert_num_queries(3):
            alices_browser.post(edit_url(pk), TYPED)


def test_superuser_cannot_open_foreign_account(bobs_account):
    Account.objects.filter(pk=bobs_account.pk).update(provider="manual")
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert browser.post(edit_url(bobs_account), TYPED).status_code == 404
    assert browser.post(close_url(bobs_account)).status_code == 404
    assert Account.objects.get(pk=bobs_account.pk).status == "active"


def test_transferred_account_is_not_found(alices_browser, cash, bob):
    sent = form_values(alices_browser.get(edit_url(cash)))
    Account.objects.filter(pk=cash.pk).update(owner=bob)
    assert alices_browser.post(edit_url(cash), {**sent, "name": "Mine"}).status_code == 404
    assert alices_browser.post(close_url(cash)).status_code == 404
    assert (Account.objects.get(pk=cash.pk).name, Account.objects.get(pk=cash.pk).status) == ("Cash", "active")


@pytest.mark.parametrize("path", ["/accounts/new", "edit", "close"])
def test_forms_need_csrf_token(alice, cash, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = rows()
    path = {"edit": edit_url(cash), "close": close_url(cash)}.get(path, path)
    assert browser.post(path, TYPED).status_code == 403
    assert rows() == before
