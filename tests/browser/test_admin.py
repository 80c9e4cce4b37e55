"""The admin's list, and Copy on its page with the secret."""

import pytest
from playwright.sync_api import expect

from finta_keys.testing import make_key
from tests.factories import UserFactory

LIST = "/admin/finta_keys/apikey/"


@pytest.fixture
def operator_page(open_context):
    operator = UserFactory(email="op@example.com", is_staff=True, is_superuser=True)
    return open_context(operator).new_page()


def test_admin_list_is_not_cut_off(operator_page, alice, accounts):
    make_key(alice, "Budget spreadsheet of the family", [accounts.checking])
    operator_page.goto(LIST)
    for width in (1280, 1440):
        operator_page.set_viewport_size({"width": width, "height": 800})
        expect(operator_page.get_by_role("link", name="Budget spreadsheet")).to_be_visible()
        results = operator_page.locator(".results")
        assert results.evaluate("element => element.scrollWidth <= element.clientWidth"), width


def test_admin_copies_secret(operator_page, unrestricted):
    operator_page.goto(f"{LIST}{unrestricted.key.pk}/rotate/")
    operator_page.get_by_role("main").get_by_role("button", name="Rotate").or_(
        operator_page.locator("input[type=submit]")
    ).first.click()
    secret = operator_page.locator("code", has_text="finta_").first.inner_text()
    operator_page.get_by_role("button", name="Copy", exact=True).click()
    expect(operator_page.get_by_role("button", name="Copied")).to_be_visible()
    assert operator_page.evaluate("navigator.clipboard.readText()") == secret
