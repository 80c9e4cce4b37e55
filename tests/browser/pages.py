"""API settings by the words on it, as the help page speaks of them."""

from __future__ import annotations

import re
from typing import Self

from playwright.sync_api import Locator, Page, expect

from finta_keys.secret import pattern

PATH = "/settings/api"
LINKS = {
    "Create Key": "Create Key",
    "Rename": "Rename {}",
    "Edit scope": "Edit scope of {}",
    "Rotate": "Rotate {}",
    "Delete": "Delete {}",
}


class ApiSettings:
    """The list of keys, and what its links open: a dialog over it, or a page where there is no JavaScript."""

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
        """Where a question is asked and answered."""
        return self.dialog if self.scripting else self.page.get_by_role("main")

    @property
    def names(self) -> list[str]:
        """The names of the keys, in the order of the list, as they are now: wait for the page first, or use lists()."""
        headers = self.page.get_by_role("main").get_by_role("rowheader").all_inner_texts()
        return [header.rpartition("finta_")[0].strip() for header in headers]  # without the hint

    def lists(self, *names: str) -> None:
        """Assert that these are the keys of the list, in this order, as soon as it has caught up."""
        headers = self.page.get_by_role("main").get_by_role("rowheader")
        expect(headers).to_have_text([re.compile(rf"^\s*{re.escape(name)}\s+finta_") for name in names])

    def row(self, name: str) -> Locator:
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name=name))

    def link(self, verb: str, name: str = "") -> Locator:
        return self.page.get_by_role("link", name=LINKS[verb].format(name), exact=True).first

    def click(self, verb: str, name: str = "") -> Locator:
        """Click Create Key, or one of the four next to a key; return where the page asks."""
        self.link(verb, name).click()
        expect(self.place.get_by_role("heading", level=1)).to_contain_text(verb)
        return self.place

    @property
    def name(self) -> Locator:
        return self.place.get_by_role("textbox", name="Name")

    def submit(self, button: str) -> None:
        self.place.get_by_role("button", name=button, exact=True).click()

    def share_all(self, wanted: bool) -> None:
        self.place.get_by_label("Share all accounts").set_checked(wanted)

    def choose(self, *accounts: str) -> None:
        """Restrict the key to these accounts."""
        self.share_all(False)
        boxes = self.place.get_by_role("checkbox")
        for box in boxes.all():
            if box.get_attribute("name") == "accounts":
                label = box.evaluate("box => box.labels[0].textContent")
                box.set_checked(any(account in label for account in accounts))

    def create(self, name: str) -> str:
        """Create a key that shares all accounts, close what shows its secret, and return the secret."""
        self.click("Create Key")
        self.name.fill(name)
        self.submit("Create Key")
        secret = self.secret()
        self.done()
        return secret

    def secret(self) -> str:
        """Return the secret that is shown."""
        shown = self.place.locator(".finta-secret")
        expect(shown).to_have_text(re.compile(pattern()))
        return shown.inner_text().strip()

    def copy(self, what: str = "the secret") -> None:
        self.place.get_by_role("button", name=f"Copy {what}").click()
        expect(self.place.get_by_role("button", name=f"Copied {what}")).to_be_visible()

    def done(self) -> None:
        """Copy the secret where there is a button for it, and close."""
        if self.scripting:
            self.copy()
        self.done_button.click()
        self.is_list()

    @property
    def done_button(self) -> Locator:
        return self.place.get_by_role("button", name="Done").or_(self.place.get_by_role("link", name="Done"))

    def is_list(self) -> None:
        """Assert that nothing but the list is there."""
        expect(self.dialog).to_have_count(0)
        expect(self.page.get_by_role("heading", name="API settings", level=1)).to_be_visible()

    def says(self, words: str) -> None:
        expect(self.page.get_by_role("main").get_by_role("status").filter(has_text=words)).to_be_visible()
