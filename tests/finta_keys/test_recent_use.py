"""The recent use of a key, shown before its owner changes, rotates or deletes it (rule H4)."""

import datetime as dt

import pytest
from django.test import Client

from accounts_app.models import Account
from finta_keys.models import AccountUsage, KeyUsage
from finta_keys.recent_use import RecentUse
from finta_keys.testing import count_usage
from tests.conftest import ApiClient
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.conftest import START
from tests.finta_keys.pages import hidden_fields, read, submit, url

pytestmark = pytest.mark.rule("H4")

DAY = dt.timedelta(days=1)


@pytest.fixture
def used(clock, unrestricted, accounts):
    """A key for three accounts that used one, twice, an hour ago."""
    with count_usage():
        for _ in range(2):
            unrestricted.client.get(f"/v2/accounts/{accounts.checking.pk}")
    clock.shift(dt.timedelta(hours=1))
    return unrestricted.key


@pytest.mark.parametrize("action", ["edit_scope", "rotate", "delete"])
def test_pages_show_use_by_account(used, alices_browser, action):
    text = read(alices_browser.get(url(action, used)))
    assert "Since 1 Mar it used 1 account of the 3 that it can access:" in text
    assert "2 responses, the last 1 hour ago" in text
    assert "Checking" in text.split("of the 3 that it can access:")[1]


@pytest.mark.parametrize("page", ["edit-scope/", "rotate/", "delete/"])
def test_admin_shows_use_by_account(used, operator_browser, page):
    text = read(operator_browser.get(f"/admin/finta_keys/apikey/{used.pk}/{page}"))
    assert "Since 1 Mar it used 1 account" in text
    assert "Restrict it" not in text


@pytest.fixture
def operator_browser(db):
    return admin_pages.signed_in(UserFactory(email="op@example.com", is_staff=True, is_superuser=True))


def test_unused_key_says_so(clock, restricted, alices_browser):
    assert "It has sent no requests since 1 Mar." in read(alices_browser.get(url("rotate", restricted.key)))
    with count_usage():
        restricted.client.get("/v2/me")
    text = read(alices_browser.get(url("rotate", restricted.key)))
    assert "it sent 1 request. No response showed an account that it can access now." in text


def test_use_of_90_days_counts(used, clock):
    KeyUsage.objects.create(
        key_id=used.pk,
        day=(START - 200 * DAY).date(),
        **dict.fromkeys(["requests", "reads", "writes", "refused"], 1),
        first_at=START,
        last_at=START,
    )
    type(used).objects.filter(pk=used.pk).update(created_at=START - 300 * DAY)
    used.refresh_from_db()
    assert RecentUse(used).since == (START - 89 * DAY).date()
    assert RecentUse(used).requests == 2
    clock.move_to(START + 90 * DAY)
    assert (RecentUse(used).requests, RecentUse(used).accounts) == (0, [])


def test_counting_for_fewer_days_is_said(used, clock):
    """The key is older than the counts."""
    type(used).objects.filter(pk=used.pk).update(created_at=START - 300 * DAY)
    used.refresh_from_db()
    clock.move_to(START + 5 * DAY)
    assert RecentUse(used).since == START.date()


def test_lost_accounts_are_not_named(used, bob, alices_browser):
    Account.objects.update(owner=bob)
    assert RecentUse(used).accounts == []
    AccountUsage.objects.update(account_id="no id")
    assert alices_browser.get(url("rotate", used)).status_code == 200


def test_many_accounts_are_counted(used, alice, alices_browser):
    AccountFactory.create_batch(10, owner=alice)
    secret = used.rotate()
    with count_usage():
        ApiClient(secret).get("/v2/accounts")
    assert "and 3 others" in read(alices_browser.get(url("rotate", used)))


# --- Restrict with one click ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["edit_scope", "rotate", "narrow"])
def test_one_click_restricts_to_used_accounts(used, alices_browser, accounts, action):
    page = alices_browser.get(url(action, used))
    assert "It shares all 3 accounts and used 1." in read(page)
    assert "Restrict it to this account" in read(page)
    response = alices_browser.post(url("narrow", used), narrow_fields(page))
    assert response.status_code == 302
    used.refresh_from_db()
    assert not used.share_all_accounts
    assert list(used.accounts.all()) == [accounts.checking]
    assert "Restrict it" not in read(alices_browser.get(url("edit_scope", used)))


def narrow_fields(page):
    """Return the fields of the form that restricts the key."""
    form = page.content.decode().split('class="finta-note">', 1)[1].split("</form>")[0]
    page.content = form.encode()
    return hidden_fields(page)


@pytest.mark.parametrize("action", ["edit_scope", "delete"])
def test_key_that_used_all_is_not_restricted(used, alices_browser, accounts, action):
    Account.objects.exclude(pk=accounts.checking.pk).delete()
    assert "Restrict it" not in read(alices_browser.get(url(action, used)))


@pytest.mark.rule("K5")
def test_stale_click_widens_and_narrows_nothing(used, alices_browser, accounts):
    fields = narrow_fields(alices_browser.get(url("edit_scope", used)))
    used.restrict_to([accounts.savings])
    response = alices_browser.post(url("narrow", used), fields)
    assert response.status_code == 409
    assert "has changed" in read(response)
    assert list(used.accounts.all()) == [accounts.savings]


@pytest.mark.rule("S6")
def test_accounts_of_others_are_rejected(used, alices_browser, bobs_account):
    fields = {"scope_edits": used.scope_edits, "accounts": [bobs_account.pk]}
    response = alices_browser.post(url("narrow", used), fields)
    assert "The scope was not changed" in read(response)
    for data in ({"accounts": ["x"]}, {}, {**fields, "accounts": ["\x00"]}):
        assert alices_browser.post(url("narrow", used), data).status_code == 200
    used.refresh_from_db()
    assert used.share_all_accounts


def test_key_of_another_owner_is_not_found(used, bob):
    browser = Client()
    browser.force_login(bob)
    assert submit(browser, url("narrow", used), scope_edits=0, accounts=["x"]).status_code == 404


def test_key_page_links_to_report(used, alices_browser):
    page = alices_browser.get(url("key", used))
    assert "Since 1 Mar it used 1 account" in read(page)
    assert f'href="{url("report", used)}"' in page.content.decode()
