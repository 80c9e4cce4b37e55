"""The tutorial's steps in a browser."""

from __future__ import annotations

import pytest

from tests.docs.runner import Reader

NAME = "Stock script"
SHOP = "Northgate"


def create_key_in_browser(reader: Reader) -> None:
    """Sign in, create a key for one shop and copy its secret. Without a browser, use the command."""
    browser = _browser()
    if browser:
        _create_key(reader, browser)
    else:
        command = f"python manage.py createkey --user ann --name '{NAME}' --account 1 2>/dev/null"
        reader.clipboard = reader.run(command)[0].strip()


def _create_key(reader: Reader, browser: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.conftest import ARGUMENTS

    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS).new_context()
        window.grant_permissions(["clipboard-read", "clipboard-write"])
        page = window.new_page()
        page.goto(f"{reader.url}/settings/api/")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill("a long walk by the sea")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Create Key").first.click()
        page.get_by_role("textbox", name="Name").fill(NAME)
        page.get_by_label("Share all shops").set_checked(False)
        page.get_by_label(SHOP).check()
        page.get_by_role("button", name="Create Key", exact=True).click()
        page.get_by_role("button", name="Copy the secret").click()
        reader.clipboard = page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("link", name="Done").click()
        expect(page.get_by_role("row").filter(has_text=NAME)).to_contain_text("1 of 2 shops")


def _browser() -> str | None:
    try:
        from tests.browser.conftest import CHROMIUM, find_browser
    except ModuleNotFoundError:  # requirements-browser.txt is not installed
        return None
    try:
        return find_browser("CHROMIUM", CHROMIUM)
    except pytest.skip.Exception:
        return None
