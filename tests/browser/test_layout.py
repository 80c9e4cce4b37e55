"""Overflow, layout shifts, page weight, forced colors and reduced motion."""

import pytest
from playwright.sync_api import expect

from finta_keys.testing import make_key
from tests.browser.layout import overflow
from tests.browser.scenes import SCENES
from tests.factories import AccountFactory, add_calls

PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 at 200 %
MAX_BYTES = 40_000  # without the font
MAX_BYTES_WITH_FONT = 90_000

PLACES = """() => Object.fromEntries([...document.querySelectorAll("body > :not(:has(dialog)), main > *, main tr")]
    .map((element, i) => [i, JSON.stringify(element.getBoundingClientRect())]))"""
# True if the focused element has a visible outline.
HAS_OUTLINE = """() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
# True if nothing covers the middle of the button.
IS_ON_TOP = """button => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter(element => {
    const { transitionDuration, animationName } = getComputedStyle(element);
    return animationName !== "none" || transitionDuration.split(", ").some(time => parseFloat(time) > 0.01);
}).map(element => element.tagName + "." + element.className)"""


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_pages_fit_phone_and_200_percent_zoom(scene):
    for size in (PHONE, ZOOMED):
        scene.set_viewport_size(size)
        assert not overflow(scene), size


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("action", ["Create Key", "Rotate"])
def test_opening_dialog_shifts_no_content(api_settings, alice, accounts, count, action):
    for number in range(count):
        make_key(alice, f"Key {number}")
    page = api_settings.open().page
    page.evaluate(
        """() => {
            window.shifts = [];
            const record = list => shifts.push(...list.getEntries().map(entry => entry.value));
            const observer = new PerformanceObserver(record);
            observer.observe({ type: "layout-shift", buffered: false });
        }"""
    )
    before = page.evaluate(PLACES)
    api_settings.click(action, "" if action == "Create Key" else f"Key {count - 1}")
    expect(api_settings.dialog).to_be_visible()
    if action == "Create Key":
        assert page.evaluate(PLACES) == before
    page.wait_for_timeout(200)
    assert page.evaluate("shifts") == []


SIZES = [(1440, 900), (1366, 768), (1280, 720), (1024, 768), (768, 1024), (640, 360), (390, 664), (320, 568)]


@pytest.mark.parametrize("action", ["Create Key", "Edit scope"])
def test_submit_button_needs_no_scrolling(api_settings, alice, accounts, action):
    AccountFactory.create_batch(14, owner=alice)
    make_key(alice, "Key", [accounts.checking])
    place = api_settings.open().click(action, "" if action == "Create Key" else "Key")
    place.get_by_role("switch").set_checked(False)
    button = place.get_by_role("button", name="Create Key" if action == "Create Key" else "Save")
    for width, height in SIZES:
        api_settings.page.set_viewport_size({"width": width, "height": height})
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, (width, height)  # noqa: PT018
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, height)  # noqa: PT018
        expect(button).to_be_in_viewport(ratio=1)
        assert button.evaluate(IS_ON_TOP), (width, height)


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
    api_settings.click("Edit scope", "Restricted")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(HAS_OUTLINE), page.evaluate("document.activeElement.outerHTML")


def test_switch_state_is_visible_in_forced_colors(api_settings, accounts):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    switch = api_settings.click("Create Key").get_by_role("switch")
    on = switch.screenshot()
    switch.set_checked(False)
    assert switch.screenshot() != on


def test_reduced_motion_disables_animations(api_settings, restricted):
    page = api_settings.page
    page.emulate_media(reduced_motion="reduce")
    api_settings.open().click("Edit scope", "Restricted")
    assert page.evaluate(MOVING) == []
