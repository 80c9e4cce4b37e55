"""Scripts that measure a page."""

from __future__ import annotations

from playwright.sync_api import Page

# The page, dialogs and panels that need horizontal scrolling.
OVERFLOW = """() => [document.documentElement, ...document.querySelectorAll("dialog[open], .finta-panel")]
    .filter(element => element.scrollWidth > element.clientWidth + 1)
    .map(element => `${element.tagName} ${element.className}: ${element.scrollWidth} in ${element.clientWidth}`)"""
# True if the focused element has a visible outline. After the last element, the browser's own controls have the focus.
HAS_OUTLINE = """() => {
    if (document.activeElement.matches("body, dialog")) return true;
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def overflow(page: Page) -> list[str]:
    """Return the elements that need horizontal scrolling."""
    elements: list[str] = page.evaluate(OVERFLOW)
    return elements
