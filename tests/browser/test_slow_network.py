"""What a slow network, a second person and a hurried hand can still do."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.conftest import session_cookie
from tests.browser.pages import PATH, ApiSettings
from tests.factories import PASSWORD

SETTLED = 800  # ms


@pytest.fixture
def held(page):
    """Hold the requests of a method to addresses that match, until they are let go."""

    def hold(pattern, method="GET"):
        waiting = {}

        def keep(route):
            if route.request.method == method:
                waiting[route.request.url.partition("/keys/")[2].partition("/")[0]] = route
            else:
                route.fallback()

        page.route(pattern, keep)
        return waiting

    return hold


@pytest.fixture
def three(alice, accounts):
    return {name: make_key(alice, name) for name in ("A", "B", "C")}


def first(waiting):
    return next(iter(waiting.values()))


def settle(page):
    page.wait_for_timeout(SETTLED)


def show_secret(tab, name="Fresh"):
    tab.link("Create Key").click()
    tab.name.fill(name)
    tab.submit("Create Key")
    return tab.secret()


def test_a_form_is_sent_to_the_key_that_it_names_whichever_dialog_answers_last(api_settings, three, held):
    api_settings.open()
    waiting = held("**/delete")
    for name in ("A", "B"):
        api_settings.link("Delete", name).click()
    settle(api_settings.page)
    for name in ("B", "A"):  # A was clicked first, and answers last
        waiting[str(three[name][0].pk)].continue_()
        settle(api_settings.page)
    named = (
        api_settings.dialog.get_by_role("heading", level=1).inner_text().strip("?").removeprefix("Delete ").strip("“”")
    )
    api_settings.submit("Delete")
    api_settings.says("Deleted")
    assert not ApiKey.objects.filter(name=named).exists()
    assert ApiKey.objects.count() == 2


def test_delete_never_rotates(api_settings, three, held):
    api_settings.open().click("Delete", "C")
    held("**/rotate")
    api_settings.dialog.get_by_role("link", name="rotate the key").click()
    settle(api_settings.page)
    api_settings.submit("Delete")
    settle(api_settings.page)
    assert not ApiKey.objects.filter(rotation__gt=0).exists()


def test_a_dialog_that_answers_late_does_not_replace_a_secret(api_settings, three, held):
    api_settings.open()
    waiting = held("**/rename")
    api_settings.link("Rename", "A").click()
    secret = show_secret(api_settings)
    first(waiting).continue_()
    settle(api_settings.page)
    assert api_settings.secret() == secret


def test_a_list_that_answers_late_does_not_close_the_dialog_over_it(api_settings, three, held):
    api_settings.open()
    show_secret(api_settings)
    waiting = held(f"**{PATH}")
    api_settings.copy()
    api_settings.done_button.click()
    secret = show_secret(api_settings, "Another")
    first(waiting).continue_()
    settle(api_settings.page)
    assert api_settings.secret() == secret


def test_a_dialog_that_was_closed_does_not_open_again(api_settings, three, held):
    api_settings.open().click("Delete", "C")
    waiting = held("**/rotate")
    api_settings.dialog.get_by_role("link", name="rotate the key").click()
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    first(waiting).continue_()
    settle(api_settings.page)
    api_settings.is_list()


def test_no_dialog_shows_the_accounts_of_the_person_who_signed_in_in_another_tab(
    api_settings, three, bob, bobs_account, base_url
):
    api_settings.open()
    api_settings.page.context.add_cookies([{**session_cookie(bob), "url": base_url}])
    api_settings.link("Create Key").click()
    settle(api_settings.page)
    shown = api_settings.page.locator(".finta-email").inner_text()
    assert (api_settings.dialog.count(), shown) != (1, "alice@example.com")


# Nothing is evaluated between the Escapes: that would count as the person's doing, and let the browser ask again.
def test_escape_while_a_form_is_on_its_way_does_not_use_up_the_question(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    waiting = held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    first(waiting).continue_()
    api_settings.page.wait_for_timeout(2 * SETTLED)
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("You haven’t copied")


def test_two_escapes_do_not_close_what_is_on_its_way(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    api_settings.page.keyboard.press("Escape")
    api_settings.page.keyboard.press("Escape")
    settle(api_settings.page)
    expect(api_settings.dialog).to_be_visible()


def test_the_focus_stays_in_the_dialog_while_a_form_is_on_its_way(api_settings, three, held):
    api_settings.open().click("Rotate", "A")
    held("**/rotate", "POST")
    api_settings.submit("Rotate")
    settle(api_settings.page)
    assert api_settings.dialog.evaluate("each => each.contains(document.activeElement)")


def test_closing_after_no_answer_shows_the_list_as_it_is(api_settings, accounts, expected):
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


def test_after_copying_nothing_says_that_it_was_not_copied(api_settings, accounts):
    show_secret(api_settings)
    api_settings.done_button.click()
    expect(api_settings.dialog.get_by_role("alert")).to_be_visible()
    api_settings.copy()
    expect(api_settings.dialog.get_by_text("You haven’t copied")).to_be_hidden()


def test_an_expired_session_at_switch_on_leads_back_to_data_settings(any_settings, alice):
    page = any_settings.page
    page.goto("/settings/data")
    Session.objects.all().delete()
    page.get_by_role("button", name="Switch on").click()
    page.get_by_label("E-mail").fill(alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Data settings", level=1)).to_be_visible()


def test_a_page_whose_form_was_stopped_on_its_way_can_send_it_again(page, alice, accounts):
    page.goto(f"{PATH}/keys/new")
    page.get_by_role("textbox", name="Name").fill("Stopped")
    page.route("**/new", lambda route: route.abort("aborted"), times=1)  # as the Stop button does
    button = page.get_by_role("button", name="Create Key")
    button.click(no_wait_after=True)
    settle(page)
    expect(button).to_be_enabled()


def test_an_error_of_the_whole_form_is_announced(api_settings, accounts):
    api_settings.click("Create Key")
    api_settings.name.fill("Old form")
    api_settings.page.locator("[name=nonce]").evaluate("each => { each.value = 'out of date' }")
    api_settings.submit("Create Key")
    expect(api_settings.dialog.get_by_text("expired after an hour")).to_be_visible()
    expect(api_settings.dialog.get_by_role("alert")).to_contain_text("expired after an hour")


def test_the_error_of_one_who_has_no_accounts_is_announced(api_settings):
    api_settings.click("Create Key")
    api_settings.name.fill("None to choose")
    api_settings.share_all(False)
    api_settings.submit("Create Key")
    error = api_settings.dialog.get_by_text("Choose at least one account")
    expect(error).to_be_visible()
    described = "each => document.activeElement.getAttribute('aria-describedby')?.includes(each.closest('ul').id)"
    assert api_settings.dialog.get_by_role("alert").count() or error.evaluate(described)


def test_back_to_api_settings_leads_there_from_accounts_too(page, three, expected):
    expected(404)
    page.goto("/accounts")
    three["A"][0].delete()
    page.get_by_role("link", name="Edit scope of A", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("link", name="Back to API settings").click()
    expect(page.get_by_role("heading", name="API settings", level=1)).to_be_visible()


def test_a_sort_that_there_is_not_is_left_out(page, alice):
    for number in range(6):
        make_key(alice, f"Key {number}")
    page.goto(f"{PATH}?sort=size")
    expect(page.get_by_text("Select a valid choice")).to_have_count(0)


def test_all_and_none_are_named_after_their_group(page, alice, accounts):
    alice.accounts.update(institution_name="")
    tab = ApiSettings(page).open()
    tab.click("Create Key")
    tab.share_all(False)
    expect(tab.place.get_by_role("group", name="Accounts")).to_be_visible()
    expect(tab.place.get_by_role("button", name="All of Other accounts")).to_have_count(0)
