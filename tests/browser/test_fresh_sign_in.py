"""The user confirms the password before a secret is shown, and keeps the input."""

import re

from playwright.sync_api import expect

from finta_keys.models import ApiKey
from tests.browser.pages import PATH
from tests.browser.scenes import expire_confirmation
from tests.browser.test_bad_luck import expire_sessions, sign_in
from tests.factories import PASSWORD

HEADING = "Confirm your password"


def expire_password(tab):
    expire_confirmation(tab.page.context)


def asks_for_password(tab):
    expect(tab.place.get_by_role("heading", name=HEADING, level=1)).to_be_visible()


def password(tab):
    return tab.place.get_by_role("textbox", name="Password")


def confirm(tab, text=PASSWORD):
    asks_for_password(tab)
    password(tab).fill(text)
    tab.submit("Continue")


def test_password_opens_requested_page(any_settings, restricted, api, subtests):
    for action in ("Create Key", "Rotate"):
        with subtests.test(action):
            expire_password(any_settings)
            any_settings.open().link(action, "" if action == "Create Key" else "Restricted").click()
            confirm(any_settings)
            expect(any_settings.place.get_by_role("heading", level=1)).to_contain_text(action)
            if action == "Create Key":
                any_settings.name.fill("Laptop")
            any_settings.submit(action)
            assert api.accepts(any_settings.secret())
            any_settings.done()
            any_settings.has_gone_back()


def test_create_continues_with_input_after_password(any_settings, accounts, api):
    any_settings.click("Create Key")
    any_settings.name.fill("Typed before")
    any_settings.choose("Savings", "Cash")
    expire_password(any_settings)
    any_settings.submit("Create Key")
    asks_for_password(any_settings)
    assert not ApiKey.objects.exists()
    confirm(any_settings, "a guess")
    expect(any_settings.place).to_contain_text("Wrong password")
    assert not ApiKey.objects.exists()
    confirm(any_settings)
    assert api.accounts(any_settings.secret()) == {"Savings", "Cash"}
    any_settings.done()
    any_settings.lists("Typed before")


def test_rotate_continues_after_password(any_settings, restricted, api):
    any_settings.open().click("Rotate", "Restricted")
    expire_password(any_settings)
    any_settings.submit("Rotate")
    asks_for_password(any_settings)
    assert api.accepts(restricted.secret)
    confirm(any_settings)
    assert api.accepts(any_settings.secret())
    assert not api.accepts(restricted.secret)


def test_delete_needs_no_password(any_settings, restricted):
    expire_password(any_settings)
    any_settings.open().click("Delete", "Restricted")
    any_settings.submit("Delete")
    any_settings.is_list()
    assert not ApiKey.objects.exists()


def test_password_can_be_confirmed_by_keyboard(api_settings, restricted, api):
    page = api_settings.page
    expire_password(api_settings)
    api_settings.open().link("Rotate", "Restricted").press("Enter")
    asks_for_password(api_settings)
    expect(password(api_settings)).to_be_focused()
    page.keyboard.press("Escape")
    api_settings.is_list()
    expect(api_settings.link("Rotate", "Restricted")).to_be_focused()
    page.keyboard.press("Enter")
    expect(password(api_settings)).to_be_focused()
    page.keyboard.type("a guess")
    page.keyboard.press("Enter")
    expect(password(api_settings)).to_have_attribute("aria-invalid", "true")
    expect(password(api_settings)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(api_settings.place.get_by_role("heading", level=1)).to_contain_text("Rotate")


def test_cancel_returns_to_list(any_settings, accounts):
    expire_password(any_settings)
    any_settings.link("Create Key").click()
    asks_for_password(any_settings)
    any_settings.place.get_by_role("link", name="Cancel").click()
    any_settings.is_list()
    assert any_settings.page.url.endswith(PATH)


def test_expired_session_keeps_input_but_no_password(api_settings, accounts):
    api_settings.click("Create Key")
    api_settings.name.fill("Typed before")
    api_settings.choose("Savings")
    expire_password(api_settings)
    api_settings.submit("Create Key")
    asks_for_password(api_settings)
    expire_sessions()
    confirm(api_settings)
    expect(api_settings.page.get_by_role("heading", name="Sign in")).to_be_visible()
    storage = api_settings.page.evaluate("JSON.stringify(sessionStorage)")
    assert "Typed before" in storage
    assert PASSWORD not in storage
    assert not re.search("csrf", storage)
    sign_in(api_settings.page)
    expect(api_settings.name).to_have_value("Typed before")
    expect(api_settings.place.get_by_label("Savings")).to_be_checked()
    expect(api_settings.place.get_by_label("Checking")).not_to_be_checked()
    assert not ApiKey.objects.exists()
