"""API settings with two hundred keys."""

import datetime as dt
import re

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import expect

from accounts_app.models import Account
from finta_keys.models import ApiKey, RetiredSecret
from finta_keys.testing import make_key
from tests.browser.scenes import SCENES
from tests.factories import AccountFactory, add_calls

COUNT = 200


@pytest.fixture
def many(any_settings, alice, accounts):
    """200 keys. Key 0 can access a travel card. Key 7 was used yesterday, Key 8 91 days ago, the others never."""
    travel = AccountFactory(owner=alice, institution_name="Second Bank", name="Travel card")
    Account.objects.update(mask="")  # no digits that a search could match
    with transaction.atomic():  # one commit, for speed
        for number in range(COUNT):
            make_key(alice, f"Key {number}", [travel] if number == 0 else [accounts.checking])
    for name, days in {"Key 7": 1, "Key 8": 91}.items():
        ApiKey.objects.filter(name=name).update(last_used_at=timezone.now() - dt.timedelta(days=days))
    return any_settings.open()


def search(tab, text="", sort="Newest first"):
    tab.page.get_by_label("Search keys").fill(text)
    tab.page.get_by_label("Sort by").select_option(sort)
    with tab.page.expect_navigation(url=re.compile(r"[?&]q=")):
        tab.page.get_by_role("button", name="Search").click()


def test_search_and_sort_200_keys(many, subtests):
    with subtests.test("pages of 25 keys, newest first"):
        assert many.names == [f"Key {number}" for number in range(COUNT - 1, COUNT - 26, -1)]
        with many.page.expect_navigation():
            many.page.get_by_role("link", name="Next").click()
        assert many.names == [f"Key {number}" for number in range(COUNT - 26, COUNT - 51, -1)]
    with subtests.test("search by name"):
        search(many, "kEy 19")
        assert set(many.names) == {"Key 19", "Key 119", *(f"Key {number}" for number in range(190, 200))}
    with subtests.test("search by account"):
        search(many, "travel")
        many.lists("Key 0")
    with subtests.test("an empty result links to all keys"):
        search(many, "no such key")
        many.lists()
        with many.page.expect_navigation():
            many.page.get_by_role("link", name="Show all").click()
        assert len(many.names) == 25
    with subtests.test("sort by name"):
        search(many, sort="Name")
        assert many.names[:2] == ["Key 0", "Key 1"]
    with subtests.test("sort by last use"):
        search(many, sort="Last used first")
        assert many.names[:2] == ["Key 7", "Key 8"]
    with subtests.test("unused keys are tagged"):
        expect(many.row("Key 7 finta_")).not_to_contain_text("nused")
        expect(many.row("Key 8 finta_")).to_contain_text("Unused for 90 days")
        expect(many.row("Key 199 finta_")).to_contain_text("Never used")
    with subtests.test("a time has an exact title"):
        used_at = ApiKey.objects.get(name="Key 8").last_used_at
        moment = many.row("Key 8 finta_").locator("time").first  # the creation follows
        expect(moment).to_have_attribute("title", f"{used_at:%-d %B %Y, %H:%M} UTC")
        saved_at = dt.datetime.fromisoformat(moment.get_attribute("datetime"))
        assert saved_at.replace(microsecond=0) == used_at.replace(microsecond=0)
    with subtests.test("a search survives Rename"):
        search(many, "travel")
        many.click("Rename", "Key 0")
        many.name.fill("Holidays")
        many.submit("Rename")
        many.is_list()
        many.lists("Holidays")
        expect(many.page.get_by_label("Search keys")).to_have_value("travel")


def test_search_is_hidden_for_few_keys(any_settings, alice):
    for number in range(5):
        make_key(alice, f"Key {number}")
    expect(any_settings.open().page.get_by_label("Search keys")).to_have_count(0)
    make_key(alice, "Key 5")
    expect(any_settings.open().page.get_by_label("Search keys")).to_have_count(1)


def test_empty_list_offers_create_key(any_settings):
    expect(any_settings.page.get_by_role("main")).to_contain_text("Create your first key")
    expect(any_settings.link("Create Key")).to_be_visible()


# The texts that are wider than their cell or cut off, such as "Unused for 90 days".
OUTSIDE_CELL = """() => [...document.querySelectorAll(".finta-list td :is(time, span, svg)")]
    .filter(element => !element.matches(".finta-visually-hidden, .finta-chip *"))
    .filter(element => element.getBoundingClientRect().right > element.closest("td").getBoundingClientRect().right
        || element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")
    .map(element => element.textContent)"""


def test_texts_stay_in_their_cells(stage):
    page = SCENES["list-3"](stage)
    for width in (1440, 1280, 1024, 900, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(OUTSIDE_CELL) == [], width


HEIGHTS = """() => [...document.querySelectorAll(".finta-list td:nth-child(2) > .finta-sub")]
    .map(element => element.getBoundingClientRect().height / parseFloat(getComputedStyle(element).lineHeight))"""


def test_permission_and_number_of_accounts_fit_a_line(stage):
    page = SCENES["list-3"](stage)
    for width in (1440, 1280, 1024, 900, 768, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert max(page.evaluate(HEIGHTS)) < 1.5, width


def test_expiry_is_below_last_use_in_narrow_tables(stage):
    """As in the mockups. Cards have a line of their own for it."""
    page = SCENES["list-3"](stage)
    row = page.get_by_role("row").filter(has_text="Budget spreadsheet")
    for width, has_column in ((1024, True), (768, False), (390, True)):
        page.set_viewport_size({"width": width, "height": 800})
        expect(row.get_by_text("In 6 days", exact=True)).to_be_visible(visible=has_column)
        expect(row.get_by_text("Expires in 6 days")).to_be_visible(visible=not has_column)


WIDTHS = [1440, 1280, 1024, 768, 390, 320]


def test_header_links_to_api_docs(api_settings, subtests):
    page = api_settings.page
    links = page.get_by_role("navigation", name="Site").get_by_role("link")
    docs = links.filter(has_text="API docs")
    for width in (*WIDTHS, 360):
        with subtests.test(width=width):
            page.set_viewport_size({"width": width, "height": 800})
            api_settings.open()
            expect(docs).to_be_in_viewport(ratio=1)
            if width >= 360:
                assert len({link.bounding_box()["y"] for link in links.all()}) == 1
            if width > 720:
                assert docs.bounding_box()["x"] > width / 2
            with page.expect_navigation(url="**/v2/docs"):
                docs.click()
            expect(page.get_by_role("heading", name="API docs")).to_be_visible()
            expect(docs).to_have_attribute("aria-current", "page")


def test_filter_row_is_in_line(stage, subtests):
    page = SCENES["list-attention"](stage)
    for width in WIDTHS:
        with subtests.test(width=width):
            page.set_viewport_size({"width": width, "height": 800})
            assert_filter_row_is_in_line(page, width)


def assert_filter_row_is_in_line(page, width):
    tools, form = page.locator(".finta-tools"), page.get_by_role("search")
    filters = [link.bounding_box() for link in page.get_by_role("navigation", name="Filter").get_by_role("link").all()]
    controls = [control.bounding_box() for control in form.locator("input:visible, select, button").all()]
    assert len(controls) == 4
    lines = {round(box["y"]) for box in controls}
    if width > 640:
        assert len({round(box["y"]) for box in filters}) == len(lines) == 1
    else:
        assert len(lines) == 3
        assert controls[1]["y"] == controls[2]["y"]
        assert controls[1]["width"] == controls[2]["width"]
    if width > 1200:  # all in one line, at the same height
        middles = {round(box["y"] + box["height"] / 2) for box in [*filters, *controls]}
        assert max(middles) - min(middles) <= 1
    assert len({round(box["height"]) for box in controls}) == 1
    outer, right = tools.bounding_box(), max(box["x"] + box["width"] for box in controls)
    assert right == pytest.approx(outer["x"] + outer["width"] - 12, abs=1)
    for box in [*filters, *controls]:
        assert outer["x"] <= box["x"] <= box["x"] + box["width"] <= outer["x"] + outer["width"]


def test_filters_of_200_keys(many, accounts):
    account = Account.objects.get(name="Travel card")
    many.page.get_by_label("Can access").select_option(str(account.pk))
    with many.page.expect_navigation(url=re.compile(r"[?&]account=")):
        many.page.get_by_role("button", name="Search").click()
    many.lists("Key 0")
    expect(many.page.get_by_label("Can access")).to_have_value(str(account.pk))
    expect(many.page.get_by_text("1 of 200 keys.")).to_be_visible()
    with many.page.expect_navigation():
        many.page.get_by_role("link", name="Read only 0").click()
    expect(many.page.get_by_role("heading", name="No matching keys")).to_be_visible()
    expect(many.page.get_by_label("Can access")).to_have_value(str(account.pk))
    with many.page.expect_navigation():
        many.page.get_by_role("link", name="Show all keys").click()
    assert len(many.names) == 25
    # A search keeps the filter, and the next page keeps the account.
    ApiKey.objects.update(created_at=timezone.now() - dt.timedelta(days=91))
    many.open()
    with many.page.expect_navigation():
        many.page.get_by_role("link", name="Unused 199").click()
    many.page.get_by_label("Can access").select_option(str(accounts.checking.pk))
    search(many, sort="Name")
    expect(many.page.get_by_text("198 of 200 keys.")).to_be_visible()
    with many.page.expect_navigation():
        many.page.get_by_role("link", name="Next").click()
    expect(many.page.get_by_text("Page 2 of 8")).to_be_visible()
    expect(many.page.get_by_text("198 of 200 keys.")).to_be_visible()
    expect(many.page.get_by_label("Sort by")).to_have_value("name")


def test_filter_with_500_accounts_is_usable(any_settings, alice):
    accounts = [
        AccountFactory.build(owner=alice, institution_name=f"Bank {n // 50}", name=f"Pot {n}") for n in range(500)
    ]
    Account.objects.bulk_create(accounts)
    for number in range(6):
        make_key(alice, f"Key {number}", [accounts[number]])
    page = any_settings.open().page
    select = page.get_by_label("Can access")
    assert select.bounding_box()["width"] < 200
    select.focus()
    page.keyboard.type("Pot 3 ")  # the browser finds an account by its first letters
    expect(select).to_have_value(str(accounts[3].pk))
    with page.expect_navigation():
        page.get_by_role("button", name="Search").click()
    any_settings.lists("Key 3")


def test_note_of_tried_secret_is_below_its_row(stage, subtests):
    page = SCENES["list-attention"](stage)
    address = page.url
    for width in (1440, 1024, 768, 390, 320):
        with subtests.test(width=width):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(address)
            assert_note_is_below_its_row(page)


def assert_note_is_below_its_row(page):
    rows = page.locator(".finta-list tbody tr")
    note = rows.filter(has_text="The old secret is still being tried: 14 times since")
    index = next(i for i, row in enumerate(rows.all()) if "still being tried" in row.inner_text())
    assert "Importer" in rows.nth(index - 1).inner_text()
    above, box = rows.nth(index - 1).bounding_box(), note.locator(".finta-note").bounding_box()
    card = page.locator(".finta-list-card").bounding_box()
    assert above["y"] + above["height"] <= box["y"] + 1
    assert card["x"] + 10 <= box["x"] <= box["x"] + box["width"] <= card["x"] + card["width"] - 10
    with page.expect_navigation():
        note.get_by_role("link", name="See details of Importer").click()
    expect(page.get_by_text("was tried 14 times since")).to_be_visible()


def test_renamed_row_is_marked_beside_a_note(api_settings, restricted, unrestricted):
    restricted.key.rotate()
    RetiredSecret.objects.update(tries=1, last_tried_at=timezone.now())
    api_settings.open().click("Rename", "Restricted")
    api_settings.name.fill("Laptop")
    api_settings.submit("Rename")
    api_settings.is_list()
    expect(api_settings.page.locator(".finta-changed")).to_contain_text("Laptop")
    expect(api_settings.page.locator(".finta-changed")).to_have_count(1)


def test_bar_of_today_has_another_color(any_settings, alice):
    add_calls(make_key(alice, "Busy")[0], 12, 34)
    page = any_settings.open().page
    before, today = any_settings.row("Busy").locator("svg.finta-bars path").all()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colors = [path.evaluate("path => getComputedStyle(path).stroke") for path in (before, today)]
        assert colors[0] != colors[1], scheme
    assert before.bounding_box()["x"] < today.bounding_box()["x"]


def test_requests_are_shown_as_bars_and_number(any_settings, alice, accounts):
    add_calls(make_key(alice, "Busy")[0], 1000, 200, 34)  # the bounding box of a single line has no width
    make_key(alice, "Idle")
    busy = any_settings.open().row("Busy")
    expect(busy).to_contain_text("1,234 requests, 34 today")
    bars = busy.locator("svg.finta-bars path").first
    expect(bars).to_be_visible()
    assert bars.evaluate("path => getComputedStyle(path).stroke") != "none"
    expect(any_settings.row("Idle")).to_contain_text("No requests")


def test_steps_of_new_users_are_aligned(stage):
    page = SCENES["list-0"](stage)
    steps = page.locator(".finta-steps > li")
    assert len({step.bounding_box()["y"] for step in steps.all()}) == 1
    button = steps.get_by_role("link", name="Create Key")
    outer, icon = button.bounding_box(), button.locator("svg").bounding_box()
    assert abs(outer["y"] + outer["height"] / 2 - icon["y"] - icon["height"] / 2) < 2
