"""Permission, expiry date, Duplicate and Delete all keys, with and without JavaScript."""

from __future__ import annotations

import datetime as dt

import pytest
from playwright.sync_api import expect

from accounts_app.models import Account
from finta_keys import expiry
from finta_keys.models import ApiKey
from tests.browser.pages import ApiSettings

pytestmark = [pytest.mark.browser, pytest.mark.rule("K7"), pytest.mark.rule("K8")]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def tab(request, open_context, alice, accounts):
    page = open_context(alice, java_script_enabled=request.param).new_page()
    return ApiSettings(page, scripting=request.param).open()


def test_create_read_only_key_until_a_date(tab):
    tab.click("Create Key")
    tab.name.fill("Tax report")
    tab.place.get_by_label("Read only").check()
    date = tab.place.get_by_label("Expiry date")
    expect(date).to_be_hidden()
    tab.place.get_by_label("Expires").select_option("On a date")
    date.fill("2099-03-31")
    tab.submit("Create Key")
    tab.secret()
    key = ApiKey.objects.get()
    assert (key.read_only, key.expires_at) == (True, expiry.start_of(dt.date(2099, 3, 31)))


@pytest.mark.rule("S2")
@pytest.mark.parametrize("has_accounts", [True, False])
def test_summary_says_that_a_key_needs_accounts(api_settings, accounts, has_accounts):
    if not has_accounts:
        Account.objects.all().delete()
    api_settings.click("Create Key")
    api_settings.name.fill("Tax")
    summary = api_settings.place.locator("[data-summary]")
    expect(summary).to_contain_text("can read all accounts")
    api_settings.share_all(False)
    expect(summary).to_have_text("\u2068Tax\u2069 can access no accounts, so it cannot be created.")
    if has_accounts:
        api_settings.choose("Savings")
        expect(summary).to_contain_text("can read 1 of 3 accounts")


def test_duplicate_then_old_key_expires(tab, alice):
    key, _ = ApiKey.objects.create_key(owner=alice, name="Production", read_only=True)
    tab.open()
    tab.click("Rotate", "Production")
    tab.place.get_by_role("link", name="Duplicate the key").click()
    expect(tab.place.get_by_role("heading", level=1)).to_contain_text("Duplicate")
    tab.name.fill("Successor")
    tab.place.get_by_label("Old key").select_option("Expires in 7 days")
    tab.submit("Create Key")
    tab.secret()
    assert ApiKey.objects.get(name="Successor").read_only
    assert ApiKey.objects.get(pk=key.pk).expires_at is not None


def test_delete_all_keys(tab, alice):
    for name in ("First", "Second"):
        ApiKey.objects.create_key(owner=alice, name=name)
    tab.open()
    tab.page.get_by_role("link", name="Delete all keys").click()
    expect(tab.place).to_contain_text("Second")
    tab.submit("Delete all")
    expect(tab.page.get_by_text("Create your first key")).to_be_visible()
    assert not ApiKey.objects.exists()
