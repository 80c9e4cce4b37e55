"""The report, and the restriction of a key to the accounts that it used."""

import pytest
from playwright.sync_api import expect

from finta_keys.models import ApiKey
from tests.browser.pages import ApiSettings
from tests.browser.scenes import SCENES

pytestmark = pytest.mark.rule("H4")


def test_report_is_read_in_a_browser(stage):
    page = SCENES["report"](stage)
    expect(page.get_by_text("Requests: 2480. Reads: 2400. Writes: 16. Refused: 64.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="203.0.113.0/24")).to_contain_text("1240")
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
