"""The size of pages with many accounts and keys."""

import re

import pytest

from accounts_app.models import Account
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.accounts_app.accounts_page.helpers import main_text, text
from tests.factories import AccountFactory

pytestmark = pytest.mark.thorough

ROW = re.compile(r'<th scope="row"><bdi>(.*?)</bdi></th>')


@pytest.fixture
def many_accounts(alice):
    accounts = [AccountFactory.build(owner=alice, name=f"{n:03}", mask="", institution_name="") for n in range(250)]
    accounts[0].institution_name = "Bank"
    return Account.objects.bulk_create(accounts)


@pytest.fixture
def many_keys(alice, many_accounts):
    """Twelve keys for all accounts, and twelve for the first."""
    for number in range(12):
        make_key(alice, f"All {number}")
        make_key(alice, f"One {number}", many_accounts[:1])


def test_pages_show_100_accounts_each(many_accounts, alices_browser):
    names = []
    for number, count in ((1, 100), (2, 100), (3, 50)):
        page = text(alices_browser.get(f"/accounts?page={number}"))
        assert f"Page {number} of 3" in page
        assert len(ROW.findall(page)) == count
        names += ROW.findall(page)
    # Accounts without an institution come last, on the last page too.
    assert names == [f"{number:03}" for number in range(250)]
    assert "?page=2" in text(alices_browser.get("/accounts"))


@pytest.mark.parametrize("number", ["0", "-1", "x", "99", "1" * 5000, "%00", ""])
def test_invalid_page_number_shows_a_page(many_accounts, alices_browser, number):
    response = alices_browser.get(f"/accounts?page={number}")
    assert response.status_code == 200
    assert ROW.search(text(response))


def test_one_page_has_no_page_links(alices_browser, accounts):
    assert 'aria-label="Pages"' not in text(alices_browser.get("/accounts"))


def test_accounts_page_loads_few_keys(many_keys, alices_browser, monkeypatch):
    loaded = []
    from_db = ApiKey.from_db.__func__
    monkeypatch.setattr(ApiKey, "from_db", classmethod(lambda *args: loaded.append(1) or from_db(*args)))
    page = text(alices_browser.get("/accounts"))
    assert ">24 keys<" in page
    assert page.count(">12 keys<") == 99
    assert len(loaded) == 5


@pytest.mark.parametrize("path", ["/settings/data", "/settings/data/switch-off"])
def test_data_settings_lists_at_most_100_keys(alice, alices_browser, path):
    for number in range(101):
        make_key(alice, f"Key {number}")
    page = main_text(alices_browser.get(path))
    assert len(re.findall(r"Key \d+", page)) == 100
    assert "101 keys" in page
    assert "… and others" in page


def test_keys_named_in_a_row_are_the_newest(alice, alices_browser):
    account = AccountFactory(owner=alice)
    for number in range(5):
        make_key(alice, f"Key {number}", [account] if number % 2 else None)
    names = re.findall(r'aria-label="Edit scope of (.*?)"', text(alices_browser.get("/accounts")))
    assert names == ["Key 4", "Key 3", "Key 2", "Key 1", "Key 0"]
