"""A form keeps its input until it is saved or discarded. A dialog asks before it is closed."""

import itertools

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.pages import PATH, ApiSettings
from tests.browser.scenes import expire_confirmation
from tests.browser.test_bad_luck import expire_sessions, sign_in
from tests.browser.test_fresh_sign_in import confirm
from tests.factories import AccountFactory
from tests.live.servers import wait_until

QUESTION = "Discard this draft?"
KEPT = "Your draft was kept. It is not saved yet."
CLOSING = ("Escape", "Close", "Back")
STORED = "JSON.stringify(sessionStorage)"


@pytest.fixture
def typed(api_settings, accounts):
    """Create Key with a name that the user has typed."""
    return type_name(api_settings)


def type_name(tab: ApiSettings) -> ApiSettings:
    tab.click("Create Key")
    tab.name.press_sequentially("Tax")
    return tab


def close_by(tab: ApiSettings, method: str) -> None:
    if method == "Back":
        tab.page.go_back()
    elif method == "Close":
        tab.dialog.get_by_role("button", name="Close", exact=True).click()
    else:
        tab.page.keyboard.press("Escape")


def test_draft_is_kept_or_discarded(api_settings, accounts, subtests):
    for method in CLOSING:
        with subtests.test(method):
            keep_and_discard(type_name(api_settings.open()), method)


def keep_and_discard(typed: ApiSettings, method: str) -> None:
    for _ in range(3):
        close_by(typed, method)
        expect(typed.dialog.get_by_role("alert")).to_contain_text(QUESTION)
    expect(typed.dialog.get_by_role("button", name="Keep editing")).to_be_focused()
    typed.dialog.get_by_role("button", name="Keep editing").click()
    expect(typed.dialog.get_by_text(QUESTION)).to_have_count(0)
    expect(typed.name).to_have_value("Tax")
    close_by(typed, method)
    typed.dialog.get_by_role("button", name="Discard").click()
    typed.has_gone_back()


def test_cancel_discards_at_once(typed):
    typed.dialog.get_by_role("link", name="Cancel").click()
    typed.is_list()


def test_unchanged_form_closes_at_once(api_settings, restricted, subtests):
    forms = [("Create Key", ""), ("Edit scope", "Restricted"), ("Delete", "Restricted")]
    for (action, name), method in itertools.product(forms, CLOSING):
        with subtests.test(action, method=method):
            api_settings.open().click(action, name)
            close_by(api_settings, method)
            api_settings.has_gone_back()


def test_saved_form_is_no_draft(typed):
    typed.submit("Create Key")
    typed.secret()
    typed.copy()
    typed.page.keyboard.press("Escape")
    typed.is_list()


def test_rejected_form_is_a_draft(typed, restricted):
    typed.name.fill("Restricted")
    typed.submit("Create Key")
    expect(typed.name).to_have_attribute("aria-invalid", "true")
    typed.page.keyboard.press("Escape")
    expect(typed.dialog.get_by_text(QUESTION)).to_be_visible()


def test_selected_accounts_are_a_draft(api_settings, restricted):
    api_settings.open().click("Edit scope", "Restricted").get_by_role("button", name="All", exact=False).first.click()
    api_settings.page.keyboard.press("Escape")
    expect(api_settings.dialog.get_by_text(QUESTION)).to_be_visible()


def test_question_and_submit_button_are_visible(typed, subtests):
    for width, height in ((1280, 720), (640, 360), (390, 664), (320, 568)):
        with subtests.test(width=width):
            typed.page.set_viewport_size({"width": width, "height": height})
            typed.page.keyboard.press("Escape")
            for name in ("Keep editing", "Discard", "Create Key"):
                expect(typed.dialog.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
            typed.dialog.get_by_role("button", name="Keep editing").click()
            expect(typed.dialog.get_by_text(QUESTION)).to_have_count(0)


@pytest.fixture(params=["dialog", "page"])
def form(request, page, accounts):
    """Create Key in a dialog, and as a page of its own."""
    return open_form(ApiSettings(page, scripting=request.param == "dialog"))


def open_form(tab):
    if tab.scripting:
        tab.open().click("Create Key")
    else:
        tab.page.goto(f"{PATH}/keys/new")
    return tab


def is_restored(tab, name="Tax"):
    expect(tab.name).to_have_value(name)
    expect(tab.place.get_by_role("paragraph").filter(has_text=KEPT)).to_have_count(1)


def is_fresh(tab):
    open_form(tab)
    expect(tab.name).to_have_value("")
    expect(tab.page.get_by_text(KEPT)).to_have_count(0)


def test_reload_keeps_draft(form, api):
    form.name.fill("Tax")
    form.place.get_by_label("Read only").check()
    form.choose("Savings")
    for _ in range(2):
        form.page.reload()
        is_restored(form)
    expect(form.place.get_by_label("Read only")).to_be_checked()
    form.submit("Create Key")
    assert api.accounts(form.secret()) == {"Savings"}
    assert ApiKey.objects.get().read_only


def test_selecting_all_accounts_is_kept(form):
    form.share_all(False)
    form.place.get_by_role("button", name="All accounts", exact=True).click()
    form.page.reload()
    expect(form.place.get_by_role("checkbox", name="Savings")).to_be_checked()


def test_restored_dialog_asks_and_closes(typed):
    typed.page.reload()
    is_restored(typed)
    typed.page.go_back()
    typed.dialog.get_by_role("button", name="Discard").click()
    typed.is_list()
    typed.page.reload()
    typed.is_list()
    assert typed.page.url.endswith(PATH)


@pytest.mark.parametrize("return_by", ["Back", "a link"])
def test_link_in_dialog_keeps_draft(api_settings, return_by):
    page = open_form(api_settings).page
    api_settings.name.fill("Tax")
    api_settings.share_all(False)
    api_settings.dialog.get_by_role("link", name="Add an account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add account")
    if return_by == "Back":
        page.go_back()
    else:
        page.get_by_role("link", name="API settings").click()
    is_restored(api_settings)
    expect(api_settings.place.get_by_label("Share all accounts")).not_to_be_checked()


def test_link_on_page_keeps_draft(page, restricted):
    tab = ApiSettings(page, scripting=False)
    page.goto(f"{PATH}/keys/{restricted.key.pk}/rename")
    tab.name.fill("Tax")
    tab.place.get_by_role("link", name="API settings").click()
    expect(page.get_by_role("heading", name="API settings")).to_be_visible()
    page.goto(f"{PATH}/keys/{restricted.key.pk}/rename")
    is_restored(tab)
    tab.submit("Rename")
    ApiSettings(page).lists("Tax")
    page.goto(f"{PATH}/keys/{restricted.key.pk}/rename")
    expect(page.get_by_text(KEPT)).to_have_count(0)
    assert page.evaluate(STORED) == "{}"


def test_cancel_and_saving_end_draft(form):
    form.name.fill("Tax")
    form.place.get_by_role("link", name="Cancel").click()
    form.has_gone_back()
    is_fresh(form)
    form.name.fill("Tax")
    form.submit("Create Key")
    form.copy()
    form.done_button.click()
    form.has_gone_back()
    is_fresh(form)
    assert form.page.evaluate(STORED) == "{}"


def test_rejected_page_is_kept(page, restricted):
    tab = open_form(ApiSettings(page, scripting=False))
    tab.name.fill("Restricted")
    tab.submit("Create Key")
    expect(tab.name).to_have_attribute("aria-invalid", "true")
    page.goto(PATH)
    is_restored(open_form(tab), "Restricted")


def test_expired_session_keeps_draft_of_page(page, accounts, api):
    tab = open_form(ApiSettings(page, scripting=False))
    tab.name.fill("Tax")
    tab.choose("Savings")
    expire_sessions()
    tab.submit("Create Key")
    expect(page.get_by_text("What you entered is kept.")).to_be_visible()
    sign_in(page)
    is_restored(tab)
    tab.submit("Create Key")
    assert api.accounts(tab.secret()) == {"Savings"}


def test_turned_page_of_accounts_is_kept(page, alice):
    AccountFactory.create_batch(120, owner=alice)
    tab = open_form(ApiSettings(page, scripting=False))
    tab.name.fill("Tax")
    tab.share_all(False)
    tab.place.get_by_role("button", name="Next").click()
    expect(tab.place).to_contain_text("101–120 of 120 accounts")
    expect(page.get_by_text(KEPT)).to_have_count(0)
    page.goto(PATH)
    is_restored(open_form(tab))
    expect(tab.place).to_contain_text("101–120 of 120 accounts")


def test_draft_waits_for_password(form):
    form.name.fill("Tax")
    expire_confirmation(form.page.context)
    form.page.reload()
    confirm(form)
    is_restored(form)


def test_expired_session_returns_to_second_dialog(api_settings, restricted):
    """The dialog that another dialog has opened, not the first."""
    api_settings.open().click("Rotate", "Restricted").get_by_role("link", name="Duplicate the key").click()
    api_settings.name.fill("Tax")
    expire_sessions()
    api_settings.submit("Create Key")
    sign_in(api_settings.page)
    is_restored(api_settings)
    expect(api_settings.place.get_by_role("heading", level=1)).to_contain_text("Duplicate")


def test_draft_ends_when_user_signs_out(page, accounts):
    open_form(ApiSettings(page, scripting=False)).name.fill("Tax")
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    wait_until(lambda: page.evaluate("sessionStorage.length === 0"), "the draft to be removed")


@pytest.mark.rule("K2")
def test_draft_holds_no_secret(form, alice):
    _, secret = make_key(alice)
    form.name.fill(secret)
    form.choose("Savings")
    assert secret not in form.page.evaluate(STORED)
    assert "accounts" in form.page.evaluate(STORED)


def test_forms_of_the_host_are_not_kept(page, accounts):
    page.goto(f"/accounts/{accounts.cash.pk}/edit")
    page.get_by_label("Name").fill("Tax")
    assert page.evaluate(STORED) == "{}"
