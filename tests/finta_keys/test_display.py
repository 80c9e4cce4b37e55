import re
from types import SimpleNamespace

import pytest

from accounts_app.models import Account
from finta_keys import display
from finta_keys.checks.settings import check_settings
from finta_keys.templatetags.finta_keys import chip
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import read, submit, url


def group_names(accounts):
    return [(name, [account.name for account in group]) for name, group in display.grouped(accounts)]


def test_groups_keep_order_and_unnamed_is_last(settings):
    cash, one, two, three = (
        SimpleNamespace(institution_name=bank, name=name)
        for bank, name in [("", "Cash"), ("First Bank", "1"), ("Chase", "2"), ("First Bank", "3")]
    )
    assert group_names([cash, one, two, three]) == [("First Bank", ["1", "3"]), ("Chase", ["2"]), ("", ["Cash"])]
    settings.FINTA_KEYS_ACCOUNT_GROUP = ""
    assert group_names([cash, one]) == [("", ["Cash", "1"])]


def test_none_is_no_group(settings):
    settings.FINTA_KEYS_ACCOUNT_GROUP = "bank_connection_id"
    assert group_names([SimpleNamespace(bank_connection_id=None, name="Cash")]) == [("", ["Cash"])]


def test_label_defaults_to_str(settings):
    account = AccountFactory.build(mask="0001", name="Savings")
    assert display.label(account) == "Savings ··0001"
    del settings.FINTA_KEYS_ACCOUNT_LABEL
    assert display.label(account) == "First Bank Savings ··0001"


def test_form_has_fieldset_per_group(alice, alices_browser):
    for bank in ("Chase", "Chase", "Wise", "Wise", ""):
        AccountFactory(owner=alice, institution_name=bank)
    response = alices_browser.get(url("create"))
    assert response.content.decode().count("<fieldset>") == 3
    assert all(f"{bank} All of {bank} None of {bank}" in read(response) for bank in ("Chase", "Wise"))
    assert "All of Other accounts" not in read(response)  # only one


def test_form_without_groups_has_one_fieldset(alice, alices_browser, accounts, settings):
    del settings.FINTA_KEYS_ACCOUNT_GROUP
    response = alices_browser.get(url("create"))
    assert response.content.decode().count("<fieldset>") == 1
    assert "All of" not in read(response)
    assert "0 of 3 selected All accounts None of the accounts" in read(response)


def test_account_search_appears_from_ten_accounts(alice, alices_browser):
    AccountFactory.create_batch(9, owner=alice)
    assert "Find an account" not in read(alices_browser.get(url("create")))
    AccountFactory(owner=alice)
    assert "Find an account" in read(alices_browser.get(url("create")))


def test_form_without_accounts_says_so(alices_browser, settings):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "finta_keys/base.html"
    assert "You have no accounts to select yet" in read(alices_browser.get(url("create")))


def test_edit_scope_marks_saved_scope(alices_browser, restricted, accounts):
    for response in (
        alices_browser.get(url("edit_scope", restricted.key)),
        submit(alices_browser, url("edit_scope", restricted.key), accounts=["made-up", accounts.cash.pk]),
    ):
        assert response.content.decode().count("data-accessible") == 1
        added = f"Adds 2: {accounts.cash.label}, {accounts.savings.label}. Includes accounts you add later."
        assert added in read(response)


def test_edit_scope_marks_everything_for_unrestricted_key(alices_browser, unrestricted):
    response = alices_browser.get(url("edit_scope", unrestricted.key))
    assert response.content.decode().count("data-accessible") == 4  # the switch and three accounts
    assert "Removes every account that you do not select" in read(response)


@pytest.mark.parametrize("action", ["rotate", "delete"])
def test_confirmation_lists_accounts_of_key(alices_browser, restricted, accounts, action):
    response = alices_browser.get(url(action, restricted.key))
    assert f"It can access 1 of 3 accounts: First Bank {accounts.checking.label}" in read(response)
    restricted.key.share_all()
    text = read(alices_browser.get(url(action, restricted.key)))
    assert "It can access all accounts, including future ones. Currently 3 accounts:" in text
    restricted.key.restrict_to([accounts.checking])
    accounts.checking.delete()
    assert "It can access nothing" in read(alices_browser.get(url(action, restricted.key)))


@pytest.mark.parametrize("setting", ["FINTA_KEYS_ACCOUNT_GROUP", "FINTA_KEYS_ACCOUNT_LABEL"])
def test_check_rejects_missing_account_attribute(settings, setting):
    assert check_settings(None) == []
    setattr(settings, setting, "made_up")
    (error,) = check_settings(None)
    assert error.id == "finta_keys.E001"
    assert setting in error.msg
    setattr(settings, setting, "")
    assert check_settings(None) == []


def test_check_skips_attributes_of_wrong_model(settings):
    settings.FINTA_KEYS_ACCOUNT_LABEL = "made_up"
    settings.FINTA_KEYS_OWNER_FIELD = "made_up"
    (error,) = check_settings(None)
    assert "has no foreign key 'made_up'" in error.msg


@pytest.mark.parametrize("view", ["rotate", "delete"])
def test_confirmation_names_at_most_100_accounts(alice, alices_browser, view):
    key, _ = make_key(alice, "Many", AccountFactory.create_batch(103, owner=alice))
    response = alices_browser.get(url(view, key))
    assert response.content.decode().count("··") == 100
    assert "and 3 more, listed in Edit scope" in read(response)


@pytest.mark.parametrize(("count", "names"), [(100, 14), (101, 0)])
def test_list_names_no_accounts_of_large_scopes(alice, alices_browser, count, names):
    """Two accounts are shown, with titles, and ten are listed."""
    make_key(alice, "Many", AccountFactory.create_batch(count, owner=alice))
    response = alices_browser.get(url("list"))
    assert response.content.decode().count("··") == names
    assert f"{count} of {count} accounts" in read(response)


def test_admin_names_at_most_100_accounts(alice):
    key, _ = make_key(alice, "Many", AccountFactory.create_batch(103, owner=alice))
    page = admin_pages.operator().get(admin_pages.url("change", key.pk)).content.decode()
    assert page.count("··") == 100
    assert "… listed in Edit scope" in page


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["\u202esgnivaS", "Two\nlines", "مدخرات"])
@pytest.mark.parametrize("view", ["list", "create", "edit_scope", "rotate", "delete"])
def test_account_names_are_isolated(alices_browser, alice, restricted, accounts, name, view):
    """A name cannot change the order of the text around it."""
    Account.objects.filter(owner=alice).update(name=name, institution_name=name)
    html = alices_browser.get(url(view, None if view in ("list", "create") else restricted.key)).content.decode()
    visible = re.sub(r'<span class="finta-visually-hidden">.*?</span>|="[^"]*"', "", html, flags=re.DOTALL)
    isolated = re.findall(rf"<bdi[^<]*>[^<]*{name}[^<]*</bdi>", visible)
    assert len(isolated) >= (1 if view == "list" else 2)
    assert visible.count(name) == sum(text.count(name) for text in isolated)


@pytest.mark.parametrize("view", ["create", "edit_scope", "change", "rotate", "delete"])
def test_admin_isolates_account_names(alice, restricted, accounts, view):
    name = "\u202esgnivaS"
    Account.objects.filter(owner=alice).update(name=name)
    address = admin_pages.url(view, alice.pk if view == "create" else restricted.key.pk)
    html = admin_pages.operator().get(address).content.decode()
    assert html.count(name) == len(re.findall(rf"<bdi>[^<]*{name}[^<]*</bdi>", html)) >= 1


@pytest.mark.parametrize("name", ["", "\u200b", " \u2060\n"])
def test_invisible_label_is_replaced(settings, name):
    settings.FINTA_KEYS_ACCOUNT_LABEL = "name"
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("shop", "shops")
    assert display.label(SimpleNamespace(name=name, pk=7)) == "Shop 7"


@pytest.mark.parametrize(
    ("name", "mask", "expected"),
    [
        ("Checking", "1234", '<bdi>Checking </bdi><span dir="auto">··1234</span>'),
        ("Brokerage", "", "<bdi>Brokerage</bdi>"),
        ("Savings of a grandmother", "", "<bdi>Savings of a grandmother</bdi>"),
    ],
)
def test_chip_keeps_short_last_word_in_one_piece(name, mask, expected):
    assert chip(Account(name=name, mask=mask)) == expected


@pytest.mark.parametrize("count", [5, 6, 7, 100])
def test_first_labels_end_with_an_ellipsis(alice, count, django_assert_num_queries):
    labels = [display.label_html(AccountFactory(owner=alice, name=f"Account {number:02}")) for number in range(count)]
    with django_assert_num_queries(1):
        text = display.first_labels(Account.objects.order_by("name"))
    assert text == ", ".join([*labels[:6], "…"] if count > 6 else labels)
