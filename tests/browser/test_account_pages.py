"""Forms with more accounts than one page shows."""

import itertools
import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from accounts_app.models import Account
from finta_keys.testing import make_key
from tests.browser.conftest import session_cookie
from tests.browser.scenes import SCENES
from tests.factories import PASSWORD, AccountFactory


@pytest.fixture
def many(alice):
    accounts = [AccountFactory.build(owner=alice, name=f"Number {number:03}", mask="") for number in range(120)]
    return Account.objects.bulk_create(accounts)


def names(*numbers):
    return {f"Number {number:03}" for number in numbers}


def check(tab, *numbers, checked=True):
    for number in numbers:
        tab.place.get_by_role("checkbox", name=f"Number {number:03}").set_checked(checked)


def press(tab, button, text):
    """Press a button that shows another page of accounts, and wait for a text on it."""
    tab.place.get_by_role("button", name=button, exact=True).click()
    expect(tab.place).to_contain_text(text)


def test_create_key_with_accounts_of_two_pages(any_settings, many, api):
    any_settings.click("Create Key")
    any_settings.name.fill("Chosen")
    any_settings.share_all(False)
    check(any_settings, 7)
    press(any_settings, "Next", "101–120 of 120 accounts")
    check(any_settings, 119)
    any_settings.place.get_by_label("Find an account").fill("number 055")
    press(any_settings, "Find", "1–1 of 1 accounts")
    expect(any_settings.place).to_contain_text("2 of 120 selected")
    check(any_settings, 55)
    expect(any_settings.name).to_have_value("Chosen")
    any_settings.submit("Create Key")
    assert api.accounts(any_settings.secret()) == names(7, 55, 119)


def test_edit_scope_on_second_page(any_settings, alice, many, api):
    _, secret = make_key(alice, "Wide", many[:110])
    any_settings.open().click("Edit scope", "Wide")
    check(any_settings, 0, checked=False)
    press(any_settings, "Next", "101–120 of 120 accounts")
    check(any_settings, 101, checked=False)
    check(any_settings, 119)
    any_settings.submit("Save")
    any_settings.is_list()
    assert api.accounts(secret) == names(*range(1, 101), *range(102, 110), 119)


def test_preview_includes_other_pages(api_settings, alice, many):
    make_key(alice, "Wide", many[:110])
    api_settings.open().click("Edit scope", "Wide")
    check(api_settings, 0, 1, checked=False)
    press(api_settings, "Next", "101–120 of 120 accounts")
    change = api_settings.place.locator("[data-change]")
    expect(change).to_have_text("Removes 2: 2 on other pages.")
    check(api_settings, 100, checked=False)
    expect(change).to_have_text(re.compile("^Removes 3: .*Number 100.*, and 2 more.$"))
    expect(api_settings.place).to_contain_text("107 of 120 selected")
    api_settings.share_all(True)
    expect(change).to_have_text(re.compile("^Adds 10: .*Number 110.* Includes accounts you add later.$"))


def test_search_and_save_by_keyboard(api_settings, many, api):
    api_settings.click("Create Key")
    api_settings.share_all(False)
    api_settings.place.get_by_label("Find an account").fill("number 119")
    api_settings.page.keyboard.press("Enter")
    expect(api_settings.place.get_by_text("1–1 of 1 accounts")).to_be_focused()
    check(api_settings, 119)
    api_settings.name.fill("Typed")
    api_settings.page.keyboard.press("Enter")
    assert api.accounts(api_settings.secret()) == names(119)


def test_turned_page_shows_its_accounts(any_settings, many):
    any_settings.click("Create Key")
    any_settings.share_all(False)
    press(any_settings, "Next", "101–120 of 120 accounts")
    shown = any_settings.place.get_by_text("101–120 of 120 accounts")
    expect(shown).to_be_focused()
    expect(shown).to_be_in_viewport()


def test_expired_session_keeps_selection_of_all_pages(api_settings, many, api):
    api_settings.click("Create Key")
    api_settings.name.fill("Typed before")
    api_settings.share_all(False)
    check(api_settings, 7)
    press(api_settings, "Next", "101–120 of 120 accounts")
    check(api_settings, 119)
    Session.objects.all().delete()
    api_settings.submit("Create Key")
    api_settings.page.get_by_label("E-mail").fill("alice@example.com")
    api_settings.page.get_by_label("Password").fill(PASSWORD)
    api_settings.page.get_by_role("button", name="Sign in").click()
    expect(api_settings.place).to_contain_text("101–120 of 120 accounts")
    expect(api_settings.place).to_contain_text("2 of 120 selected")
    api_settings.submit("Create Key")
    assert api.accounts(api_settings.secret()) == names(7, 119)


@pytest.mark.rule("K5")
def test_draft_does_not_overwrite_another_edit(api_settings, alice, many, api, expected):
    expected(409)
    key, secret = make_key(alice, "Wide", many[:110])
    api_settings.open().click("Edit scope", "Wide")
    check(api_settings, 3, checked=False)
    key.restrict_to(many[:1])
    Session.objects.all().delete()
    api_settings.submit("Save")
    api_settings.page.get_by_label("E-mail").fill("alice@example.com")
    api_settings.page.get_by_label("Password").fill(PASSWORD)
    api_settings.page.get_by_role("button", name="Sign in").click()
    expect(api_settings.place).to_contain_text("1–100 of 120 accounts")
    api_settings.submit("Save")
    expect(api_settings.place).to_contain_text("The scope of “Wide” has changed")
    assert api.accounts(secret) == names(0)


def test_account_menu_works_without_javascript(any_settings, alice, base_url, subtests):
    for is_staff, width in itertools.product([True, False], [1280, 390]):
        with subtests.test(is_staff=is_staff, width=width):
            type(alice).objects.filter(pk=alice.pk).update(is_staff=is_staff)
            any_settings.page.context.add_cookies([{**session_cookie(alice), "url": base_url}])
            any_settings.page.set_viewport_size({"width": width, "height": 664})
            use_account_menu(any_settings.open().page, alice, is_staff)


def use_account_menu(page, alice, is_staff):
    """Open and close the menu, and sign out by it."""
    button = page.get_by_role("button", name="Account menu")
    expect(button).to_contain_text(alice.email)
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    button.click()
    expect(page.get_by_role("link", name="Change password")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("link", name="Admin")).to_have_count(int(is_staff))
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    button.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_names_of_accounts_are_not_broken(stage):
    page = SCENES["accounts-many"](stage)
    for width in (1280, 1024, 768):
        page.set_viewport_size({"width": width, "height": 800})
        for name in ("Savings", "Total Checking", "Euro balance"):
            assert page.get_by_role("rowheader", name=name).bounding_box()["width"] > 150, width
