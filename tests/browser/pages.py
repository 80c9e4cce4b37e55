"""API settings, driven by its visible texts."""

from __future__ import annotations

import re
from typing import Self

from playwright.sync_api import Locator, Page, expect

from finta_keys.secret import pattern
from tests.live.servers import wait_until

PATH = "/settings/api"
LINKS = {
    "Create Key": "Create Key",
    "Rename": "Rename {}",
    "Edit scope": "Edit scope of {}",
    "Rotate": "Rotate {}",
    "Delete": "Delete {}",
}


class ApiSettings:
    """The list of keys, and the dialogs or (without JavaScript) the pages that its links open."""

    def __init__(self, page: Page, *, scripting: bool = True) -> None:
        self.page = page
        self.scripting = scripting

    def open(self) -> Self:
        self.page.goto(PATH)
        return self

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def place(self) -> Locator:
        """The dialog, or the page without JavaScript."""
        return self.dialog if self.scripting else self.page.get_by_role("main")

    @property
    def names(self) -> list[str]:
        """The current names in the list. Does not wait: use ``lists()`` after a change."""
        headers = self.page.get_by_role("main").get_by_role("rowheader").all_inner_texts()
        return [header.rpartition("finta_")[0].strip() for header in headers]  # without the hint

    def lists(self, *names: str) -> None:
        """Wait until the list shows these keys in this order."""
        headers = self.page.get_by_role("main").get_by_role("rowheader")
        expect(headers).to_have_text([re.compile(rf"^\s*{re.escape(name)}\s+finta_") for name in names])

    def row(self, name: str) -> Locator:
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name=name))

    def link(self, action: str, name: str = "") -> Locator:
        return self.page.get_by_role("link", name=LINKS[action].format(name), exact=True).first

    def open_menu(self, action: str, name: str = "") -> Locator:
        """Return the link of an action, which is in a menu if the list is narrow."""
        link = self.link(action, name)
        menu = self.page.get_by_role("button", name=f"Actions for {name}", exact=True)
        expect(link.or_(menu).first).to_be_visible()
        if not link.is_visible():
            menu.click()
        return link

    def click(self, action: str, name: str = "") -> Locator:
        """Click Create Key or an action of a key, and return the place of the form."""
        self.open_menu(action, name).click()
        expect(self.place.get_by_role("heading", level=1)).to_contain_text(action)
        return self.place

    @property
    def name(self) -> Locator:
        return self.place.get_by_role("textbox", name="Name")

    def submit(self, button: str) -> None:
        self.place.get_by_role("button", name=button, exact=True).click()

    def share_all(self, checked: bool) -> None:
        self.place.get_by_label("Share all accounts").set_checked(checked)

    def choose(self, *accounts: str) -> None:
        """Restrict the key to these accounts."""
        self.share_all(False)
        boxes = self.place.get_by_role("checkbox")
        for box in boxes.all():
            if box.get_attribute("name") == "accounts":
                label = box.evaluate("box => box.labels[0].textContent")
                box.set_checked(any(account in label for account in accounts))

    def create(self, name: str) -> str:
        """Create a key for all accounts and return its secret."""
        self.click("Create Key")
        self.name.fill(name)
        self.submit("Create Key")
        secret = self.secret()
        self.done()
        return secret

    def secret(self) -> str:
        """Return the secret on the page."""
        element = self.place.locator(".finta-secret")
        expect(element).to_have_text(re.compile(pattern()))
        return element.inner_text().strip()

    def copy(self, text: str = "the secret") -> None:
        self.place.get_by_role("button", name=f"Copy {text}").click()
        expect(self.place.get_by_role("button", name=f"Copied {text}")).to_be_visible()

    def done(self) -> None:
        """Copy the secret if scripts run, and close."""
        if self.scripting:
            self.copy()
        self.done_button.click()
        self.is_list()

    @property
    def done_button(self) -> Locator:
        return self.place.get_by_role("button", name="Done").or_(self.place.get_by_role("link", name="Done"))

    def is_list(self) -> None:
        """Wait until the list is shown without a dialog."""
        expect(self.dialog).to_have_count(0)
        expect(self.page.get_by_role("heading", name="API settings", level=1)).to_be_visible()

    def has_gone_back(self) -> None:
        """Wait until the history is at the entry of the list. A page that is opened before would not load."""
        self.is_list()
        self.page.wait_for_url(lambda url: url.endswith(PATH))
        # Not wait_for_function(): it repeats the check by eval(), which the content security policy forbids.
        wait_until(
            lambda: not self.page.evaluate("history.state?.fintaKeysDialog"), "the entry of the list in the history"
        )

    def says(self, message: str) -> None:
        expect(self.page.get_by_role("main").get_by_role("status").filter(has_text=message)).to_be_visible()
