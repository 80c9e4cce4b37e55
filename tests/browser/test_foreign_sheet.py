"""Bootstrap does not change API settings, except for inherited styles of its body."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib.staticfiles import finders
from playwright.sync_api import Page, expect

from finta_keys.testing import make_key
from tests.browser.pages import PATH, ApiSettings

FOLDER = Path(__file__).parent / "foreign"
BOOTSTRAP = Path(finders.find("rest_framework/css/bootstrap.min.css"))  # Bootstrap 3, from REST framework
FONTS = re.compile(r"@font-face\s*{[^}]*}")  # blocked by the Content-Security-Policy
STATES = [(), ("hover",), ("focus", "focus-visible"), ("active",)]
INTERACTIVE = "a, button, input, label, select, summary"
# Styles of our elements that change with the host's stylesheet, loaded before or after ours.
DIFFERENCES = """selector => {
    const sheets = ["before", "after"].map(id => document.getElementById(id).sheet);
    const names = [...getComputedStyle(document.body)].filter(name => !name.startsWith("--"));
    const parts = [...document.querySelectorAll(`.finta-keys:is(${selector}), .finta-keys :is(${selector})`)]
        .flatMap(element => ["", "::before", "::after", "::backdrop"].map(part => [element, part]))
        .filter(([element, part]) => part !== "::backdrop" || element.localName === "dialog");
    const looks = () => parts.map(([element, part]) => {
        const styles = getComputedStyle(element, part);
        return styles.content === "none" ? [] : names.map(name => styles.getPropertyValue(name));
    });
    for (const sheet of sheets) sheet.disabled = true;
    const alone = looks();
    return sheets.flatMap(sheet => {
        sheet.disabled = false;
        const within = looks();
        sheet.disabled = true;
        return parts.flatMap(([element, part], index) => names
            .map((name, at) => [name, alone[index][at], within[index][at]])
            .filter(([, before, after]) => before !== after)
            .map(change => [sheet.ownerNode.id, element.outerHTML.slice(0, 60), part, ...change].join(" | ")));
    });
}"""


@pytest.fixture(autouse=True)
def _host(settings):
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": [FOLDER / "templates"]}]
    settings.STATICFILES_DIRS = [FOLDER / "static"]
    settings.FINTA_KEYS_BASE_TEMPLATE = "shop/plain.html"


@pytest.fixture
def keys(page, alice, accounts, restricted) -> ApiSettings:
    """API settings with keys of every kind."""
    sheet = FONTS.sub("", BOOTSTRAP.read_text())
    page.context.route("**/bootstrap.min.css", lambda route: route.fulfill(body=sheet, content_type="text/css"))
    for number in range(6):
        make_key(alice, f"Key {number}", list(vars(accounts).values()) if number == 1 else None)
    return in_new_tab(ApiSettings(page))


def in_new_tab(keys: ApiSettings) -> ApiSettings:
    """Open API settings in another tab, which has no draft of the others."""
    page = keys.page.context.new_page()
    page.emulate_media(reduced_motion="reduce")
    return ApiSettings(page).open()


def the_list(keys: ApiSettings) -> None:
    keys.page.goto(keys.open_menu("Rename", "Restricted").get_attribute("href"))
    keys.page.get_by_role("textbox", name="Name").fill("Phone")
    keys.page.get_by_role("button", name="Rename").click()
    expect(keys.page.get_by_role("status").filter(has_text="Renamed")).to_be_visible()


def edit_scope_as_a_dialog(keys: ApiSettings) -> None:
    keys.click("Edit scope", "Restricted")


def edit_scope(keys: ApiSettings) -> None:
    keys.page.goto(keys.open_menu("Edit scope", "Restricted").get_attribute("href"))


def delete(keys: ApiSettings) -> None:
    keys.page.goto(keys.open_menu("Delete", "Restricted").get_attribute("href"))


def create(keys: ApiSettings, name: str = "Laptop") -> None:
    keys.page.goto(f"{PATH}/keys/new")
    keys.page.get_by_role("textbox", name="Name").fill(name)


def a_form_with_errors(keys: ApiSettings) -> None:
    create(keys, name="")
    keys.page.get_by_role("switch").uncheck()
    keys.page.get_by_role("button", name="Create Key").click()
    expect(keys.page.get_by_role("textbox", name="Name")).to_have_attribute("aria-invalid", "true")
    expect(keys.page.get_by_role("textbox", name="Name")).to_be_focused()


def a_secret(keys: ApiSettings) -> None:
    create(keys)
    keys.page.get_by_role("button", name="Create Key").click()
    expect(keys.page.get_by_role("heading", name=re.compile("Save your secret for"))).to_be_visible()


def test_bootstrap_does_not_change_pages(keys, subtests):
    for scene in (edit_scope_as_a_dialog, edit_scope, create, delete, a_form_with_errors, a_secret, the_list):
        with subtests.test(scene.__name__):
            tab = in_new_tab(keys)
            scene(tab)
            forced = Forced(tab.page)
            assert [(state, *forced.differences(state)) for state in STATES] == [(state,) for state in STATES]


def test_images_of_host_keep_attributes(keys):
    picture = """document.querySelector(".finta-keys").insertAdjacentHTML("beforeend",
        '<svg role="img" width="20" height="10"><path fill="red" d="M0 0h9v9z"/></svg>')"""
    keys.page.evaluate(picture)
    expect(keys.page.get_by_role("img")).to_have_css("width", "20px")
    expect(keys.page.get_by_role("img").locator("path")).to_have_css("fill", "rgb(255, 0, 0)")


class Forced:
    """Forces states such as hover and focus on all our elements at once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.devtools = page.context.new_cdp_session(page)
        for domain in ("DOM", "CSS"):
            self.devtools.send(f"{domain}.enable")
        root = self.devtools.send("DOM.getDocument")["root"]["nodeId"]
        query = {"nodeId": root, "selector": f".finta-keys :is({INTERACTIVE})"}
        self.nodes = self.devtools.send("DOM.querySelectorAll", query)["nodeIds"]

    def differences(self, state: tuple[str, ...]) -> list[str]:
        for node in self.nodes if state else ():
            self.devtools.send("CSS.forcePseudoState", {"nodeId": node, "forcedPseudoClasses": list(state)})
        changes: list[str] = self.page.evaluate(DIFFERENCES, INTERACTIVE if state else "*")
        return changes
