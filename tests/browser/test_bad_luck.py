"""Expired sessions, lost responses and stale tabs: nothing is half done, and pages say what to do."""

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.layout import overflow
from tests.browser.pages import PATH, ApiSettings
from tests.factories import PASSWORD

ACTIONS = ["Rename", "Edit scope", "Rotate", "Delete"]
BUTTONS = {"Rename": "Rename", "Edit scope": "Save", "Rotate": "Rotate", "Delete": "Delete"}


def expire_sessions():
    Session.objects.all().delete()


def sign_in(page, email="alice@example.com"):
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_expired_session_returns_to_dialog_after_login(api_settings, restricted):
    api_settings.open()
    expire_sessions()
    api_settings.link("Rename", "Restricted").click()
    expect(api_settings.page.get_by_text("Your session has expired.")).to_be_visible()
    expect(api_settings.page.get_by_text("What you entered is kept.")).to_be_hidden()
    sign_in(api_settings.page)
    expect(api_settings.dialog).to_contain_text("Rename “Restricted”")
    assert api_settings.page.url.endswith(PATH)


def test_expired_session_keeps_input_after_login(api_settings, accounts, api):
    api_settings.click("Create Key")
    api_settings.name.fill("Typed before")
    api_settings.choose("Savings")
    expire_sessions()
    api_settings.submit("Create Key")
    expect(api_settings.page.get_by_text("Your session has expired.")).to_be_visible()
    expect(api_settings.page.get_by_text("What you entered is kept.")).to_be_visible()
    sign_in(api_settings.page)
    expect(api_settings.name).to_have_value("Typed before")
    expect(api_settings.place.get_by_label("Savings")).to_be_checked()
    expect(api_settings.place.get_by_label("Checking")).not_to_be_checked()
    assert not ApiKey.objects.exists()
    api_settings.submit("Create Key")
    assert api.accounts(api_settings.secret()) == {"Savings"}


def test_input_is_not_shown_to_another_user(api_settings, accounts, bob):
    api_settings.click("Create Key")
    api_settings.name.fill("Alice's idea")
    expire_sessions()
    api_settings.submit("Create Key")
    sign_in(api_settings.page, bob.email)
    api_settings.is_list()
    assert "Alice's idea" not in api_settings.page.content()
    assert api_settings.page.evaluate("sessionStorage.length") == 0


def test_expired_session_without_javascript_returns_to_page(open_context, alice, restricted):
    page = open_context(alice, java_script_enabled=False).new_page()
    tab = ApiSettings(page, scripting=False).open()
    tab.click("Delete", "Restricted")
    expire_sessions()
    tab.submit("Delete")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Delete “Restricted”")
    assert ApiKey.objects.exists()


def test_submitting_offline_warns_about_unknown_outcome(api_settings, restricted, expected):
    expected("ERR_INTERNET_DISCONNECTED")
    api_settings.open().click("Rename", "Restricted")
    api_settings.name.fill("Laptop")
    api_settings.page.context.set_offline(True)
    api_settings.submit("Rename")
    alert = api_settings.place.get_by_role("alert")
    expect(alert).to_contain_text("your change may not be saved")
    expect(api_settings.name).to_have_value("Laptop")
    api_settings.page.context.set_offline(False)
    alert.get_by_role("link", name="Check API settings").click()
    api_settings.is_list()
    api_settings.lists("Restricted")


def test_opening_dialog_offline_offers_retry(api_settings, restricted, expected):
    expected("ERR_INTERNET_DISCONNECTED")
    api_settings.open().click("Rename", "Restricted")  # loads the scripts of dialogs
    api_settings.page.keyboard.press("Escape")
    api_settings.is_list()
    api_settings.page.context.set_offline(True)
    api_settings.link("Rotate", "Restricted").click()
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("Check your connection")
    api_settings.page.context.set_offline(False)
    api_settings.dialog.get_by_role("link", name="Try again").click()
    expect(api_settings.dialog).to_contain_text("Rotate “Restricted”")


def test_first_dialog_offline_can_be_opened_later(api_settings, restricted, expected):
    expected("ERR_INTERNET_DISCONNECTED")
    api_settings.open().page.context.set_offline(True)
    for _ in range(2):
        api_settings.link("Rotate", "Restricted").click()
        expect(api_settings.page.get_by_role("alert")).to_contain_text("Check your connection")
    api_settings.page.context.set_offline(False)
    api_settings.click("Rotate", "Restricted")
    expect(api_settings.dialog).to_have_css("border-radius", "14px")  # its style is loaded too
    api_settings.submit("Rotate")
    api_settings.secret()
    api_settings.done()
    expect(api_settings.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.rule("K5")
def test_lost_response_after_create_leads_to_rotate(api_settings, accounts, api, expected):
    expected(409, "ERR_CONNECTION_RESET")
    api_settings.click("Create Key")
    api_settings.name.fill("Lost")
    lose_response(api_settings.page)
    api_settings.submit("Create Key")
    expect(api_settings.place.get_by_role("alert")).to_contain_text("your change may not be saved")
    api_settings.submit("Create Key")
    expect(api_settings.place).to_contain_text("This was already done")
    api_settings.place.get_by_role("link", name="Rotate").click()
    api_settings.submit("Rotate")
    assert api.accepts(api_settings.secret())
    assert ApiKey.objects.get().name == "Lost"


def lose_response(page):
    """Let the next request reach the server, and drop the response."""

    def drop(route):
        route.fetch()
        route.abort("connectionreset")

    page.route("**/keys/**", drop, times=1)


def test_submit_for_deleted_key_says_so(any_settings, alice, accounts, expected, subtests):
    expected(404)
    for action in ACTIONS:
        with subtests.test(action):
            key, _ = make_key(alice, "Restricted", [accounts.checking])
            any_settings.open().click(action, "Restricted")
            key.delete()
            any_settings.submit(BUTTONS[action])
            expect(any_settings.place).to_contain_text("It may have been deleted")
            any_settings.place.get_by_role("link", name="Back to API settings").click()
            any_settings.is_list()
            expect(any_settings.page.get_by_role("rowheader")).to_have_count(0)


def test_link_to_deleted_key_says_so(any_settings, restricted, expected):
    expected(404)
    any_settings.open()
    restricted.key.delete()
    any_settings.link("Edit scope", "Restricted").click()
    expect(any_settings.place).to_contain_text("It may have been deleted")


@pytest.mark.rule("K5")
@pytest.mark.parametrize("path", [None, f"{PATH}/keys/new"], ids=["dialog", "page"])
def test_double_click_creates_one_key(page, accounts, api, path):
    tab = ApiSettings(page, scripting=path is None).open()
    tab.click("Create Key") if path is None else page.goto(path)
    tab.name.fill("Twice")
    tab.place.get_by_role("button", name="Create Key").dblclick()
    assert api.accepts(tab.secret())
    assert ApiKey.objects.count() == 1


def test_submit_disables_button(api_settings, restricted, api):
    api_settings.open().click("Rotate", "Restricted")
    waiting = []
    api_settings.page.route("**/rotate", lambda route: waiting.append(route))
    button = api_settings.place.get_by_role("button", name="Rotate")
    button.click()
    expect(button).to_be_disabled()
    expect(api_settings.place).to_be_visible()
    api_settings.page.keyboard.press("Escape")  # while the secret is on its way
    expect(api_settings.place).to_be_visible()
    waiting[0].continue_()
    assert api.accepts(api_settings.secret())


@pytest.mark.rule("K5")
def test_reloading_secret_page_creates_no_second_secret(open_context, alice, restricted, api, expected):
    expected(409)
    tab = ApiSettings(open_context(alice, java_script_enabled=False).new_page(), scripting=False).open()
    tab.click("Rotate", "Restricted")
    tab.submit("Rotate")
    secret = tab.secret()
    tab.page.reload()
    expect(tab.place).to_contain_text("This was already done")
    assert secret not in tab.page.content()
    assert api.accepts(secret)


def test_login_in_another_tab_invalidates_form(any_settings, accounts, expected):
    expected(403)
    any_settings.click("Create Key")
    any_settings.name.fill("Out of date")
    other = any_settings.page.context.new_page()
    other.goto(PATH)
    other.get_by_role("button", name="Account menu").click()
    other.get_by_role("button", name="Sign out").click()
    sign_in(other)
    expect(other.get_by_role("heading", name="API settings")).to_be_visible()
    any_settings.submit("Create Key")
    expect(any_settings.place).to_contain_text("Nothing was changed")
    assert not ApiKey.objects.exists()
    any_settings.place.get_by_role("link", name="Go to API settings").click()
    any_settings.is_list()
    assert any_settings.create("In time")


NAMES = {
    "very long": "W" * 100,
    "long words": "Integration " * 8,
    "emoji": "👩‍👩‍👧‍👦🏴‍☠️🔑" * 8,
    "right to left": "مفتاح الإنتاج للخادم الرئيسي في مركز البيانات",
}


def test_unusual_names_fit_on_phone(api_settings, alice, accounts, subtests):
    api_settings.page.set_viewport_size({"width": 320, "height": 700})
    for description, name in NAMES.items():
        with subtests.test(description):
            key, _ = make_key(alice, name, [accounts.checking])
            assert_name_fits(api_settings.open(), name)
        key.delete()


def assert_name_fits(api_settings, name):
    page = api_settings.page
    assert not overflow(page)
    assert [text.replace("\n", " ") for text in api_settings.names] == [name.strip()]
    for action in ACTIONS:
        page.get_by_role("button", name=re.compile("^Actions for ")).click()
        assert not overflow(page)
        page.get_by_role("link", name=re.compile(f"^{action} ")).click()
        expect(api_settings.dialog.get_by_role("heading", level=1)).to_contain_text(name.strip()[:20])
        assert not overflow(page), action
        page.keyboard.press("Escape")
        api_settings.has_gone_back()
