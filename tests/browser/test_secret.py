"""The secret is shown once: it can be copied, and after that it is nowhere."""

import contextlib
from time import sleep

import pytest
from playwright.sync_api import Error, expect

from finta_keys.testing import make_key
from tests.browser.pages import PATH, ApiSettings

# Everything that a page could keep something in.
KEPT = """() => JSON.stringify([location.href, history.state, document.cookie, { ...localStorage },
    { ...sessionStorage }, document.title, window.name, document.documentElement.outerHTML,
    [...document.querySelectorAll("input, textarea")].map(each => each.value)])"""


@pytest.fixture
def shown(api_settings, accounts):
    """API settings with the secret of a new key in the dialog."""
    api_settings.click("Create Key")
    api_settings.name.fill("Production")
    api_settings.submit("Create Key")
    api_settings.secret()
    return api_settings


def test_a_script_that_keeps_pages_is_told_to_leave_the_dialogs_out(shown):
    secret = shown.secret()
    assert shown.page.locator("dialog").locator("xpath=ancestor::*[@data-turbo='false']").count()
    shown.page.evaluate("document.querySelectorAll('[data-turbo-temporary]').forEach(each => each.remove())")
    assert secret not in shown.page.evaluate(KEPT)


def clipboard(tab):
    return tab.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("path", [None, f"{PATH}/keys/new"], ids=["dialog", "page"])
@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("the secret", "{secret}"),
        ("the curl line", 'curl -H "Authorization: Bearer {secret}" {site}/v2/accounts'),
        ("the .env line", "FINTA_API_KEY={secret}"),
    ],
    ids=["secret", "curl", "env"],
)
def test_copy_puts_it_into_the_clipboard_and_says_so(page, accounts, base_url, path, what, line):
    tab = ApiSettings(page, scripting=path is None).open()
    tab.click("Create Key") if path is None else page.goto(path)
    tab.name.fill("Production")
    tab.submit("Create Key")
    secret = tab.secret()
    tab.copy(what)
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert clipboard(tab) == line.format(secret=secret, site=base_url)


def test_a_click_selects_the_whole_secret(shown):
    shown.place.locator(".finta-secret").click()
    assert shown.page.evaluate("getSelection().toString().trim()") == shown.secret()


def test_on_a_page_of_its_own_copy_has_the_focus_however_late_the_script_comes(page, accounts):
    tab = ApiSettings(page, scripting=False)
    page.goto(f"{PATH}/keys/new")
    tab.name.fill("Production")
    page.route("**/keys.js", lambda route: (sleep(0.5), route.continue_()))
    tab.submit("Create Key")
    tab.secret()
    expect(page.get_by_role("button", name="Copy the secret")).to_be_focused()


@pytest.mark.parametrize("way", ["Done", "Escape", "Close"])
def test_closing_asks_once_if_nothing_was_copied(shown, way):
    close(shown, way)
    expect(shown.place.get_by_role("alert")).to_contain_text("You won’t see it again")
    shown.place.get_by_role("link", name="Close without copying").click()
    shown.is_list()


@pytest.mark.parametrize("way", ["Done", "Escape", "Close"])
def test_closing_a_second_time_closes(shown, way):
    close(shown, way)
    expect(shown.place.get_by_role("alert")).to_be_visible()
    close(shown, way)
    shown.is_list()


@pytest.mark.parametrize("way", ["Done", "Escape", "Close"])
@pytest.mark.parametrize("what", ["the secret", "the curl line", "the .env line"])
def test_closing_does_not_ask_after_a_copy(shown, way, what):
    shown.copy(what)
    close(shown, way)
    shown.is_list()


def test_closing_does_not_ask_after_a_copy_with_the_keyboard(shown):
    shown.place.locator(".finta-secret").click()
    shown.page.keyboard.press("Control+c")
    close(shown, "Done")
    shown.is_list()


def close(tab, way):
    if way == "Escape":
        tab.page.keyboard.press("Escape")
    elif way == "Close":
        tab.place.get_by_role("button", name="Close", exact=True).click()
    else:
        tab.done_button.click()


@pytest.mark.parametrize("verb", ["Create Key", "Rotate"])
def test_the_page_asks_once_too_where_there_is_no_dialog(page, alice, verb):
    key, _ = make_key(alice)
    tab = ApiSettings(page, scripting=False)
    page.goto(f"{PATH}/keys/new" if verb == "Create Key" else f"{PATH}/keys/{key.pk}/rotate")
    if verb == "Create Key":
        tab.name.fill("Laptop")
    tab.submit(verb)
    tab.secret()
    tab.done_button.click()
    expect(page.get_by_role("alert")).to_contain_text("You won’t see it again")
    page.get_by_role("link", name="Close without copying").click()
    tab.is_list()


@pytest.mark.parametrize("verb", ["Create Key", "Rotate"])
def test_after_closing_the_secret_is_nowhere(any_settings, accounts, alice, verb):
    make_key(alice, "Production")
    any_settings.open().click(verb, "" if verb == "Create Key" else "Production")
    if verb == "Create Key":
        any_settings.name.fill("Laptop")
    any_settings.submit(verb)
    secret = any_settings.secret()
    assert secret not in any_settings.page.url
    any_settings.done()
    expect(any_settings.row("Production")).to_have_count(1)
    assert secret not in repr(any_settings.page.context.cookies())
    assert secret not in (any_settings.page.evaluate(KEPT) if any_settings.scripting else any_settings.page.content())


def test_after_a_reload_the_secret_is_not_there(shown):
    secret = shown.secret()
    shown.page.on("dialog", lambda question: question.accept())  # It asks before the page is left, too.
    shown.page.reload()
    shown.is_list()
    assert secret not in shown.page.evaluate(KEPT)


def test_the_back_button_does_not_show_it_again(any_settings, accounts, expected):
    if not any_settings.scripting:
        expected("ERR_CACHE_MISS")  # The browser kept no answer to show, and does not send a form again unasked.
    any_settings.click("Create Key")
    any_settings.name.fill("Production")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    with contextlib.suppress(Error):
        any_settings.page.go_back()
    expect(any_settings.page.locator("body")).not_to_contain_text(secret)


@pytest.mark.parametrize("verb", ["Rename", "Edit scope", "Delete"])
def test_no_other_answer_shows_a_secret(any_settings, restricted, verb):
    any_settings.open().click(verb, "Restricted")
    assert restricted.secret not in any_settings.page.content()
