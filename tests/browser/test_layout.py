"""Overflow, layout shifts, page weight, forced colors and reduced motion."""

import pytest
from playwright.sync_api import expect

from finta_keys.testing import make_key
from tests.browser.layout import overflow
from tests.browser.scenes import SCENES
from tests.factories import add_calls

PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 at 200 %
MAX_BYTES = 40_000  # without the font
MAX_BYTES_WITH_FONT = 90_000

PLACES = """() => Object.fromEntries([...document.querySelectorAll("body > :not(:has(dialog)), main > *, main tr")]
    .map((element, i) => [i, JSON.stringify(element.getBoundingClientRect())]))"""
# True if the focused element has a visible outline. After the last element, the browser's own controls have the focus.
HAS_OUTLINE = """() => {
    if (document.activeElement.matches("body, dialog")) return true;
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


SIZES = [
    *((1440, 900), (1280, 800), (1366, 768), (1280, 720), (1024, 768)),
    *((768, 1024), (640, 360), (390, 664), (320, 568)),
]
# The dialogs, by scene, and the button at their end. Those of the first lines have 14, 0 and 500 accounts.
DIALOGS = {
    "create-restricted": "Create Key",
    "create-no-accounts": "Create Key",
    "create-500": "Create Key",
    "edit-scope-14": "Save",
    "edit-scope-many": "Save",
    "create": "Create Key",
    "create-error": "Create Key",
    "create-discard": "Create Key",
    "duplicate": "Create Key",
    "rename": "Rename",
    "rotate": "Rotate",
    "delete": "Delete",
    "delete-all": "Delete all",
    "secret": "Done",
    "secret-not-copied": "Done",
    "rotate-secret": "Done",
    "confirm-password-error": "Continue",
    "account-add": "Add account",
    "account-edit": "Save",
    "account-close": "Close account",
    "account-delete": "Delete account",
    "storage-mode-off": "Switch off and delete",
}


@pytest.mark.parametrize(("scene", "text"), DIALOGS.items(), indirect=["scene"])
def test_submit_button_needs_no_scrolling(scene, text):
    button = scene.get_by_role("dialog").locator(".finta-foot :is(button, a)").last
    expect(button).to_have_text(text)
    for width, height in SIZES:
        scene.set_viewport_size({"width": width, "height": height})
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, (width, height)  # noqa: PT018
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, height)  # noqa: PT018
        expect(button).to_be_in_viewport(ratio=1)
        assert button.evaluate(IS_ON_TOP), (width, height)


# The controls that are smaller than `minimum` pixels. A checkbox is as large as its label. A link in a sentence
# is as high as its line.
SMALL = """minimum => [...(document.querySelector("dialog[open]") ?? document).querySelectorAll(
        "a, button, input, select, summary")]
    .filter(element => element.checkVisibility({ visibilityProperty: true }) && !element.matches(".finta-skip"))
    .filter(element => !element.matches("p:not(.finta-heading, .finta-verbs, .finta-buttons, .finta-crumbs) > a"))
    .map(element => [element, (element.closest("label") ?? element).getBoundingClientRect()])
    .filter(([, box]) => box.width < minimum || box.height < minimum)
    .map(([element, box]) => `${element.outerHTML.slice(0, 90)}: ${box.width} × ${box.height}`)"""


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_touch_targets_are_large_enough(scene):
    for size, minimum in (({"width": 1280, "height": 800}, 24), ({"width": 390, "height": 664}, 44)):
        scene.set_viewport_size(size)
        assert scene.evaluate(SMALL, minimum) == [], size


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


@pytest.mark.parametrize("scene", DIALOGS, indirect=True)
def test_focus_in_dialog_is_visible_in_forced_colors(scene):
    scene.emulate_media(forced_colors="active")
    for _ in range(8):
        scene.keyboard.press("Tab")
        assert scene.evaluate(HAS_OUTLINE), scene.evaluate("document.activeElement.outerHTML")


def test_switch_state_is_visible_in_forced_colors(api_settings, accounts):
    page = api_settings.page
    page.emulate_media(forced_colors="active")
    switch = api_settings.click("Create Key").get_by_role("switch")
    on = switch.screenshot()
    switch.set_checked(False)
    assert switch.screenshot() != on


@pytest.mark.parametrize("scene", DIALOGS, indirect=True)
def test_reduced_motion_disables_animations(scene):
    assert scene.evaluate(MOVING) != []
    scene.emulate_media(reduced_motion="reduce")
    assert scene.evaluate(MOVING) == []
