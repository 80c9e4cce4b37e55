"""The life of a key in Firefox, as Debian packages it. The other tests run in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect

from accounts_app.models import User
from finta_keys.testing import make_key
from tests.browser.axe import COLORS, summary
from tests.browser.conftest import DESKTOP, FIREFOX, TIMEOUT, find_browser, session_cookie
from tests.browser.layout import overflow
from tests.browser.pages import PATH, ApiSettings
from tests.browser.test_bad_luck import expire_sessions, sign_in
from tests.browser.test_keyboard import Keyboard
from tests.browser.watch import Watch

PHONE = {"width": 390, "height": 664}
# Firefox ESR does not let a test choose the color scheme of a page.
SCHEMES = {"dark": 0, "light": 1}
SCHEME = "layout.css.prefers-color-scheme.content-override"
COPY_QUESTION = "You have not copied the secret"
BRIGHTNESS = """() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g)
    .slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3"""

Open = Callable[..., ApiSettings]


@pytest.fixture(scope="module")
def launch(playwright: Playwright) -> Iterator[Callable[[str], Browser]]:
    """Start Firefox once for each color scheme."""
    browsers: dict[str, Browser] = {}

    def launch_once(scheme: str) -> Browser:
        if scheme not in browsers:
            browsers[scheme] = playwright.firefox.launch(
                channel="moz-firefox",  # by WebDriver BiDi, which Firefox speaks without a patch or a driver
                executable_path=find_browser("FIREFOX", FIREFOX),
                firefox_user_prefs={SCHEME: SCHEMES[scheme]},
            )
        return browsers[scheme]

    yield launch_once
    for browser in browsers.values():
        browser.close()


@pytest.fixture
def firefox(launch: Callable[[str], Browser], base_url: str, watch: Watch) -> Iterator[Open]:
    """Return a function that opens API settings, signed in as ``owner`` if given."""
    contexts = []

    def open_settings(owner: User | None = None, scheme: str = "light", **options: object) -> ApiSettings:
        context = launch(scheme).new_context(**{"base_url": base_url, "viewport": DESKTOP, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        watch.listen(context)
        if owner:
            context.add_cookies([{**session_cookie(owner), "url": base_url}])
        return ApiSettings(context.new_page()).open()

    yield open_settings
    for context in contexts:
        context.close()


def test_watch_reports_errors_in_firefox(firefox, alice, expected):
    """Also violations of the Content-Security-Policy."""
    expected("script: boom", "Content-Security-Policy|violates the following directive", 404)
    page = firefox(alice).page
    page.evaluate("setTimeout(() => { throw new Error('boom'); })")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))")
    page.evaluate("fetch('/nothing-here')")
    page.wait_for_timeout(300)


def test_life_of_a_key(firefox, alice, accounts, api):
    make_key(alice, "Old")
    User.objects.filter(pk=alice.pk).update(storage_mode=False)
    tab = firefox()
    page = tab.page
    sign_in(page)
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("Storage Mode is off")).to_have_count(0)

    tab.click("Create Key")
    tab.name.fill("Laptop")
    tab.choose("Savings")
    tab.submit("Create Key")
    secret = tab.secret()
    for _ in range(2):
        page.keyboard.press("Escape")
        expect(tab.place.get_by_role("alert")).to_contain_text(COPY_QUESTION)
    tab.copy()
    expect(tab.place).to_contain_text("Waiting for the first request.")
    assert api.accounts(secret) == {"Savings"}
    expect(tab.place).to_contain_text("The first request has arrived.")
    tab.done_button.click()
    tab.is_list()
    tab.lists("Laptop", "Old")
    assert paste(tab) == secret

    tab.click("Edit scope", "Laptop")
    tab.choose("Cash")
    summary = tab.place.get_by_role("status").filter(has_text="Adds")
    expect(summary).to_contain_text(re.compile("Adds 1: .*Cash.*Removes 1: .*Savings"))
    tab.submit("Save")
    tab.is_list()
    assert api.accounts(secret) == {"Cash"}

    tab.click("Rename", "Laptop")
    tab.name.fill("Phone")
    tab.submit("Rename")
    tab.lists("Phone", "Old")

    tab.click("Rotate", "Phone")
    tab.submit("Rotate")
    rotated = tab.secret()
    page.keyboard.press("Escape")
    tab.place.get_by_role("button", name="Copy and close").click()
    tab.is_list()
    assert api.accounts(rotated) == {"Cash"}
    assert not api.accepts(secret)

    tab.click("Delete", "Phone")
    tab.submit("Delete")
    tab.lists("Old")
    assert not api.accepts(rotated)


def paste(tab: ApiSettings) -> str:
    """Return the text of the clipboard."""
    tab.click("Create Key")
    tab.name.press("Control+v")
    text = tab.name.input_value()
    tab.place.get_by_role("link", name="Cancel").click()
    tab.is_list()
    return text


def test_draft_outlives_reload_and_session(firefox, alice, accounts):
    tab = firefox(alice)
    tab.click("Create Key")
    tab.name.fill("Tax")
    tab.choose("Savings")
    tab.page.reload()
    expect(tab.place.get_by_text("Your draft was kept.").first).to_be_visible()
    expire_sessions()
    tab.submit("Create Key")
    expect(tab.page.get_by_text("What you entered is kept.")).to_be_visible()
    sign_in(tab.page)
    expect(tab.name).to_have_value("Tax")
    expect(tab.place.get_by_label("Savings")).to_be_checked()
    expect(tab.place.get_by_label("Checking")).not_to_be_checked()
    tab.page.go_back()
    tab.place.get_by_role("button", name="Discard").click()
    tab.is_list()
    assert tab.page.url.endswith(PATH)
    tab.page.reload()
    tab.is_list()


def test_create_key_by_keyboard(firefox, alice, restricted, api):
    """With a name that the server rejects first."""
    tab = firefox(alice)
    keyboard = Keyboard(tab.page)
    keyboard.tab_to(tab.link("Create Key"))
    keyboard.press("Enter")
    expect(tab.name).to_be_focused()
    keyboard.type("Restricted")
    keyboard.press("Enter")
    expect(tab.name).to_have_attribute("aria-invalid", "true")
    expect(tab.name).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type("By hand")
    expect(tab.name).not_to_have_attribute("aria-invalid", "true")
    keyboard.tab_to(tab.place.get_by_role("switch", name="Share all accounts"))
    keyboard.press("Space")
    keyboard.tab_to(tab.place.get_by_role("checkbox", name="Savings"))
    keyboard.press("Space")
    keyboard.tab_to(tab.place.get_by_role("button", name="Create Key"))
    keyboard.press("Enter")
    assert api.accounts(tab.secret()) == {"Savings"}
    expect(tab.place.get_by_role("button", name="Copy the secret")).to_be_focused()
    keyboard.press("Enter")
    keyboard.tab_to(tab.done_button)
    keyboard.press("Enter")
    tab.is_list()
    expect(tab.link("Create Key")).to_be_focused()
    keyboard.press("Enter")
    expect(tab.name).to_be_focused()
    tab.page.go_back()
    tab.is_list()


def test_dark_phone(firefox, alice, restricted):
    tab = firefox(alice, scheme="dark", viewport=PHONE)
    page = tab.page
    looks_right(page)
    place = tab.click("Edit scope", "Restricted")
    looks_right(page)
    expect(place.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    tab.is_list()
    tab.click("Rotate", "Restricted")
    tab.submit("Rotate")
    tab.secret()
    looks_right(page)


def looks_right(page: Page) -> None:
    """Raise ``AssertionError`` if the page is not dark, overflows, or has text of low contrast."""
    assert page.evaluate(BRIGHTNESS) < 60
    assert not overflow(page)
    assert not summary(Axe().run(page, options=COLORS).response["violations"])
