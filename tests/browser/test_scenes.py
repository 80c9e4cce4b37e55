"""Every page and every open dialog fits its window, can be used by touch and keyboard, and has no violation for axe.

One test for each scene, because opening a scene takes longer than most checks of it.
"""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import assert_no_violations
from tests.browser.conftest import DESKTOP
from tests.browser.layout import HAS_OUTLINE, overflow
from tests.browser.scenes import SCENES

PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 at 200 %
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
# True if nothing covers the middle of the button.
IS_ON_TOP = """button => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter(element => {
    const { transitionDuration, animationName } = getComputedStyle(element);
    return animationName !== "none" || transitionDuration.split(", ").some(time => parseFloat(time) > 0.01);
}).map(element => element.tagName + "." + element.className)"""
# The controls that are smaller than `minimum` pixels. A checkbox is as large as its label. A link in a sentence
# is as high as its line. Positions are numbers of 32 bits, so the difference of two, such as a height of 44 pixels,
# can be 43.99998.
SMALL = """minimum => [...(document.querySelector("dialog[open]") ?? document).querySelectorAll(
        "a, button, input, select, summary")]
    .filter(element => element.checkVisibility({ visibilityProperty: true }) && !element.matches(".finta-skip"))
    .filter(element => !element.matches("p:not(.finta-heading, .finta-verbs, .finta-buttons) > a"))
    .map(element => [element, (element.closest("label") ?? element).getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < minimum - 0.001)
    .map(([element, box]) => `${element.outerHTML.slice(0, 90)}: ${box.width} × ${box.height}`)"""


@pytest.mark.parametrize("name", SCENES)
def test_page_or_dialog(stage, subtests, name):
    page = SCENES[name](stage)
    with subtests.test("touch targets are large enough"):
        for size, minimum in ((DESKTOP, 24), ({"width": 390, "height": 664}, 44)):
            page.set_viewport_size(size)
            assert page.evaluate(SMALL, minimum) == [], size
    with subtests.test("the page fits a phone and a zoom of 200 %"):
        for size in (PHONE, ZOOMED):
            page.set_viewport_size(size)
            assert not overflow(page), size
    if name in DIALOGS:
        with subtests.test("the submit button needs no scrolling"):
            assert_button_is_in_view(page, DIALOGS[name])
        page.set_viewport_size(DESKTOP)
        with subtests.test("reduced motion disables animations"):
            assert page.evaluate(MOVING) != []
            page.emulate_media(reduced_motion="reduce")
            assert page.evaluate(MOVING) == []
        with subtests.test("the focus is visible in forced colors"):
            page.emulate_media(forced_colors="active", reduced_motion="no-preference")
            for _ in range(8):
                page.keyboard.press("Tab")
                assert page.evaluate(HAS_OUTLINE), page.evaluate("document.activeElement.outerHTML")
        page.emulate_media(forced_colors="none")
    with subtests.test("axe reports no violations"):
        assert_no_violations(page)


def assert_button_is_in_view(page, text):
    """Raise ``AssertionError`` if the last button of a dialog is outside the window or covered, in any size."""
    button = page.get_by_role("dialog").locator(".finta-foot :is(button, a)").last
    expect(button).to_have_text(text)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, (width, height)  # noqa: PT018
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, height)  # noqa: PT018
        expect(button).to_be_in_viewport(ratio=1)
        assert button.evaluate(IS_ON_TOP), (width, height)
