"""Find content that is wider than the window."""

from __future__ import annotations

from playwright.sync_api import Page

# The page, dialogs and panels that need horizontal scrolling.
OVERFLOW = """() => [document.documentElement, ...document.querySelectorAll("dialog[open], .finta-panel")]
    .filter(element => element.scrollWidth > element.clientWidth + 1)
    .map(element => `${element.tagName} ${element.className}: ${element.scrollWidth} in ${element.clientWidth}`)"""


def overflow(page: Page) -> list[str]:
    """Return the elements that need horizontal scrolling."""
    elements: list[str] = page.evaluate(OVERFLOW)
    return elements
