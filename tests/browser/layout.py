"""How the tests look at what a page takes of the window."""

from __future__ import annotations

from playwright.sync_api import Page

# What is wider than the window: the page, or a dialog that would have to be scrolled sideways.
OVERFLOW = """() => [document.documentElement, ...document.querySelectorAll("dialog[open], .finta-panel")]
    .filter(each => each.scrollWidth > each.clientWidth + 1)
    .map(each => `${each.tagName} ${each.className}: ${each.scrollWidth} in ${each.clientWidth}`)"""


def overflow(page: Page) -> list[str]:
    """Return what would have to be scrolled sideways."""
    found: list[str] = page.evaluate(OVERFLOW)
    return found
