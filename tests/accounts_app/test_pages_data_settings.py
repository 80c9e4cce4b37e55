"""The Data settings page."""

import re

import pytest
from django.test import Client

from accounts_app import storage_mode, views
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory

PAGE, ON, OFF = "/settings/data", "/settings/data/switch-on", "/settings/data/switch-off"


def text(response):
    return response.content.decode()


def main_text(response):
    """Return the text of a page in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response).split("<main", 1)[1]).split())


def is_on(user):
    return User.objects.get(pk=user.pk).storage_mode


def flash_message(browser, response):
    assert (response.status_code, response.url) == (302, PAGE)
    messages = re.search(r'<ul class="finta-messages"[^>]*>(.*?)</ul>', text(browser.get(PAGE)), re.DOTALL).group(1)
    return " ".join(re.sub(r"<[^>]*>", " ", messages).split())


@pytest.mark.parametrize("path", [PAGE, OFF])
def test_data_settings_need_sign_in(db, path):
    response = Client().get(path)
    assert response.url == f"/login?next={path}"


@pytest.mark.rule("K6")
@pytest.mark.parametrize("path", [ON, OFF])
def test_data_settings_reject_keys(restricted, alice, path):
    before = is_on(alice)
    assert restricted.client.post(path).status_code == 302
    assert is_on(alice) == before


@pytest.mark.parametrize("path", [ON, OFF])
def test_switching_needs_csrf_token(restricted, alice, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = is_on(alice)
    assert browser.post(path).status_code == 403
    assert is_on(alice) == before


def test_get_switches_nothing(alice, alices_browser, restricted):
    alices_browser.get(OFF)
    assert alices_browser.get(ON).url == PAGE
    assert is_on(alice)


@pytest.mark.rule("M1")
def test_switch_storage_mode(alice, alices_browser):
    page = main_text(alices_browser.get(PAGE))
    assert "Storage Mode is off." in page
    assert "Switch off…" not in page
    assert flash_message(alices_browser, alices_browser.post(ON)).startswith("Storage Mode is on.")
    page = main_text(alices_browser.get(PAGE))
    assert "Storage Mode is on." in page
    assert "Switch off…" in page


def test_page_counts_own_transactions(alice, alices_browser, accounts, bobs_account):
    TransactionFactory(account=bobs_account)
    assert "0 transactions stored." in main_text(alices_browser.get(PAGE))
    TransactionFactory(account=accounts.cash)
    assert "1 transaction stored." in main_text(alices_browser.get(PAGE))
    Transaction.objects.bulk_create(TransactionFactory.build_batch(1233, account=accounts.checking))
    assert "1,234 transactions stored." in main_text(alices_browser.get(PAGE))


def test_page_lists_keys(alice, alices_browser, bob):
    make_key(bob, "Bob's")
    assert "You have no keys." in main_text(alices_browser.get(PAGE))
    for number in range(10):
        make_key(alice, f"Key {number}")
    page = text(alices_browser.get(PAGE))
    assert all(f"<li><bdi>Key {number}</bdi></li>" in page for number in range(10))
    assert "Bob" not in page
    assert "<details>" not in page
    make_key(alice, "<b>")
    page = text(alices_browser.get(PAGE))
    assert "<summary>11 keys</summary>" in page
    assert "<li><bdi>&lt;b&gt;</bdi></li>" in page


def test_api_settings_offers_switch_on(alice, alices_browser, unrestricted):
    storage_mode.switch_off(alice)
    assert "Storage Mode is off, so every API request is rejected." in text(alices_browser.get("/settings/api"))
    response = alices_browser.post(ON, {"next": "keys"})
    assert response.url == "/settings/api"
    assert unrestricted.client.get("/v2/me").status_code == 200
    assert "so every API request is rejected" not in text(alices_browser.get("/settings/api"))


def test_switch_off_opens_as_dialog(alices_browser, restricted):
    page = text(alices_browser.get(PAGE))
    assert re.search(rf'<a [^>]*data-dialog href="{OFF}">Switch off…</a>', page)
    assert '<section class="finta-panel"' in text(alices_browser.get(OFF))


@pytest.mark.rule("M4")
def test_switch_off_deletes_only_transactions(alice, alices_browser, unrestricted, accounts, bob):
    TransactionFactory.create_batch(3, account=accounts.checking)
    stored = TransactionFactory(account=AccountFactory(owner=bob))
    page = main_text(alices_browser.get(OFF))
    assert "permanently deletes your 3 stored transactions." in page
    assert "This key will stop working until you switch it on again: All accounts" in page
    assert Transaction.objects.count() == 4
    message = flash_message(alices_browser, alices_browser.post(OFF))
    assert message == "Storage Mode is off. 3 transactions were deleted."
    assert Transaction.objects.get() == stored
    assert Account.objects.filter(owner=alice).count() == 3
    assert ApiKey.objects.filter(owner=alice).count() == 1
    assert unrestricted.client.get("/v2/me").status_code == 403


def test_confirmation_without_transactions(alice, alices_browser):
    storage_mode.switch_on(alice)
    page = main_text(alices_browser.get(OFF))
    assert "You have no stored transactions" in page
    assert "You have no keys." in page
    assert "and delete" not in page
    assert flash_message(alices_browser, alices_browser.post(OFF)).endswith("There were no transactions to delete.")


def test_message_counts_deleted_rows(alices_browser, accounts, restricted):
    TransactionFactory.create_batch(3, account=accounts.checking)
    alices_browser.get(OFF)
    Transaction.objects.exclude(pk=Transaction.objects.first().pk).delete()
    assert flash_message(alices_browser, alices_browser.post(OFF)).endswith("1 transaction was deleted.")


def test_message_has_thousands_separator(alices_browser, restricted, monkeypatch):
    monkeypatch.setattr(views.storage_mode, "switch_off", lambda owner: 12345)
    assert flash_message(alices_browser, alices_browser.post(OFF)).endswith("12,345 transactions were deleted.")


def test_repeated_switch_off_deletes_nothing(alice, alices_browser, accounts, restricted):
    alices_browser.get(OFF)
    storage_mode.switch_off(alice)
    TransactionFactory(account=accounts.checking)
    message = flash_message(alices_browser, alices_browser.post(OFF))
    assert message == "Storage Mode was already off. Nothing was deleted."
    assert Transaction.objects.count() == 1
    assert "Storage Mode is already off" in main_text(alices_browser.get(OFF))


def test_key_created_before_confirmation(alice, alices_browser, accounts):
    """One tab switches it off, a new key switches it on, and another tab confirms."""
    make_key(alice, "Old")
    alices_browser.get(OFF)
    storage_mode.switch_off(alice)
    make_key(alice, "New")
    TransactionFactory(account=accounts.checking)
    assert flash_message(alices_browser, alices_browser.post(OFF)).endswith("1 transaction was deleted.")
    assert not is_on(alice)


@pytest.mark.rule("T2")
def test_switch_off_page_locks_the_owner_first(alices_browser, restricted, django_assert_max_num_queries):
    with django_assert_max_num_queries(16) as queries:
        alices_browser.post(OFF)
    statements = [query["sql"] for query in queries]
    first = next(number for number, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "accounts_app_user"' in statements[first + 1]


@pytest.mark.parametrize("path", [PAGE, OFF])
def test_data_settings_queries_are_constant(alice, alices_browser, path, django_assert_num_queries):
    make_key(alice)
    with django_assert_num_queries(5):  # session, user, transactions, keys and their number
        alices_browser.get(path)
    for number in range(50):
        TransactionFactory(account=make_key(alice, f"Key {number}") and AccountFactory(owner=alice))
    with django_assert_num_queries(5):
        alices_browser.get(path)


@pytest.mark.parametrize("path", [PAGE, OFF])
@pytest.mark.parametrize("keys", [0, 1])
def test_data_settings_heading_levels(alice, alices_browser, path, keys):
    if keys:
        make_key(alice)
    levels = re.findall(r"<h(\d)", text(alices_browser.get(path)))
    assert levels == (["1"] if path == OFF else ["1", "2", "2"])
