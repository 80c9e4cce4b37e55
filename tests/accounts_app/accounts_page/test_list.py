"""The Accounts page: labels and the list."""

import itertools
import re
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.test import Client

from accounts_app import storage_mode
from accounts_app.models import Account
from accounts_app.templatetags.money import money
from finta_keys.testing import make_key
from tests.accounts_app.accounts_page.helpers import TYPED, close_url, edit_url, main_text, rows, text
from tests.factories import AccountFactory

# Labels


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "Savings ··0002"),
        ({"mask": ""}, "Savings"),
        ({"status": "closed"}, "Savings ··0002 (closed)"),
        ({"status": "disconnected", "mask": ""}, "Savings (disconnected)"),
    ],
)
def test_account_label(fields, label):
    account = Account(institution_name="First Bank", name="Savings", **{"mask": "0002", **fields})
    assert account.label == label
    assert str(account).startswith("First Bank Savings")
    assert "closed" not in str(account)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("5", "5.00"),
        ("1234.5", "1,234.50"),
        ("-1234567.0000", "−1,234,567.00"),
        ("0.0001", "0.0001"),
        ("12.3450", "12.345"),
        ("99999999999.9999", "99,999,999,999.9999"),
        ("999999999999999", "999,999,999,999,999.00"),
    ],
)
def test_money_filter(amount, words):
    assert money(Decimal(amount)) == words


# The list


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "/accounts/1/edit", "/accounts/1/close"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_need_sign_in(db, path, method):
    assert getattr(Client(), method)(path).url == f"/login?next={path}"


@pytest.mark.rule("K6")
def test_pages_reject_keys(unrestricted, cash):
    before = rows()
    for path in ("/accounts", "/accounts/new", edit_url(cash), close_url(cash)):
        assert unrestricted.client.get(path).status_code == 302
        assert unrestricted.client.post(path, TYPED).status_code == 302
    assert rows() == before


def test_pages_are_not_cached(alices_browser, cash, accounts):
    for path in ("/accounts", "/accounts/new", edit_url(cash), edit_url(accounts.checking), edit_url("none")):
        assert "no-store" in alices_browser.get(path)["Cache-Control"]


def test_accounts_are_grouped_by_institution(alice, alices_browser):
    for institution, name in (("Zeta Bank", "Loan"), ("", "Cash"), ("Alpha Bank", "A"), ("Zeta Bank", "Card")):
        AccountFactory(owner=alice, institution_name=institution, name=name, mask="")
    page = text(alices_browser.get("/accounts"))
    institutions = re.findall(r'class="finta-group-head"[^>]*><bdi>(.*?)</bdi>', page)
    assert institutions == ["Alpha Bank", "Zeta Bank", "Other accounts"]
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi></th>', page) == ["A", "Card", "Loan", "Cash"]
    assert page.count('<caption class="finta-visually-hidden">') == page.count("<table") == 1


@pytest.mark.parametrize(("providers", "number"), [(["bank", "bank"], 1), (["bank", "manual"], 1), (["manual"], 0)])
def test_synced_accounts_are_marked(alice, alices_browser, providers, number):
    """Once for an institution, or in the row if others of the institution are manual."""
    for provider in providers:
        AccountFactory(owner=alice, institution_name="Alpha Bank", provider=provider)
    assert main_text(alices_browser.get("/accounts")).count("Synced from your bank") == number


def test_row_shows_balance_type_and_status(alice, alices_browser):
    AccountFactory(
        owner=alice, name="Card", mask="0007", current_balance=Decimal("-1234.5"), available_balance=Decimal("8.7654")
    )
    words = main_text(alices_browser.get("/accounts"))
    assert "Card ··0007 Checking −1,234.50 USD 8.7654 available Active" in words


def test_zero_available_balance_is_shown(alice, alices_browser):
    account = AccountFactory(owner=alice)
    assert "available" not in main_text(alices_browser.get("/accounts"))
    Account.objects.filter(pk=account.pk).update(available_balance=0)
    assert "0.00 available" in main_text(alices_browser.get("/accounts"))


def test_row_shows_keys_with_access(alice, alices_browser, restricted, unrestricted, bobs_account):
    page = text(alices_browser.get("/accounts"))
    row = {name: page.split(f'<th scope="row"><bdi>{name}')[1].split("</tr>")[0] for name in ("Checking", "Savings")}
    everywhere = f'<a data-dialog href="/settings/api/keys/{unrestricted.key.pk}/edit-scope"'
    assert all(everywhere in value for value in row.values())
    assert f"/keys/{restricted.key.pk}/edit-scope" in row["Checking"]
    assert 'aria-label="Edit scope of Restricted"' in row["Checking"]
    assert "Restricted" not in row["Savings"]
    assert "Bob" not in page


def test_row_without_keys(alices_browser, restricted):
    assert main_text(alices_browser.get("/accounts")).count("No key") == 2


def test_many_keys_link_to_search(alice, alices_browser):
    account = AccountFactory(owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}")
    assert "?q=" not in text(alices_browser.get("/accounts"))
    make_key(alice, "Key 5")
    assert f'href="/settings/api?q={quote(str(account))}">6 keys' in text(alices_browser.get("/accounts"))


def test_old_owners_keys_are_not_shown(alice, bob, bobs_browser, accounts, restricted):
    """The transferred account is still in the scope of the old owner's key."""
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert "Restricted" not in text(bobs_browser.get("/accounts"))
    assert "No key" in text(bobs_browser.get("/accounts"))


def test_names_are_escaped(alice, alices_browser):
    AccountFactory(owner=alice, institution_name="<b>Bank</b>", name="<script>", type="<i>")
    make_key(alice, '"><script>')
    page = text(alices_browser.get("/accounts"))
    assert "<b>Bank" not in page
    assert "<i>" not in page
    assert page.count("<script>") == 0


def test_only_writable_accounts_have_actions(alice, alices_browser, accounts):
    closed = AccountFactory(owner=alice, provider="manual", name="Old")
    closed.close()
    page = text(alices_browser.get("/accounts"))
    assert re.findall(r'href="(/accounts/[^"]*/edit)"', page) == [edit_url(accounts.cash)]
    assert re.findall(r'href="(/accounts/[^"]*/close)"', page) == [close_url(accounts.cash)]
    assert f'aria-label="Edit {accounts.cash.label}"' in page
    assert f'aria-label="Close {accounts.cash.label}"' in page


def test_empty_page_explains_manual_accounts(alices_browser):
    page = text(alices_browser.get("/accounts"))
    assert "No accounts yet" in page
    assert "such as cash" in page
    assert page.count('<a class="finta-button" data-dialog href="/accounts/new">') == 1


def test_storage_mode_warning(alice, alices_browser, accounts):
    assert "rejected" not in text(alices_browser.get("/accounts"))
    make_key(alice)
    assert "rejected" not in text(alices_browser.get("/accounts"))
    storage_mode.switch_off(alice)
    page = text(alices_browser.get("/accounts"))
    assert '<p class="finta-note finta-warning">' in page
    assert '<a href="/settings/data">Data settings</a>' in page


def test_accounts_queries_are_constant(alice, alices_browser, accounts, django_assert_num_queries):
    make_key(alice, "One", [accounts.checking])
    # session, user, accounts and their number, keys with access and their number, the same of keys for all accounts
    with django_assert_num_queries(8):
        alices_browser.get("/accounts")
    for number, account in enumerate(AccountFactory.create_batch(50, owner=alice)):
        make_key(alice, f"Key {number}", [account] if number % 2 else None)
    with django_assert_num_queries(8):
        alices_browser.get("/accounts")


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "edit", "close", "none", "bank"])
def test_heading_levels(alices_browser, accounts, path):
    path = {
        "edit": edit_url(accounts.cash),
        "close": close_url(accounts.cash),
        "none": edit_url("none"),
        "bank": edit_url(accounts.checking),
    }.get(path, path)
    levels = [int(level) for level in re.findall(r"<h(\d)", text(alices_browser.get(path)))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
