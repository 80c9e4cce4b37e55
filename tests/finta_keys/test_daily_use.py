"""The requests by each key in the last 30 days, in the list and on the page of a key."""

import datetime as dt
import re

import pytest
import time_machine

from finta_keys.daily_use import add_daily_use
from finta_keys.models import KeyUsage
from finta_keys.testing import make_key
from tests.factories import add_calls
from tests.finta_keys.pages import read, url

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def key(alice):
    return make_key(alice, "Laptop")[0]


def daily_use(key):
    add_daily_use([key])
    return key.daily_use


def test_last_30_days_are_counted_by_day(key):
    add_calls(key, 1000, *range(1, 31), refused=3)
    use = daily_use(key)
    assert use.requests == tuple(range(1, 31))
    assert (use.total, use.refused) == (465, 3)
    assert (use.first_day, use.last_day) == (dt.date(2026, 10, 31), NOON.date())
    assert (use.most, use.busiest_day) == (30, NOON.date())


def test_requests_of_all_networks_are_added(key):
    add_calls(key, 5, 7)
    KeyUsage.objects.update(source="198.51.100.0/24")
    add_calls(key, 1, 1)
    assert daily_use(key).requests[-2:] == (6, 8)


def test_requests_of_other_keys_are_not_counted(key, alice):
    add_calls(make_key(alice, "Phone")[0], 5)
    assert daily_use(key).total == 0


def test_days_in_the_future_are_not_counted(key):
    add_calls(key, 5)
    KeyUsage.objects.update(day=NOON.date() + dt.timedelta(days=1))
    assert daily_use(key).total == 0


def test_path_has_one_line_per_day_with_requests(key):
    add_calls(key, 1, 0, 100, 50)
    use = daily_use(key)
    assert use.path == "M106 20V18M114 20V0"
    assert use.path_of_today == "M118 20V10"
    assert use.today == 50


def test_day_without_calls_has_no_bar(key):
    add_calls(key, 1, 0)
    use = daily_use(key)
    assert (use.path, use.path_of_today, use.today) == ("M114 20V0", "", 0)


def test_list_shows_requests_as_bars_and_number(key, alices_browser):
    add_calls(key, 1200, 34)
    response = alices_browser.get(url("list"))
    assert "1,234 requests, 34 today" in read(response)
    assert re.search(
        r'<svg class="finta-bars"[^>]*aria-hidden="true">'
        r'<path d="M114 20V0"/><path class="finta-today" d="M118 20V18"/></svg>',
        response.content.decode(),
    )


def test_list_does_not_mark_today_without_requests(key, alices_browser):
    add_calls(key, 5, 0)
    response = alices_browser.get(url("list"))
    assert "5 requests" in read(response)
    assert "today" not in response.content.decode()


def test_page_of_key_shows_todays_requests(key, alices_browser):
    add_calls(key, 1200, 34)
    response = alices_browser.get(url("key", key))
    assert "Requests 1,234 Busiest day 1,200 on 28 Nov Today 34 Rejected 0" in read(response)
    assert '<path class="finta-today" d="M118 20V18"/>' in response.content.decode()


def test_list_says_if_a_key_made_no_calls(key, alices_browser):
    response = alices_browser.get(url("list"))
    assert "No requests" in read(response)
    assert "finta-bars" not in response.content.decode()


def test_one_query_for_all_keys(key, alice, django_assert_num_queries):
    keys = [key, *(make_key(alice, f"Key {number}")[0] for number in range(5))]
    for used in keys:
        add_calls(used, 1, 2, 3)
    with django_assert_num_queries(1):
        add_daily_use(keys)


def test_single_call_is_singular(key, alices_browser):
    add_calls(key, 1)
    assert "1 request, 1 today" in read(alices_browser.get(url("list")))


@pytest.mark.parametrize("action", ["rotate", "delete"])
def test_rotate_and_delete_show_requests(key, alices_browser, action):
    """So that the owner sees if the key is in use."""
    page = alices_browser.get(url(action, key))
    assert "finta-bars" not in page.content.decode()
    add_calls(key, 1200, 34)
    page = alices_browser.get(url(action, key))
    assert "1,234 requests in 30 days, 34 today" in read(page)
    assert '<path class="finta-today" d="M118 20V18"/>' in page.content.decode()
