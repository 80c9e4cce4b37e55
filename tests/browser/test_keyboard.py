"""API settings without a mouse."""

import re
from datetime import date

import pytest
from playwright.sync_api import expect

from finta_keys import expiry
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.pages import ApiSettings

FOCUSED = "document.activeElement.outerHTML.slice(0, 120)"
# Tab can also leave a dialog for the browser's own buttons: the active element is the body then.
IN_DIALOG = (
    "[document.querySelector('dialog[open]'), document.body].includes(document.activeElement.closest('dialog, body'))"
)


class Keyboard:
    def __init__(self, page):
        self.page = page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text):
        self.page.keyboard.type(text)

    def tab_to(self, target, *, key="Tab", limit=60):
        """Press Tab until ``target`` has the focus."""
        for _ in range(limit):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.press(key)
        raise AssertionError(f"Tab does not reach {target}; it is at {self.page.evaluate(FOCUSED)}")


@pytest.fixture
def keyboard(page):
    return Keyboard(page)


def test_create_copy_and_close_by_keyboard(api_settings, keyboard, accounts, api, page):
    keyboard.tab_to(api_settings.link("Create Key"))
    keyboard.press("Enter")
    expect(api_settings.name).to_be_focused()
    keyboard.type("By hand")
    keyboard.tab_to(api_settings.place.get_by_role("switch", name="Share all accounts"))
    keyboard.press("Space")
    keyboard.tab_to(api_settings.place.get_by_role("checkbox", name="Savings"))
    keyboard.press("Space")
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Create Key"))
    keyboard.press("Enter")
    secret = api_settings.secret()
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Copy the secret"))
    keyboard.press("Enter")
    expect(api_settings.place.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    keyboard.tab_to(api_settings.done_button)
    keyboard.press("Enter")
    api_settings.is_list()
    expect(api_settings.link("Create Key")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert api.accounts(secret) == {"Savings"}


def test_duplicate_and_delete_all_by_keyboard(api_settings, keyboard, alice, accounts, page):
    make_key(alice, "Production", [accounts.checking])
    api_settings.open()
    keyboard.tab_to(api_settings.link("Rotate", "Production"))
    keyboard.press("Enter")
    keyboard.tab_to(api_settings.place.get_by_role("link", name="Duplicate the key"))
    keyboard.press("Enter")
    expect(api_settings.name).to_be_focused()
    keyboard.type("Successor")
    keyboard.tab_to(api_settings.place.get_by_role("radio", name="Read and write"))
    keyboard.press("ArrowDown")
    keyboard.tab_to(api_settings.place.get_by_label("Expires"))
    keyboard.type("On a date")
    keyboard.tab_to(api_settings.place.get_by_label("Expiry date"))
    keyboard.type("03312099")
    keyboard.tab_to(api_settings.place.get_by_label("Old key"))
    keyboard.press("ArrowDown")
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Create Key"))
    keyboard.press("Enter")
    api_settings.secret()
    copy = ApiKey.objects.get(name="Successor")
    assert (copy.read_only, copy.expires_at) == (True, expiry.start_of(date(2099, 3, 31)))
    assert ApiKey.objects.get(name="Production").expires_at is not None
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Copy the secret"))
    keyboard.press("Enter")
    keyboard.tab_to(api_settings.done_button)
    keyboard.press("Enter")
    api_settings.is_list()
    delete_all = page.get_by_role("link", name="Delete all keys")
    keyboard.tab_to(delete_all)
    keyboard.press("Enter")
    expect(api_settings.place.get_by_role("link", name="Cancel")).to_be_focused()
    keyboard.press("Enter")
    expect(delete_all).to_be_focused()
    keyboard.press("Enter")
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Delete all"), key="Shift+Tab")
    keyboard.press("Enter")
    expect(page.get_by_text("Create your first key")).to_be_visible()


def test_enter_in_name_field_creates_key(api_settings, keyboard, accounts, api):
    api_settings.click("Create Key")
    keyboard.type("Entered")
    keyboard.press("Enter")
    assert api.accepts(api_settings.secret())


def test_edit_scope_with_tab_and_space(api_settings, keyboard, restricted, api):
    api_settings.open()
    keyboard.tab_to(api_settings.link("Edit scope", "Restricted"))
    keyboard.press("Enter")
    for account in ("Cash", "Checking"):
        keyboard.tab_to(api_settings.place.get_by_role("checkbox", name=account))
        keyboard.press("Space")
    summary = api_settings.place.get_by_role("status").filter(has_text="Adds")
    expect(summary).to_contain_text(re.compile("Adds 1: .*Cash"))
    expect(summary).to_contain_text(re.compile("Removes 1: .*Checking"))
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Save"))
    keyboard.press("Enter")
    api_settings.is_list()
    expect(api_settings.link("Edit scope", "Restricted")).to_be_focused()
    assert api.accounts(restricted.secret) == {"Cash"}


def test_dialog_takes_focus_and_escape_returns_it(api_settings, keyboard, restricted, subtests):
    for action in ("Create Key", "Rename", "Edit scope", "Rotate", "Delete"):
        with subtests.test(action):
            open_and_close(api_settings.open(), keyboard, action, "" if action == "Create Key" else "Restricted")


def open_and_close(api_settings, keyboard, action, name):
    page = api_settings.page
    keyboard.tab_to(api_settings.link(action, name))
    keyboard.press("Enter")
    expect(api_settings.dialog).to_have_accessible_name(re.compile(action))
    assert page.evaluate(IN_DIALOG)
    for _ in range(15):
        keyboard.press("Tab")
        assert page.evaluate(IN_DIALOG), "The focus leaves the dialog"
    keyboard.press("Escape")
    api_settings.has_gone_back()
    expect(api_settings.link(action, name)).to_be_focused()


def test_menu_of_a_key_in_narrow_window(any_settings, restricted):
    any_settings.page.set_viewport_size({"width": 900, "height": 700})
    any_settings.open()
    keyboard = Keyboard(any_settings.page)
    menu = any_settings.page.get_by_role("button", name="Actions for Restricted")
    delete = any_settings.link("Delete", "Restricted")
    expect(delete).to_be_hidden()
    keyboard.tab_to(menu)
    keyboard.press("Enter")
    expect(delete).to_be_visible()
    keyboard.press("Escape")
    expect(delete).to_be_hidden()
    expect(menu).to_be_focused()
    keyboard.press("Enter")
    keyboard.tab_to(any_settings.link("Rename", "Restricted"), limit=2)
    keyboard.press("Enter")
    expect(any_settings.name).to_be_focused()
    any_settings.name.fill("Laptop")
    keyboard.press("Enter")
    any_settings.lists("Laptop")
    if any_settings.scripting:
        expect(any_settings.page.get_by_role("button", name="Actions for Laptop")).to_be_focused()


def test_dangerous_button_has_no_initial_focus(api_settings, restricted):
    for action in ("Rotate", "Delete"):
        api_settings.open().click(action, "Restricted")
        expect(api_settings.place.get_by_role("button", name=action)).not_to_be_focused()


def test_rotate_and_delete_by_keyboard(api_settings, keyboard, restricted, api):
    api_settings.open()
    keyboard.tab_to(api_settings.link("Rotate", "Restricted"))
    keyboard.press("Enter")
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Rotate"))
    keyboard.press("Enter")
    secret = api_settings.secret()
    keyboard.press("Escape", "Escape")
    expect(api_settings.place.get_by_role("button", name="Copy and close")).to_be_focused()
    keyboard.tab_to(api_settings.place.get_by_role("link", name="Close without copying"))
    keyboard.press("Enter")
    api_settings.is_list()
    keyboard.tab_to(api_settings.link("Delete", "Restricted"))
    keyboard.press("Enter")
    keyboard.tab_to(api_settings.place.get_by_role("button", name="Delete"))
    keyboard.press("Enter")
    api_settings.says("Deleted")
    assert not api.accepts(secret)


def test_first_tab_offers_skip_link(any_settings):
    page = any_settings.page
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_invalid_field_gets_focus(any_settings: ApiSettings, unrestricted):
    any_settings.click("Create Key")
    any_settings.name.fill("All accounts")
    any_settings.submit("Create Key")
    expect(any_settings.name).to_be_focused()
