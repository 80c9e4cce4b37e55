"""The report, and the restriction of a key to the accounts that it used."""

import re

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from tests.browser.pages import ApiSettings
from tests.browser.scenes import SCENES

pytestmark = pytest.mark.rule("H4")


def test_report_is_read_in_a_browser(stage):
    page = SCENES["report"](stage)
    expect(page.get_by_label("Period")).to_contain_text(
        re.compile(r"Requests\s*4,715\s*Reads\s*4,635\s*Writes\s*16\s*Rejected\s*64")
    )
    expect(page.get_by_role("row").filter(has_text="python-requests")).to_contain_text("1,240")
    page.get_by_label("Until").fill("2020-01-31")
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("The key was not used in this period.")).to_be_visible()


def test_one_click_restricts_in_the_dialog(stage):
    tab = ApiSettings(SCENES["edit-scope-wide"](stage))
    tab.place.get_by_role("button", name="Restrict it to these 2 accounts").click()
    expect(tab.page.get_by_text("Scope updated. Changes take effect immediately.").first).to_be_visible()
    key = ApiKey.objects.get(name="Production")
    assert (key.share_all_accounts, key.accounts.count()) == (False, 2)


def test_key_page_shows_use_and_history(stage):
    page = SCENES["key"](stage)
    expect(page.get_by_label("Requests, last 30 days")).to_contain_text(
        re.compile(r"Requests\s*2,235\s*Busiest day\s*119 on")
    )
    assert page.locator(".finta-chart").bounding_box()["height"] > 80
    events = page.get_by_label("History").locator("ol > li")
    expect(events).to_contain_text(["Rotated.", "Scope edited.", "Renamed", "Created."])
    for icon in events.locator(".finta-event-icon use").all():
        assert page.locator(icon.get_attribute("href")).count() == 1
    assert len({icon.get_attribute("href") for icon in events.locator("use").all()}) == 4


def test_key_page_has_two_columns_on_wide_screens(stage):
    page = SCENES["key"](stage)
    use, details = page.get_by_label("Requests, last 30 days"), page.get_by_label("Details")
    assert details.bounding_box()["x"] > use.bounding_box()["x"] + use.bounding_box()["width"]
    page.set_viewport_size({"width": 390, "height": 664})
    assert details.bounding_box()["x"] == use.bounding_box()["x"]
