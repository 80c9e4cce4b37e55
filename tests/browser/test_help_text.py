"""The help page, step by step and in its own words, with JavaScript and without; then what the API says of it."""

import re

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey

EVERYTHING = {"Checking", "Savings", "Cash"}


@pytest.fixture(autouse=True)
def _accounts(accounts):
    """All stories begin with Alice's three accounts."""


def test_creating_a_key_for_all_accounts(any_settings, api):
    any_settings.click("Create Key")
    any_settings.name.fill("Production")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    any_settings.lists("Production")
    expect(any_settings.row("Production")).to_contain_text("All accounts")
    assert api.accounts(secret) == EVERYTHING


def test_creating_a_key_that_is_restricted(any_settings, api, accounts):
    any_settings.click("Create Key")
    any_settings.name.fill("Personal scripts")
    any_settings.choose("Savings")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    assert api.accounts(secret) == {"Savings"}
    assert api.hides(accounts.checking, secret)
    assert not api.hides(accounts.savings, secret)


def test_creating_a_key_enables_storage_mode_and_says_so_before(any_settings, api, alice):
    place = any_settings.click("Create Key")
    expect(place).to_contain_text("Storage Mode")
    any_settings.name.fill("First")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    assert api.get("/me", secret)[1]["storageMode"] is True
    expect(any_settings.click("Create Key")).not_to_contain_text("Storage Mode")


def test_an_error_is_shown_next_to_its_field_and_what_was_typed_stays(any_settings, unrestricted):
    any_settings.click("Create Key")
    any_settings.name.fill("ALL ACCOUNTS")
    any_settings.choose("Savings")
    any_settings.submit("Create Key")
    expect(any_settings.name).to_have_accessible_description(re.compile("You already have a key of this name"))
    expect(any_settings.name).to_have_value("ALL ACCOUNTS")
    expect(any_settings.place.get_by_label("Savings")).to_be_checked()
    expect(any_settings.place.get_by_label("Share all accounts")).not_to_be_checked()


def test_renaming_a_key(any_settings, api, unrestricted):
    any_settings.open().click("Rename", "All accounts")
    any_settings.name.fill("Laptop")
    any_settings.submit("Rename")
    any_settings.says("Renamed to “Laptop”")
    any_settings.is_list()
    any_settings.lists("Laptop")
    assert api.accepts(unrestricted.secret)


def test_editing_scope_after_creation(any_settings, api, restricted, accounts):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.choose("Savings")
    any_settings.submit("Save")
    any_settings.says("Scope updated. Changes take effect immediately.")
    any_settings.is_list()
    assert api.hides(accounts.checking, restricted.secret)
    assert api.accounts(restricted.secret) == {"Savings"}


def test_toggling_share_all_accounts(any_settings, api, restricted):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.share_all(True)
    any_settings.submit("Save")
    any_settings.is_list()
    assert api.accounts(restricted.secret) == EVERYTHING
    expect(any_settings.row("Restricted")).to_contain_text("All accounts")


def test_a_scope_of_nothing_is_refused_with_both_ways_out(any_settings, api, restricted):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.choose()
    any_settings.submit("Save")
    expect(any_settings.place.get_by_role("alert").or_(any_settings.place.locator(".errorlist")).first).to_be_visible()
    assert api.accounts(restricted.secret) == {"Checking"}


def test_rotating_a_key(any_settings, api, restricted, accounts):
    any_settings.open().click("Rotate", "Restricted")
    any_settings.submit("Rotate")
    secret = any_settings.secret()
    expect(any_settings.place).to_contain_text("before")  # update the applications before closing
    assert not api.accepts(restricted.secret)
    assert api.accepts(secret)
    any_settings.done()
    any_settings.lists("Restricted")
    assert api.accounts(secret) == {"Checking"}
    assert api.hides(accounts.savings, secret)


def test_deleting_a_key(any_settings, api, restricted):
    any_settings.open().click("Delete", "Restricted")
    any_settings.submit("Delete")
    any_settings.says("Deleted “Restricted”.")
    any_settings.is_list()
    any_settings.lists()
    assert not api.accepts(restricted.secret)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("verb", ["Rename", "Edit scope", "Rotate", "Delete"])
def test_cancel_changes_nothing(any_settings, api, restricted, verb):
    place = any_settings.open().click(verb, "Restricted")
    place.get_by_role("link", name="Cancel").or_(place.get_by_role("button", name="Cancel")).click()
    any_settings.is_list()
    any_settings.lists("Restricted")
    assert api.accounts(restricted.secret) == {"Checking"}
