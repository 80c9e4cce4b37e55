"""Layout shifts, page weight and forced colors. ``test_scenes.py`` checks the layout of every page and dialog."""

from playwright.sync_api import expect

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.browser.layout import HAS_OUTLINE
from tests.factories import add_calls

MAX_BYTES = 40_000  # without the font
MAX_BYTES_WITH_FONT = 90_000

PLACES = """() => Object.fromEntries([...document.querySelectorAll("body > :not(:has(dialog)), main > *, main tr")]
    .map((element, i) => [i, JSON.stringify(element.getBoundingClientRect())]))"""


RECORD_SHIFTS = """() => {
    window.shifts = [];
    const record = list => shifts.push(...list.getEntries().map(entry => entry.value));
    const observer = new PerformanceObserver(record);
    observer.observe({ type: "layout-shift", buffered: false });
}"""


def test_opening_dialog_shifts_no_content(api_settings, alice, accounts, subtests):
    page = api_settings.page
    for count in (3, 40):
        for number in range(ApiKey.objects.count(), count):
            make_key(alice, f"Key {number}")
        for action in ("Create Key", "Rotate"):
            with subtests.test(count=count, action=action):
                api_settings.open()
                page.evaluate(RECORD_SHIFTS)
                before = page.evaluate(PLACES)
                api_settings.click(action, "" if action == "Create Key" else f"Key {count - 1}")
                expect(api_settings.dialog).to_be_visible()
                if action == "Create Key":
                    assert page.evaluate(PLACES) == before
                page.wait_for_timeout(200)
                assert page.evaluate("shifts") == []


def test_list_weighs_less_than_40_kilobytes(page, alice, accounts):
    for name in ("Production", "Laptop", "Spreadsheet"):
        add_calls(make_key(alice, name, [accounts.checking, accounts.savings])[0], *range(1, 31))
    sizes = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    page.goto("/settings/api", wait_until="networkidle")
    assert len(sizes) >= 3
    font = sum(size for address, size in sizes.items() if address.endswith(".woff2"))
    assert sum(sizes.values()) - font < MAX_BYTES, sizes
    assert sum(sizes.values()) < MAX_BYTES_WITH_FONT, sizes


def test_focus_is_visible_in_forced_colors(api_settings, restricted):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    api_settings.open()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(HAS_OUTLINE), page.evaluate("document.activeElement.outerHTML")


def test_switch_state_is_visible_in_forced_colors(api_settings, accounts):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    switch = api_settings.click("Create Key").get_by_role("switch")
    on = switch.screenshot()
    switch.set_checked(False)
    assert switch.screenshot() != on
