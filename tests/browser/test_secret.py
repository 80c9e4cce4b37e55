"""The secret is shown once, can be copied, and is gone afterwards."""

import contextlib
from time import sleep

import pytest
from playwright.sync_api import Error, expect

from finta_keys.testing import make_key
from tests.browser.pages import PATH, ApiSettings

# Everything that could hold a secret after the dialog has closed.
STORED = """() => JSON.stringify([location.href, history.state, document.cookie, { ...localStorage },
    { ...sessionStorage }, document.title, window.name, document.documentElement.outerHTML,
    [...document.querySelectorAll("input, textarea")].map(input => input.value)])"""


@pytest.fixture
def shown(api_settings, accounts):
    """API settings with the secret of a new key in a dialog."""
    return show(api_settings, "Production")


def show(tab, name):
    tab.click("Create Key")
    tab.name.fill(name)
    tab.submit("Create Key")
    tab.secret()
    return tab


@pytest.mark.rule("K2")
def test_turbo_keeps_no_copy_of_dialog(shown):
    secret = shown.secret()
    assert shown.page.locator("dialog").locator("xpath=ancestor::*[@data-turbo='false']").count()
    shown.page.evaluate("document.querySelectorAll('[data-turbo-temporary]').forEach(element => element.remove())")
    assert secret not in shown.page.evaluate(STORED)


def clipboard(tab):
    return tab.page.evaluate("navigator.clipboard.readText()")


LINES = {
    "the secret": "{secret}",
    "the curl line": "# Set FINTA_API_KEY to the secret first\ncurl {site}/v2/accounts \\\n"
    '  -H "Authorization: Bearer $FINTA_API_KEY"',
    "the .env lines with the secret": "FINTA_API_URL={site}/v2\nFINTA_API_KEY={secret}",
}


@pytest.mark.parametrize("path", [None, f"{PATH}/keys/new"], ids=["dialog", "page"])
def test_copy_writes_clipboard_and_confirms(page, accounts, base_url, path, subtests):
    tab = ApiSettings(page, scripting=path is None).open()
    tab.click("Create Key") if path is None else page.goto(path)
    tab.name.fill("Production")
    tab.submit("Create Key")
    secret = tab.secret()
    for label, line in LINES.items():
        with subtests.test(label):
            if "env" in label:
                tab.place.get_by_role("radio", name=".env").check()
            tab.copy(label)
            expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
            assert clipboard(tab) == line.format(secret=secret, site=base_url)


def test_click_selects_secret(shown):
    shown.place.locator(".finta-secret").click()
    assert shown.page.evaluate("getSelection().toString().trim()") == shown.secret()


def test_copy_of_example_is_no_copy_of_secret(shown):
    shown.copy("the curl line")
    close(shown, "Escape")
    expect(shown.place.get_by_role("alert")).to_contain_text("You have not copied the secret")


def test_dialog_says_when_first_request_arrives(shown, api):
    expect(shown.place).to_contain_text("Waiting for the first request.")
    assert api.accepts(shown.secret())
    expect(shown.place).to_contain_text("The first request has arrived.")


def test_back_closes_dialog(api_settings, accounts):
    api_settings.click("Create Key")
    api_settings.page.go_back()
    api_settings.is_list()
    assert api_settings.page.url.endswith(PATH)


def test_copy_button_gets_focus_when_scripts_load_late(page, accounts):
    tab = ApiSettings(page, scripting=False)
    page.goto(f"{PATH}/keys/new")
    tab.name.fill("Production")
    page.route("**/keys.js", lambda route: (sleep(0.5), route.continue_()))
    tab.submit("Create Key")
    tab.secret()
    expect(page.get_by_role("button", name="Copy the secret")).to_be_focused()


def test_closing_without_copy_asks_first(api_settings, accounts, subtests):
    for close_by in ("Done", "Escape", "Close"):
        with subtests.test(close_by):
            tab = show(api_settings.open(), f"Closed by {close_by}")
            for _ in range(3):  # however often
                close(tab, close_by)
                expect(tab.place.get_by_role("alert")).to_contain_text("You have not copied the secret")
                expect(tab.place.get_by_role("button", name="Copy and close")).to_be_focused()
            tab.place.get_by_role("link", name="Close without copying").click()
            tab.has_gone_back()


def test_copy_and_close_copies_secret(shown):
    secret = shown.secret()
    close(shown, "Escape")
    shown.place.get_by_role("button", name="Copy and close").click()
    shown.is_list()
    assert clipboard(shown) == secret


def test_close_request_of_browser_keeps_secret(shown):
    """Such as the Back gesture of a phone, which no script can prevent twice."""
    secret = shown.secret()
    shown.page.evaluate("document.querySelector('dialog').close()")
    expect(shown.dialog).to_be_visible()
    assert shown.secret() == secret


def test_closing_after_copy_does_not_ask(api_settings, accounts, subtests):
    labels = {"Done": "the secret", "Escape": "the .env lines with the secret", "Close": "the secret"}
    for close_by, label in labels.items():
        with subtests.test(close_by):
            tab = show(api_settings.open(), f"Closed by {close_by}")
            if "env" in label:
                tab.place.get_by_role("radio", name=".env").check()
            tab.copy(label)
            close(tab, close_by)
            tab.has_gone_back()


def test_closing_after_keyboard_copy_does_not_ask(shown):
    shown.place.locator(".finta-secret").click()
    shown.page.keyboard.press("Control+c")
    close(shown, "Done")
    shown.is_list()


def close(tab, close_by):
    if close_by == "Escape":
        tab.page.keyboard.press("Escape")
    elif close_by == "Close":
        tab.place.get_by_role("button", name="Close", exact=True).click()
    else:
        tab.done_button.click()


@pytest.mark.parametrize("action", ["Create Key", "Rotate"])
def test_page_without_dialog_asks_too(page, alice, action):
    key, _ = make_key(alice)
    tab = ApiSettings(page, scripting=False)
    page.goto(f"{PATH}/keys/new" if action == "Create Key" else f"{PATH}/keys/{key.pk}/rotate")
    if action == "Create Key":
        tab.name.fill("Laptop")
    tab.submit(action)
    tab.secret()
    tab.done_button.click()
    tab.done_button.click()
    expect(page.get_by_role("alert")).to_contain_text("You have not copied the secret")
    page.get_by_role("link", name="Close without copying").click()
    tab.is_list()


@pytest.mark.rule("K2")
def test_closed_dialog_leaves_no_secret(any_settings, accounts, alice, subtests):
    make_key(alice, "Production")
    for action in ("Create Key", "Rotate"):
        with subtests.test(action):
            assert_leaves_no_secret(any_settings, action)


def assert_leaves_no_secret(any_settings, action):
    any_settings.open().click(action, "" if action == "Create Key" else "Production")
    if action == "Create Key":
        any_settings.name.fill("Laptop")
    any_settings.submit(action)
    secret = any_settings.secret()
    assert secret not in any_settings.page.url
    any_settings.done()
    any_settings.has_gone_back()
    expect(any_settings.row("Production")).to_have_count(1)
    assert secret not in repr(any_settings.page.context.cookies())
    assert secret not in (any_settings.page.evaluate(STORED) if any_settings.scripting else any_settings.page.content())


@pytest.mark.rule("K2")
def test_reload_shows_no_secret(shown):
    secret = shown.secret()
    shown.page.on("dialog", lambda question: question.accept())  # the browser asks before leaving
    shown.page.reload()
    shown.is_list()
    assert secret not in shown.page.evaluate(STORED)


@pytest.mark.rule("K2")
def test_back_button_shows_no_secret(any_settings, accounts, expected):
    if not any_settings.scripting:
        expected("ERR_CACHE_MISS")  # the browser does not send the form again
    any_settings.click("Create Key")
    any_settings.name.fill("Production")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    with contextlib.suppress(Error):
        any_settings.page.go_back()
    expect(any_settings.page.locator("body")).not_to_contain_text(secret)


@pytest.mark.rule("K2")
def test_other_pages_show_no_secret(any_settings, restricted):
    for action in ("Rename", "Edit scope", "Delete"):
        any_settings.open().click(action, "Restricted")
        assert restricted.secret not in any_settings.page.content(), action
