"""One user with two tabs: each notices what happened in the other."""

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from tests.browser.pages import ApiSettings


@pytest.fixture
def two_tabs(any_settings, restricted):
    """The list with one key in two tabs."""
    return any_settings.open(), ApiSettings(
        any_settings.page.context.new_page(), scripting=any_settings.scripting
    ).open()


@pytest.mark.rule("K5")
def test_second_rotate_shows_when_first_happened(two_tabs, api, restricted, expected):
    expected(409)
    first, second = two_tabs
    for tab in two_tabs:
        tab.click("Rotate", "Restricted")
    first.submit("Rotate")
    secret = first.secret()
    second.submit("Rotate")
    expect(second.place).to_contain_text("This was already done")
    rotated_at = ApiKey.objects.get(pk=restricted.key.pk).rotated_at
    expect(second.place).to_contain_text(f"{rotated_at:%H:%M}")
    expect(second.place.locator(".finta-secret")).to_have_count(0)
    assert api.accepts(secret)
    assert not api.accepts(restricted.secret)


@pytest.mark.rule("K5")
def test_stale_tab_offers_rotate_again(two_tabs, api, expected):
    expected(409)
    first, second = two_tabs
    for tab in two_tabs:
        tab.click("Rotate", "Restricted")
    first.submit("Rotate")
    lost = first.secret()
    second.submit("Rotate")
    second.place.get_by_role("link", name="Rotate").click()
    second.submit("Rotate")
    secret = second.secret()
    assert api.accepts(secret)
    assert not api.accepts(lost)


@pytest.mark.rule("K5")
def test_delete_after_rotate_deletes_nothing(two_tabs, api, expected):
    expected(409)
    first, second = two_tabs
    second.click("Delete", "Restricted")
    first.click("Rotate", "Restricted")
    first.submit("Rotate")
    secret = first.secret()
    second.submit("Delete")
    expect(second.place).to_contain_text("has been rotated")
    assert api.accepts(secret)


@pytest.mark.rule("K3")
def test_rename_and_edit_scope_both_apply(two_tabs, api, restricted):
    first, second = two_tabs
    first.click("Rename", "Restricted")
    first.name.fill("Laptop")
    second.click("Edit scope", "Restricted")
    second.choose("Savings")
    first.submit("Rename")
    first.is_list()
    second.submit("Save")
    second.is_list()
    second.lists("Laptop")
    assert api.accounts(restricted.secret) == {"Savings"}
