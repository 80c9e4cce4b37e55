"""The list of 43 keys on a slow connection: the largest paint, and layout shifts."""

import pytest

from finta_keys.testing import make_key
from tests.browser.pages import PATH
from tests.factories import add_calls

# Lighthouse's "slow 4G": 1.6 Mbit/s, 150 ms per round trip.
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
GOAL_MS = 1000
OBSERVE = """
    window.paint = 0;
    window.shift = 0;
    new PerformanceObserver(list => { for (const entry of list.getEntries()) paint = entry.startTime; })
        .observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver(list => { for (const entry of list.getEntries()) shift += entry.value; })
        .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def slow_page(page):
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", SLOW_4G)
    page.add_init_script(OBSERVE)
    return page


def test_list_of_43_keys_is_painted_within_a_second(slow_page, alice, accounts):
    for number in range(43):
        add_calls(make_key(alice, f"Key {number}", [accounts.checking, accounts.savings])[0], *range(1, 31))
    paints = []
    for _ in range(3):  # a busy machine is slow at times
        slow_page.context.new_cdp_session(slow_page).send("Network.clearBrowserCache")
        slow_page.goto(PATH, wait_until="networkidle")
        paints.append(slow_page.evaluate("paint"))
        assert slow_page.evaluate("shift") == 0
    print("largest paint", paints)
    assert 0 < min(paints) < GOAL_MS, paints
