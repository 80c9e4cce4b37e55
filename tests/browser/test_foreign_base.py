"""API settings in a host with a base template, a stylesheet, ids and data attributes of its own."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as site
from django.utils import timezone, translation
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.axe import REVEAL, summary
from tests.browser.layout import overflow
from tests.browser.pages import ApiSettings
from tests.factories import AccountFactory
from tests.finta_keys.test_texts import catalog

FOLDER = Path(__file__).parent / "foreign"
PHONE, DESKTOP = {"width": 320, "height": 2400}, {"width": 1280, "height": 1600}

# Styles of the host's elements, except for sizes that depend on our height, and for --finta, which all pages know.
HOST_STYLES = """() => {
    const around = ["height", "block-size", "perspective-origin", "transform-origin", "inset"];
    const theirs = [...document.querySelectorAll("html, body, body *")]
        .filter(element => !element.closest(".finta-keys") && !["LINK", "SCRIPT"].includes(element.tagName));
    return theirs.map(element => {
        const styles = getComputedStyle(element);
        const holdsOurs = element.querySelector(".finta-keys");
        const names = [...styles].filter(
            name => name !== "--finta" && !(holdsOurs && around.some(part => name.includes(part))));
        const values = names.map(name => `${name}: ${styles.getPropertyValue(name)}`);
        return [element.outerHTML.slice(0, 60), values.join("; ")];
    });
}"""
# For each column width: content that is too wide, and actions that cannot be clicked.
SQUEEZE = """([root, widths]) => {
    document.documentElement.style.fontSize = root;
    const ours = document.querySelector("[data-finta-keys-user]");
    const column = ours.parentElement;
    column.style.maxWidth = "none";
    const wrong = [];
    for (const width of widths) {
        column.style.width = `${width}px`;
        if (ours.clientWidth !== width) wrong.push(`${width}: is ${ours.clientWidth}`);
        if (ours.scrollWidth > ours.clientWidth) wrong.push(`${width}: takes ${ours.scrollWidth}`);
        const { left, right } = ours.getBoundingClientRect();
        for (const target of ours.querySelectorAll("a, button:not([hidden])")) {
            target.scrollIntoView({ block: "center", inline: "nearest" });
            const [part] = target.getClientRects();
            if (!part) continue;
            const hit = document.elementFromPoint(part.x + part.width / 2, part.y + part.height / 2);
            const fits = part.left >= left - 0.5 && part.right <= right + 0.5;
            if (!fits || !target.contains(hit)) wrong.push(`${width}: ${target.textContent} ends at ${part.right}`);
        }
    }
    return wrong;
}"""
# Every 20 pixels, and just above each breakpoint for text of 14, 16 and 20 pixels.
COLUMNS = sorted({*range(320, 1401, 20), *(em * size + 1 for em in (58, 68) for size in (14, 16, 20))})
ROOTS = ["10px", "16px", "20px"]
# Size and font size of our elements, in a host with text of 14 pixels.
MEASURES = """root => {
    document.documentElement.style.fontSize = root;
    document.body.style.fontSize = "14px";
    const column = document.querySelector("[data-finta-keys-user]").parentElement;
    Object.assign(column.style, { maxWidth: "none", width: "900px" });
    return [...document.querySelectorAll("[data-finta-keys-user], .finta-keys *")].map(element => {
        const { width, height } = element.getBoundingClientRect();
        return [`${element.tagName}.${element.className} ${getComputedStyle(element).fontSize}`, width, height];
    });
}"""
SWITCH_SHEET = """on => {
    for (const link of document.querySelectorAll('link[href*="finta_keys/"]')) link.sheet.disabled = !on;
}"""


class Shop(ApiSettings):
    """API settings as a part of another page."""

    @property
    def place(self):
        return self.dialog if self.scripting else self.page.locator("[data-finta-keys-user]")

    def says(self, message):
        expect(
            self.page.locator("[data-finta-keys-user]").get_by_role("status").filter(has_text=message)
        ).to_be_visible()


@pytest.fixture(autouse=True)
def _host(settings, accounts):
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": [FOLDER / "templates"]}]
    settings.STATICFILES_DIRS = [FOLDER / "static"]
    settings.FINTA_KEYS_BASE_TEMPLATE = "shop/base.html"
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("store", "stores")


@pytest.fixture
def shop(page, restricted):
    return Shop(page).open()


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def any_shop(request, open_context, alice, restricted):
    page = open_context(alice, java_script_enabled=request.param).new_page()
    return Shop(page, scripting=request.param).open()


def test_all_actions_work_in_hosts_page(any_shop, api, accounts):
    any_shop.click("Create Key")
    any_shop.name.fill("Laptop")
    any_shop.place.get_by_label("Share all stores").set_checked(False)
    any_shop.place.get_by_label("Savings").check()
    any_shop.submit("Create Key")
    secret = any_shop.secret()
    assert api.accounts(secret) == {"Savings"}
    any_shop.done()
    any_shop.click("Rename", "Laptop")
    any_shop.name.fill("")
    any_shop.submit("Rename")
    expect(any_shop.place).to_contain_text("Enter a name")
    any_shop.name.fill("Phone")
    any_shop.submit("Rename")
    any_shop.says("Renamed to “Phone”.")
    any_shop.is_list()
    any_shop.click("Rotate", "Phone")
    any_shop.submit("Rotate")
    fresh = any_shop.secret()
    assert api.accepts(fresh)
    assert not api.accepts(secret)
    any_shop.done()
    any_shop.click("Delete", "Phone")
    any_shop.submit("Delete")
    any_shop.says("Deleted “Phone”.")
    assert not api.accepts(fresh)
    expect(any_shop.page.get_by_role("heading", name="Corner Shop")).to_be_visible()


def test_copy_works_despite_hosts_ids(shop):
    shop.click("Rotate", "Restricted")
    shop.submit("Rotate")
    secret = shop.secret()
    for label, text in {
        "the secret": secret,
        "the header": "Authorization: Bearer $API_KEY",
        "the .env line with the secret": f"API_KEY={secret}",
    }.items():
        shop.copy(label)
        assert shop.page.evaluate("navigator.clipboard.readText()") == text
    shop.page.keyboard.press("Escape")
    shop.is_list()


def test_escape_closes_and_returns_focus(shop):
    shop.click("Rename", "Restricted")
    expect(shop.name).to_be_focused()
    shop.page.keyboard.press("Escape")
    shop.is_list()
    expect(shop.page.get_by_role("button", name="Actions for Restricted")).to_be_focused()


def test_heading_names_dialog(shop):
    shop.click("Rename", "Restricted")
    expect(shop.page.get_by_role("dialog", name="Rename “Restricted”")).to_be_visible()


def test_scope_preview_uses_hosts_words(shop):
    place = shop.click("Edit scope", "Restricted")
    place.get_by_label("Savings").check()
    expect(place.locator("[data-change]")).to_contain_text("Adds 1: \u2068Savings")
    mark = "label => getComputedStyle(label.querySelector('span'), '::after').content"
    assert place.locator("fieldset label", has_text="Savings").evaluate(mark) == '"Adds"'
    place.get_by_label("Share all stores").check()
    expect(place).to_contain_text("Includes stores you add later.")
    expect(place).not_to_contain_text("account")


def test_stylesheet_does_not_change_host(shop):
    shop.click("Rename", "Restricted")
    with_sheet = shop.page.evaluate(HOST_STYLES)
    shop.page.evaluate(SWITCH_SHEET, False)
    without = shop.page.evaluate(HOST_STYLES)
    assert len(without) > 15
    for ours, theirs in zip(with_sheet, without, strict=True):
        assert ours == theirs


def test_hosts_stylesheet_does_not_change_pages(shop, open_context, alice, settings):
    """Except for the font, which is inherited. Sizes are relative to it, so compare at the same size."""
    shop.page.evaluate("() => { document.body.style.fontSize = '14px'; }")
    looks = """() => ["h1", "a.finta-button", "th", "td", "p.finta-lead", "code", ".finta-verbs a"].map(selector => {
        const styles = getComputedStyle(document.querySelector(`.finta-keys ${selector}`));
        return ["color", "background-color", "border-top", "padding", "text-transform", "text-align", "text-indent",
            "font-style", "letter-spacing", "box-shadow"]
            .map(name => `${selector} ${name}: ${styles.getPropertyValue(name)}`);
    }).flat()"""
    within = shop.page.evaluate(looks)
    settings.TEMPLATES = [{**site.TEMPLATES[0], "DIRS": []}]
    settings.FINTA_KEYS_BASE_TEMPLATE = "finta_keys/base.html"
    alone = ApiSettings(open_context(alice).new_page()).open().page.evaluate(looks)
    assert within == alone


def test_scripts_ignore_clicks_on_host(shop, expected):
    page = shop.page
    page.get_by_role("link", name="Footer").click()
    expect(shop.dialog).to_have_count(0)
    assert page.url.endswith("#footer")
    expected(404)
    with page.expect_navigation(url=re.compile("/elsewhere")):
        page.get_by_role("button", name="Basket").click()


def test_scripts_leave_hosts_elements_alone(shop):
    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(shop.page.get_by_role("button", name="Closed")).to_be_disabled()
    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    expect(shop.page.locator("header code")).to_have_text("9-17")


def test_refreshed_list_keeps_stylesheet(shop):
    sheets = "document.styleSheets.length"
    shop.click("Rename", "Restricted")
    before = shop.page.evaluate(sheets)
    shop.name.fill("Phone")
    shop.submit("Rename")
    shop.says("Renamed to “Phone”.")
    assert shop.page.evaluate(sheets) == before
    expect(shop.row("Phone")).to_be_visible()
    expect(shop.page.get_by_text("Sale!")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_reports_no_violations(shop, scheme, size):
    page = shop.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    ours = {"include": [[".finta-keys"]]}
    assert not summary(Axe().run(page, context=ours).response["violations"])
    assert not [element for element in overflow(page) if "finta" in element]
    shop.click("Edit scope", "Restricted")
    page.evaluate(REVEAL)
    assert not summary(Axe().run(page, context={"include": [["dialog"]]}).response["violations"])


@pytest.fixture
def crowded(page, alice, accounts):
    """A list with a long name, a long scope, and keys that have not been used for a long time."""
    page.set_viewport_size({"width": 1500, "height": 900})
    make_key(alice, "W" * 100)
    many = [AccountFactory(owner=alice, name=f"Shop in the {number}th street") for number in range(40)]
    make_key(alice, "Many accounts", many)
    make_key(alice, "One " + "account " * 10, [accounts.checking])
    long_ago = timezone.now() - timedelta(days=400)
    ApiKey.objects.filter(owner=alice).update(created_at=long_ago, last_used_at=long_ago)
    shop = Shop(page).open()
    page.evaluate("document.querySelector('.finta-keys details').open = true")
    return shop


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("column", ["display: block; font-family: system-ui", "display: flex; font-family: monospace"])
def test_list_fits_any_column_width(crowded, root, column):
    crowded.page.evaluate("column => document.querySelector('.page').style.cssText = column", column)
    assert crowded.page.evaluate(SQUEEZE, [root, COLUMNS]) == []


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("action", ["Rename", "Edit scope", "Rotate", "Delete"])
def test_action_page_fits_any_column_width(crowded, root, action):
    page = crowded.page
    page.goto(crowded.open_menu(action, "Many accounts").get_attribute("href"))
    assert page.evaluate(SQUEEZE, [root, COLUMNS]) == []


@pytest.mark.parametrize("root", ROOTS)
def test_dialog_fits_any_window_width(crowded, root):
    page = crowded.page
    page.evaluate("root => document.documentElement.style.fontSize = root", root)
    page.evaluate("document.querySelector('#main').remove()")  # a panel of the host, whose table is too wide
    crowded.click("Edit scope", "Many accounts")
    for width in range(320, 1401, 60):
        page.set_viewport_size({"width": width, "height": 900})
        assert not [element for element in overflow(page) if "DIALOG" in element or "panel" in element], width


def test_narrow_column_shows_cards(crowded):
    row = crowded.row("Many accounts")
    for width, display in ((1100, "table-row"), (560, "block")):
        crowded.page.evaluate(SQUEEZE, ["16px", [width]])
        expect(row).to_have_css("display", display)


def test_sizes_do_not_depend_on_root_font_size(crowded):
    crowded.click("Edit scope", "Many accounts")
    expect(crowded.place.locator("[data-change]")).to_have_class("finta-summary")  # scope.js has run
    small, usual, large = (crowded.page.evaluate(MEASURES, root) for root in ROOTS)
    assert len(usual) > 100
    # Browsers round to 1/64 of a pixel, so sums can differ a little.
    for other in (small, large):
        assert [name for name, *_ in other] == [name for name, *_ in usual]
        assert [size for _, *size in other] == [pytest.approx(size, abs=0.25) for _, *size in usual]


def test_text_size_follows_host_above_14_pixels(crowded):
    page = crowded.page
    for root, size in (("10px", "14px"), ("16px", "16px"), ("20px", "20px")):
        page.evaluate("root => document.documentElement.style.fontSize = root", root)
        for selector in ("td", "p.finta-lead", "a.finta-button"):
            expect(page.locator(f".finta-keys {selector}").first).to_have_css("font-size", size)


@pytest.mark.parametrize("layout", ["flex", "grid", "inline-block"])
def test_content_sized_column_is_at_least_300_pixels(crowded, layout):
    width = """display => {
        document.querySelector(".page").style.cssText = `display: ${display}; place-items: center; max-width: none`;
        return document.querySelector("[data-finta-keys-user]").clientWidth;
    }"""
    assert crowded.page.evaluate(width, layout) >= 300


def test_scripts_use_page_language(page, restricted, settings, tmp_path, monkeypatch):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    texts = {
        "Close": "Schließen",
        "Adds %(number)s: %(names)s.": "Sieht dann %(number)s mehr: %(names)s.",
        "Includes %(account_words)s you add later.": "Sieht neue %(account_words)s, die dazukommen.",
    }
    (folder / "djangojs.mo").write_bytes(catalog(texts))
    settings.USE_I18N = True
    settings.LOCALE_PATHS = [tmp_path]
    settings.LANGUAGE_CODE = "de"
    settings.FINTA_KEYS_ACCOUNT_WORDS = ("Filiale", "Filialen")
    monkeypatch.setattr(translation, "_trans", type(translation._trans)())
    shop = Shop(page).open()
    place = shop.click("Edit scope", "Restricted")
    expect(place.get_by_role("button", name="Schließen")).to_be_visible()
    place.get_by_role("switch").check()
    expect(place).to_contain_text("Sieht dann 2 mehr: ")
    expect(place).to_contain_text("Sieht neue Filialen, die dazukommen.")
    assert ApiKey.objects.count() == 1
