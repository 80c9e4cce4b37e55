"""The steps of the help page, with and without JavaScript, and their effect on the API."""

import re

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey

ALL_ACCOUNTS = {"Checking", "Savings", "Cash"}


@pytest.fixture(autouse=True)
def _accounts(accounts):
    """Every test starts with Alice's three accounts."""


def test_create_key_for_all_accounts(any_settings, api):
    any_settings.click("Create Key")
    any_settings.name.fill("Production")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    any_settings.lists("Production")
    expect(any_settings.row("Production")).to_contain_text("All accounts")
    assert api.accounts(secret) == ALL_ACCOUNTS


@pytest.mark.rule("S3")
def test_create_restricted_key(any_settings, api, accounts):
    any_settings.click("Create Key")
    any_settings.name.fill("Personal scripts")
    any_settings.choose("Savings")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    assert api.accounts(secret) == {"Savings"}
    assert api.hides(accounts.checking, secret)
    assert not api.hides(accounts.savings, secret)


@pytest.mark.rule("M2")
def test_create_announces_and_enables_storage_mode(any_settings, api, alice):
    place = any_settings.click("Create Key")
    expect(place).to_contain_text("Storage Mode")
    any_settings.name.fill("First")
    any_settings.submit("Create Key")
    secret = any_settings.secret()
    any_settings.done()
    assert api.get("/me", secret)[1]["storageMode"] is True
    expect(any_settings.click("Create Key")).not_to_contain_text("Storage Mode")


def test_error_is_shown_at_field_and_input_kept(any_settings, unrestricted):
    any_settings.click("Create Key")
    any_settings.name.fill("ALL ACCOUNTS")
    any_settings.choose("Savings")
    any_settings.submit("Create Key")
    expect(any_settings.name).to_have_accessible_description(re.compile("You already have a key with this name"))
    expect(any_settings.name).to_have_value("ALL ACCOUNTS")
    expect(any_settings.place.get_by_label("Savings")).to_be_checked()
    expect(any_settings.place.get_by_label("Share all accounts")).not_to_be_checked()
    if any_settings.scripting:
        any_settings.name.fill("Laptop")
        expect(any_settings.place.locator("[aria-invalid=true], .errorlist")).to_have_count(0)


def test_rename_key(any_settings, api, unrestricted):
    any_settings.open().click("Rename", "All accounts")
    any_settings.name.fill("Laptop")
    any_settings.submit("Rename")
    any_settings.says("Renamed to “Laptop”")
    any_settings.is_list()
    any_settings.lists("Laptop")
    assert api.accepts(unrestricted.secret)


@pytest.mark.rule("K4")
def test_edit_scope_takes_effect_immediately(any_settings, api, restricted, accounts):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.choose("Savings")
    any_settings.submit("Save")
    any_settings.says("Scope updated. Changes take effect immediately.")
    any_settings.is_list()
    assert api.hides(accounts.checking, restricted.secret)
    assert api.accounts(restricted.secret) == {"Savings"}


def test_share_all_accounts_can_be_switched_on(any_settings, api, restricted):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.share_all(True)
    any_settings.submit("Save")
    any_settings.is_list()
    assert api.accounts(restricted.secret) == ALL_ACCOUNTS
    expect(any_settings.row("Restricted")).to_contain_text("All accounts")


@pytest.mark.rule("S2")
def test_edit_scope_rejects_empty_selection(any_settings, api, restricted):
    any_settings.open().click("Edit scope", "Restricted")
    any_settings.choose()
    any_settings.submit("Save")
    expect(any_settings.place.get_by_role("alert").or_(any_settings.place.locator(".errorlist")).first).to_be_visible()
    assert api.accounts(restricted.secret) == {"Checking"}


@pytest.mark.rule("K3")
def test_rotate_key(any_settings, api, restricted, accounts):
    any_settings.open().click("Rotate", "Restricted")
    any_settings.submit("Rotate")
    secret = any_settings.secret()
    expect(any_settings.place).to_contain_text("before")
    assert not api.accepts(restricted.secret)
    assert api.accepts(secret)
    any_settings.done()
    any_settings.lists("Restricted")
    assert api.accounts(secret) == {"Checking"}
    assert api.hides(accounts.savings, secret)


def test_delete_key(any_settings, api, restricted):
    any_settings.open().click("Delete", "Restricted")
    any_settings.submit("Delete")
    any_settings.says("Deleted “Restricted”.")
    any_settings.is_list()
    any_settings.lists()
    assert not api.accepts(restricted.secret)
    assert not ApiKey.objects.exists()


def test_cancel_changes_nothing(any_settings, api, restricted, subtests):
    for action in ("Rename", "Edit scope", "Rotate", "Delete"):
        with subtests.test(action):
            place = any_settings.open().click(action, "Restricted")
            place.get_by_role("link", name="Cancel").or_(place.get_by_role("button", name="Cancel")).click()
            any_settings.has_gone_back()
            any_settings.lists("Restricted")
            assert api.accounts(restricted.secret) == {"Checking"}
