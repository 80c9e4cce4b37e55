"""API settings in a host whose sheet is Bootstrap: but for what we take over from its body, all looks the same."""

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
BOOTSTRAP = Path(finders.find("rest_framework/css/bootstrap.min.css"))  # Bootstrap 3, which REST framework brings along
FONTS = re.compile(r"@font-face\s*{[^}]*}")  # which the Content-Security-Policy would refuse
STATES = [(), ("hover",), ("focus", "focus-visible"), ("active",)]
PRESSED = "a, button, input, label, select, summary"
# What of ours looks different when a sheet of the host, which is before ours or after it, is there.
DIFFERENCES = """selector => {
    const sheets = ["before", "after"].map(id => document.getElementById(id).sheet);
    const names = [...getComputedStyle(document.body)].filter(name => !name.startsWith("--"));
    const parts = [...document.querySelectorAll(`.finta-keys:is(${selector}), .finta-keys :is(${selector})`)]
        .flatMap(each => ["", "::before", "::after", "::backdrop"].map(part => [each, part]))
        .filter(([each, part]) => part !== "::backdrop" || each.localName === "dialog");
    const looks = () => parts.map(([each, part]) => {
        const styles = getComputedStyle(each, part);
        return styles.content === "none" ? [] : names.map(name => styles.getPropertyValue(name));
    });
    for (const sheet of sheets) sheet.disabled = true;
    const alone = looks();
    return sheets.flatMap(sheet => {
        sheet.disabled = false;
        const within = looks();
        sheet.disabled = true;
        return parts.flatMap(([each, part], index) => names
            .map((name, at) => [name, alone[index][at], within[index][at]])
            .filter(([, before, after]) => before !== after)
            .map(told => [sheet.ownerNode.id, `${each.tagName}.${each.className}${part}`, ...told].join(" | ")));
    });
}"""


@pytest.fixture(autouse=True)
def _host(settings):
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": [FOLDER / "templates"]}]
    settings.STATICFILES_DIRS = [FOLDER / "static"]
    settings.FINTA_KEYS_BASE_TEMPLATE = "shop/plain.html"


@pytest.fixture
def keys(page, alice, accounts, restricted) -> ApiSettings:
    """API settings with all that a list can have."""
    sheet = FONTS.sub("", BOOTSTRAP.read_text())
    page.route("**/bootstrap.min.css", lambda route: route.fulfill(body=sheet, content_type="text/css"))
    page.emulate_media(reduced_motion="reduce")
    for number in range(6):
        make_key(alice, f"Key {number}", list(vars(accounts).values()) if number == 1 else None)
    return ApiSettings(page).open()


def the_list(keys: ApiSettings) -> None:
    keys.page.goto(keys.link("Rename", "Restricted").get_attribute("href"))
    keys.page.get_by_role("textbox", name="Name").fill("Phone")
    keys.page.get_by_role("button", name="Rename").click()
    expect(keys.page.get_by_role("status").filter(has_text="Renamed")).to_be_visible()


def edit_scope_as_a_dialog(keys: ApiSettings) -> None:
    keys.click("Edit scope", "Restricted")


def edit_scope(keys: ApiSettings) -> None:
    keys.page.goto(keys.link("Edit scope", "Restricted").get_attribute("href"))


def delete(keys: ApiSettings) -> None:
    keys.page.goto(keys.link("Delete", "Restricted").get_attribute("href"))


def create(keys: ApiSettings, name: str = "Laptop") -> None:
    keys.page.goto(f"{PATH}/keys/new")
    keys.page.get_by_role("textbox", name="Name").fill(name)


def a_form_with_errors(keys: ApiSettings) -> None:
    create(keys, name="")
    keys.page.get_by_role("switch").uncheck()
    keys.page.get_by_role("button", name="Create Key").click()
    expect(keys.page.get_by_role("textbox", name="Name")).to_be_focused()


def a_secret(keys: ApiSettings) -> None:
    create(keys)
    keys.page.get_by_role("button", name="Create Key").click()
    expect(keys.page.get_by_role("heading", name=re.compile("Save your secret for"))).to_be_visible()


@pytest.mark.parametrize(
    "scene", [the_list, edit_scope_as_a_dialog, edit_scope, create, delete, a_secret, a_form_with_errors]
)
def test_bootstrap_changes_no_look_of_ours(keys, scene):
    scene(keys)
    forced = Forced(keys.page)
    assert [(state, *forced.differences(state)) for state in STATES] == [(state,) for state in STATES]


def test_a_picture_in_a_template_of_the_host_looks_as_its_attributes_say(keys):
    picture = """document.querySelector(".finta-keys").insertAdjacentHTML("beforeend",
        '<svg role="img" width="20" height="10"><path fill="red" d="M0 0h9v9z"/></svg>')"""
    keys.page.evaluate(picture)
    expect(keys.page.get_by_role("img")).to_have_css("width", "20px")
    expect(keys.page.get_by_role("img").locator("path")).to_have_css("fill", "rgb(255, 0, 0)")


class Forced:
    """Elements of ours that look as if they were hovered over, in focus or pressed, all at once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.devtools = page.context.new_cdp_session(page)
        for domain in ("DOM", "CSS"):
            self.devtools.send(f"{domain}.enable")
        root = self.devtools.send("DOM.getDocument")["root"]["nodeId"]
        wanted = {"nodeId": root, "selector": f".finta-keys :is({PRESSED})"}
        self.nodes = self.devtools.send("DOM.querySelectorAll", wanted)["nodeIds"]

    def differences(self, state: tuple[str, ...]) -> list[str]:
        for node in self.nodes if state else ():
            self.devtools.send("CSS.forcePseudoState", {"nodeId": node, "forcedPseudoClasses": list(state)})
        found: list[str] = self.page.evaluate(DIFFERENCES, PRESSED if state else "*")
        return found
