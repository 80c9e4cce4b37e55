"""Overflow, layout shifts, page weight, forced colors and reduced motion."""

import pytest
from playwright.sync_api import expect

from finta_keys.testing import make_key
from tests.browser.layout import overflow
from tests.browser.scenes import SCENES

PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 at 200 %
MAX_BYTES = 40_000

PLACES = """() => Object.fromEntries([...document.querySelectorAll("body > :not(:has(dialog)), main > *, main tr")]
    .map((element, i) => [i, JSON.stringify(element.getBoundingClientRect())]))"""
# True if the focused element has a visible outline.
HAS_OUTLINE = """() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
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
    api_settings.click(action, "" if action == "Create Key" else "Key 0")
    expect(api_settings.dialog).to_be_visible()
    if action == "Create Key":
        assert page.evaluate(PLACES) == before
    page.wait_for_timeout(200)
    assert page.evaluate("shifts") == []


def test_list_weighs_less_than_40_kilobytes(page, alice, accounts):
    for name in ("Production", "Laptop", "Spreadsheet"):
        make_key(alice, name, [accounts.checking, accounts.savings])
    sizes = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    page.goto("/settings/api", wait_until="networkidle")
    assert len(sizes) >= 3
    assert sum(sizes.values()) < MAX_BYTES, sizes


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
