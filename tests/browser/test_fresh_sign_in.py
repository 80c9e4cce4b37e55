"""The password is asked for once more before a secret is shown, and what was typed is kept meanwhile."""

import re

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from tests.browser.pages import PATH
from tests.browser.scenes import forget_when_the_password_was_given
from tests.browser.test_bad_luck import expire_sessions, sign_in
from tests.factories import PASSWORD

ASKED = "Confirm your password"


def let_time_pass(tab):
    forget_when_the_password_was_given(tab.page.context)


def is_asked(tab):
    expect(tab.place.get_by_role("heading", name=ASKED, level=1)).to_be_visible()


def password(tab):
    return tab.place.get_by_role("textbox", name="Password")


def confirm(tab, typed=PASSWORD):
    is_asked(tab)
    password(tab).fill(typed)
    tab.submit("Continue")


@pytest.mark.parametrize("verb", ["Create Key", "Rotate"])
def test_the_password_opens_what_was_asked_for(any_settings, restricted, api, verb):
    let_time_pass(any_settings)
    any_settings.open().link(verb, "" if verb == "Create Key" else "Restricted").click()
    confirm(any_settings)
    expect(any_settings.place.get_by_role("heading", level=1)).to_contain_text(verb)
    if verb == "Create Key":
        any_settings.name.fill("Laptop")
    any_settings.submit(verb)
    assert api.accepts(any_settings.secret())
    any_settings.done()


def test_create_that_was_open_for_long_goes_on_with_what_was_typed(any_settings, accounts, api):
    any_settings.click("Create Key")
    any_settings.name.fill("Typed before")
    any_settings.choose("Savings", "Cash")
    let_time_pass(any_settings)
    any_settings.submit("Create Key")
    is_asked(any_settings)
    assert not ApiKey.objects.exists()
    confirm(any_settings, "a guess")
    expect(any_settings.place).to_contain_text("Wrong password")
    assert not ApiKey.objects.exists()
    confirm(any_settings)
    assert api.accounts(any_settings.secret()) == {"Savings", "Cash"}
    any_settings.done()
    any_settings.lists("Typed before")


def test_rotate_that_was_open_for_long_rotates_after_the_password(any_settings, restricted, api):
    any_settings.open().click("Rotate", "Restricted")
    let_time_pass(any_settings)
    any_settings.submit("Rotate")
    is_asked(any_settings)
    assert api.accepts(restricted.secret)
    confirm(any_settings)
    assert api.accepts(any_settings.secret())
    assert not api.accepts(restricted.secret)


def test_a_key_is_deleted_in_a_hurry(any_settings, restricted):
    let_time_pass(any_settings)
    any_settings.open().click("Delete", "Restricted")
    any_settings.submit("Delete")
    any_settings.is_list()
    assert not ApiKey.objects.exists()


def test_by_keyboard_alone(api_settings, restricted, api):
    page = api_settings.page
    let_time_pass(api_settings)
    api_settings.open().link("Rotate", "Restricted").press("Enter")
    is_asked(api_settings)
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


def test_cancel_leads_back_to_the_list(any_settings, accounts):
    let_time_pass(any_settings)
    any_settings.link("Create Key").click()
    is_asked(any_settings)
    any_settings.place.get_by_role("link", name="Cancel").click()
    any_settings.is_list()
    assert any_settings.page.url.endswith(PATH)


def test_a_session_that_expires_meanwhile_keeps_what_was_typed_and_no_password(api_settings, accounts):
    api_settings.click("Create Key")
    api_settings.name.fill("Typed before")
    api_settings.choose("Savings")
    let_time_pass(api_settings)
    api_settings.submit("Create Key")
    is_asked(api_settings)
    expire_sessions()
    confirm(api_settings)
    expect(api_settings.page.get_by_role("heading", name="Sign in")).to_be_visible()
    kept = api_settings.page.evaluate("JSON.stringify(sessionStorage)")
    assert "Typed before" in kept
    assert PASSWORD not in kept
    assert not re.search("csrf", kept)
    sign_in(api_settings.page)
    expect(api_settings.name).to_have_value("Typed before")
    expect(api_settings.place.get_by_label("Savings")).to_be_checked()
    expect(api_settings.place.get_by_label("Checking")).not_to_be_checked()
    assert not ApiKey.objects.exists()
