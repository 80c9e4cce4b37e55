"""Late responses, another user in another tab, and impatient users."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.conftest import session_cookie
from tests.browser.pages import PATH, ApiSettings
from tests.factories import PASSWORD

SETTLE_MS = 800


@pytest.fixture
def held(page):
    """Return a function that holds requests until the test continues them."""

    def hold(pattern, method="GET"):
        waiting = {}

        def hold_route(route):
            if route.request.method == method:
                waiting[route.request.url.partition("/keys/")[2].partition("/")[0]] = route
            else:
                route.fallback()

        page.route(pattern, hold_route)
        return waiting

    return hold


@pytest.fixture
def three(alice, accounts):
    return {name: make_key(alice, name) for name in ("A", "B", "C")}


def first(waiting):
    return next(iter(waiting.values()))


def settle(page):
    page.wait_for_timeout(SETTLE_MS)


def show_secret(tab, name="Fresh"):
    tab.link("Create Key").click()
    tab.name.fill(name)
    tab.submit("Create Key")
    return tab.secret()


def test_form_changes_key_named_in_dialog(api_settings, three, held):
    api_settings.open()
    waiting = held("**/delete")
    for name in ("A", "B"):
        api_settings.link("Delete", name).click()
    settle(api_settings.page)
    for name in ("B", "A"):  # A was clicked first and arrives last
        waiting[str(three[name][0].pk)].continue_()
        settle(api_settings.page)
    name = (
        api_settings.dialog.get_by_role("heading", level=1).inner_text().strip("?").removeprefix("Delete ").strip("“”")
    )
    api_settings.submit("Delete")
    api_settings.says("Deleted")
    assert not ApiKey.objects.filter(name=name).exists()
    assert ApiKey.objects.count() == 2


def test_delete_never_rotates(api_settings, three, held):
    api_settings.open().click("Delete", "C")
    held("**/rotate")
    api_settings.dialog.get_by_role("link", name="Rotate").click()
    settle(api_settings.page)
    api_settings.submit("Delete")
    settle(api_settings.page)
    assert not ApiKey.objects.filter(rotation__gt=0).exists()


def test_late_dialog_does_not_replace_secret(api_settings, three, held):
    api_settings.open()
    waiting = held("**/rename")
    api_settings.link("Rename", "A").click()
    secret = show_secret(api_settings)
    first(waiting).continue_()
    settle(api_settings.page)
    assert api_settings.secret() == secret


def test_late_list_does_not_close_dialog(api_settings, three, held):
    api_settings.open()
    show_secret(api_settings)
    waiting = held(f"**{PATH}")
    api_settings.copy()
    api_settings.done_button.click()
    secret = show_secret(api_settings, "Another")
    first(waiting).continue_()
    settle(api_settings.page)
    assert api_settings.secret() == secret


def test_closed_dialog_does_not_reopen(api_settings, three, held):
    api_settings.open().click("Delete", "C")
    waiting = held("**/rotate")
    api_settings.dialog.get_by_role("link", name="Rotate").click()
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    first(waiting).continue_()
    settle(api_settings.page)
    api_settings.is_list()


def test_dialog_never_shows_another_users_accounts(api_settings, three, bob, bobs_account, base_url):
    api_settings.open()
    api_settings.page.context.add_cookies([{**session_cookie(bob), "url": base_url}])
    api_settings.link("Create Key").click()
    settle(api_settings.page)
    email = api_settings.page.locator(".finta-email").inner_text()
    assert (api_settings.dialog.count(), email) != (1, "alice@example.com")


# No evaluate() between the Escapes: it counts as user activation, which resets the browser's own check.
def test_escape_while_sending_keeps_copy_question(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    waiting = held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    first(waiting).continue_()
    api_settings.page.wait_for_timeout(2 * SETTLE_MS)
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("You have not copied")


def test_escape_does_not_close_while_sending(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    expect(api_settings.dialog).to_be_visible()


def test_focus_stays_in_dialog_while_sending(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    assert api_settings.dialog.evaluate("element => element.contains(document.activeElement)")


def test_closing_after_lost_response_refreshes_list(api_settings, accounts, expected):
    expected("ERR_CONNECTION_RESET")
    api_settings.click("Create Key")
    api_settings.name.fill("Lost")

    def lose(route):
        route.fetch()
        route.abort("connectionreset")

    api_settings.page.route("**/new", lose, times=1)
    api_settings.submit("Create Key")
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("your change may not be saved")
    api_settings.dialog.get_by_role("button", name="Close", exact=True).click()
    expect(api_settings.row("Lost")).to_be_visible()


def test_copy_hides_copy_question(api_settings, accounts):
    show_secret(api_settings)
    api_settings.done_button.click()
    expect(api_settings.dialog.get_by_role("alert")).to_be_visible()
    api_settings.copy()
    expect(api_settings.dialog.get_by_text("You have not copied")).to_be_hidden()


def test_expired_session_returns_to_data_settings(any_settings, alice):
    page = any_settings.page
    page.goto("/settings/data")
    Session.objects.all().delete()
    page.get_by_role("button", name="Switch on").click()
    page.get_by_label("E-mail").fill(alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Data settings", level=1)).to_be_visible()


def test_stopped_form_can_be_sent_again(page, alice, accounts):
    page.goto(f"{PATH}/keys/new")
    page.get_by_role("textbox", name="Name").fill("Stopped")
    page.route("**/new", lambda route: route.abort("aborted"), times=1)  # like the Stop button
    button = page.get_by_role("button", name="Create Key")
    button.click(no_wait_after=True)
    settle(page)
    expect(button).to_be_enabled()


def test_form_error_is_announced(api_settings, accounts):
    api_settings.click("Create Key")
    api_settings.name.fill("Old form")
    api_settings.page.locator("[name=nonce]").evaluate("input => { input.value = 'out of date' }")
    api_settings.submit("Create Key")
    expect(api_settings.dialog.get_by_text("expired after an hour")).to_be_visible()
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("expired after an hour")


def test_error_without_accounts_is_announced(api_settings):
    api_settings.click("Create Key")
    api_settings.name.fill("None to choose")
    api_settings.share_all(False)
    api_settings.submit("Create Key")
    error = api_settings.dialog.get_by_text("Select at least one account")
    expect(error).to_be_visible()
    described = "error => document.activeElement.getAttribute('aria-describedby')?.includes(error.closest('ul').id)"
    assert api_settings.dialog.get_by_role("alert").count() or error.evaluate(described)


def test_back_link_works_on_accounts_page(page, three, expected):
    expected(404)
    page.goto("/accounts")
    three["A"][0].delete()
    page.get_by_role("link", name="Edit scope of A", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("link", name="Back to API settings").click()
    expect(page.get_by_role("heading", name="API settings", level=1)).to_be_visible()


def test_unknown_sort_order_shows_no_error(page, alice):
    for number in range(6):
        make_key(alice, f"Key {number}")
    page.goto(f"{PATH}?sort=size")
    expect(page.get_by_text("Select a valid choice")).to_have_count(0)


def test_group_buttons_are_named_after_group(page, alice, accounts):
    alice.accounts.update(institution_name="")
    tab = ApiSettings(page).open()
    tab.click("Create Key")
    tab.share_all(False)
    expect(tab.place.get_by_role("group", name="Accounts")).to_be_visible()
    expect(tab.place.get_by_role("button", name="All of Other accounts")).to_have_count(0)
