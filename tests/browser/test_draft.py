"""A dialog with input asks before it is closed."""

import pytest
from playwright.sync_api import expect

from tests.browser.pages import ApiSettings

QUESTION = "Discard this draft?"


@pytest.fixture
def typed(api_settings, accounts):
    """Create Key with a name that the user has typed."""
    api_settings.click("Create Key")
    api_settings.name.press_sequentially("Tax")
    return api_settings


def close_by(tab: ApiSettings, method: str) -> None:
    if method == "Back":
        tab.page.go_back()
    elif method == "Close":
        tab.dialog.get_by_role("button", name="Close", exact=True).click()
    else:
        tab.page.keyboard.press("Escape")


@pytest.mark.parametrize("method", ["Escape", "Close", "Back"])
def test_draft_is_kept_or_discarded(typed, method):
    for _ in range(3):
        close_by(typed, method)
        expect(typed.dialog.get_by_role("alert")).to_contain_text(QUESTION)
    expect(typed.dialog.get_by_role("button", name="Keep editing")).to_be_focused()
    typed.dialog.get_by_role("button", name="Keep editing").click()
    expect(typed.dialog.get_by_text(QUESTION)).to_have_count(0)
    expect(typed.name).to_have_value("Tax")
    close_by(typed, method)
    typed.dialog.get_by_role("button", name="Discard").click()
    typed.is_list()
    assert typed.page.url.endswith("/settings/api")


def test_cancel_discards_at_once(typed):
    typed.dialog.get_by_role("link", name="Cancel").click()
    typed.is_list()


@pytest.mark.parametrize("method", ["Escape", "Close", "Back"])
@pytest.mark.parametrize(
    ("action", "name"), [("Create Key", ""), ("Edit scope", "Restricted"), ("Delete", "Restricted")]
)
def test_unchanged_form_closes_at_once(api_settings, restricted, method, action, name):
    api_settings.open().click(action, name)
    close_by(api_settings, method)
    api_settings.is_list()


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


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (390, 664), (320, 568)])
def test_question_and_submit_button_are_visible(typed, size):
    typed.page.set_viewport_size({"width": size[0], "height": size[1]})
    typed.page.keyboard.press("Escape")
    for name in ("Keep editing", "Discard", "Create Key"):
        expect(typed.dialog.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
