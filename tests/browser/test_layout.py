"""Nothing overflows, nothing shifts, and the page is light."""

import pytest
from playwright.sync_api import expect

from finta_keys.testing import make_key
from tests.browser.layout import overflow
from tests.browser.scenes import SCENES

PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 at 200 %
MOST_BYTES = 40_000

PLACES = """() => Object.fromEntries([...document.querySelectorAll("body > :not(:has(dialog)), main > *, main tr")]
    .map((each, i) => [i, JSON.stringify(each.getBoundingClientRect())]))"""
# Of the focused element: whether something is drawn around it.
RING = """() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter(each => {
    const { transitionDuration, animationName } = getComputedStyle(each);
    return animationName !== "none" || transitionDuration.split(", ").some(time => parseFloat(time) > 0.01);
}).map(each => each.tagName + "." + each.className)"""


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_nothing_overflows_on_a_phone_or_at_200_percent(scene):
    for size in (PHONE, ZOOMED):
        scene.set_viewport_size(size)
        assert not overflow(scene), size


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("verb", ["Create Key", "Rotate"])
def test_opening_a_dialog_shifts_nothing(api_settings, alice, accounts, count, verb):
    for number in range(count):
        make_key(alice, f"Key {number}")
    page = api_settings.open().page
    page.evaluate(
        """() => {
            window.shifts = [];
            const observer = new PerformanceObserver(list => shifts.push(...list.getEntries().map(each => each.value)));
            observer.observe({ type: "layout-shift", buffered: false });
        }"""
    )
    before = page.evaluate(PLACES)
    api_settings.click(verb, "" if verb == "Create Key" else "Key 0")
    expect(api_settings.dialog).to_be_visible()
    if verb == "Create Key":
        assert page.evaluate(PLACES) == before
    page.wait_for_timeout(200)
    assert page.evaluate("shifts") == []


def test_api_settings_with_three_keys_weighs_less_than_40_kilobytes(page, alice, accounts):
    for name in ("Production", "Laptop", "Spreadsheet"):
        make_key(alice, name, [accounts.checking, accounts.savings])
    sizes = {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    page.goto("/settings/api", wait_until="networkidle")
    assert len(sizes) >= 3
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_focus_can_be_seen_in_forced_colours(api_settings, restricted):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    api_settings.open()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(RING), page.evaluate("document.activeElement.outerHTML")
    api_settings.click("Edit scope", "Restricted")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(RING), page.evaluate("document.activeElement.outerHTML")


def test_the_switch_and_its_state_can_be_seen_in_forced_colours(api_settings, accounts):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    switch = api_settings.click("Create Key").get_by_role("switch")
    on = switch.screenshot()
    switch.set_checked(False)
    assert switch.screenshot() != on


def test_nothing_moves_where_less_motion_is_wanted(api_settings, restricted):
    page = api_settings.page
    page.emulate_media(reduced_motion="reduce")
    api_settings.open().click("Edit scope", "Restricted")
    assert page.evaluate(MOVING) == []
