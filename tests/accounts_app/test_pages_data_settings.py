"""Data settings: Storage Mode, what it keeps and which keys depend on it (rules M1 and M4)."""

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


def shown(response):
    """Return what a page says, as one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text(response).split("<main", 1)[1]).split())


def is_on(user):
    return User.objects.get(pk=user.pk).storage_mode


def said(browser, response):
    assert (response.status_code, response.url) == (302, PAGE)
    messages = re.search(r'<ul class="finta-messages"[^>]*>(.*?)</ul>', text(browser.get(PAGE)), re.DOTALL).group(1)
    return " ".join(re.sub(r"<[^>]*>", " ", messages).split())


@pytest.mark.parametrize("path", [PAGE, OFF])
def test_data_settings_ask_for_sign_in(db, path):
    answer = Client().get(path)
    assert answer.url == f"/login?next={path}"


@pytest.mark.parametrize("path", [ON, OFF])
def test_no_key_switches_storage_mode(restricted, alice, path):
    before = is_on(alice)
    assert restricted.client.post(path).status_code == 302
    assert is_on(alice) == before


@pytest.mark.parametrize("path", [ON, OFF])
def test_a_form_without_its_token_switches_nothing(restricted, alice, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = is_on(alice)
    assert browser.post(path).status_code == 403
    assert is_on(alice) == before


def test_looking_switches_nothing(alice, alices_browser, restricted):
    alices_browser.get(OFF)
    assert alices_browser.get(ON).url == PAGE
    assert is_on(alice)


def test_M1_storage_mode_is_off_at_first_and_switched_at_data_settings(alice, alices_browser):
    page = shown(alices_browser.get(PAGE))
    assert "Storage Mode is off." in page
    assert "Switch off…" not in page
    assert said(alices_browser, alices_browser.post(ON)).startswith("Storage Mode is on.")
    page = shown(alices_browser.get(PAGE))
    assert "Storage Mode is on." in page
    assert "Switch off…" in page


def test_data_settings_tell_how_much_is_stored_of_ones_own(alice, alices_browser, accounts, bobs_account):
    TransactionFactory(account=bobs_account)
    assert "0 transactions stored." in shown(alices_browser.get(PAGE))
    TransactionFactory(account=accounts.cash)
    assert "1 transaction stored." in shown(alices_browser.get(PAGE))
    Transaction.objects.bulk_create(TransactionFactory.build_batch(1233, account=accounts.checking))
    assert "1,234 transactions stored." in shown(alices_browser.get(PAGE))


def test_data_settings_list_the_keys_that_depend_on_storage_mode(alice, alices_browser, bob):
    make_key(bob, "Bob's")
    assert "You have no keys." in shown(alices_browser.get(PAGE))
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


def test_switching_off_opens_over_the_page(alices_browser, restricted):
    page = text(alices_browser.get(PAGE))
    assert re.search(rf'<a [^>]*data-dialog href="{OFF}">Switch off…</a>', page)
    assert '<section class="finta-panel"' in text(alices_browser.get(OFF))


def test_M4_switching_off_asks_first_and_deletes_the_transactions_only(
    alice, alices_browser, unrestricted, accounts, bob
):
    TransactionFactory.create_batch(3, account=accounts.checking)
    kept = TransactionFactory(account=AccountFactory(owner=bob))
    asked = shown(alices_browser.get(OFF))
    assert "deletes your 3 stored transactions for good" in asked
    assert "This key gets no answers until you switch it on again: All accounts" in asked
    assert Transaction.objects.count() == 4
    told = said(alices_browser, alices_browser.post(OFF))
    assert told == "Storage Mode is off. 3 stored transactions were deleted."
    assert Transaction.objects.get() == kept
    assert Account.objects.filter(owner=alice).count() == 3
    assert ApiKey.objects.filter(owner=alice).count() == 1
    assert unrestricted.client.get("/v2/me").status_code == 403


def test_the_confirmation_is_plain_where_nothing_will_be_deleted(alice, alices_browser):
    storage_mode.switch_on(alice)
    asked = shown(alices_browser.get(OFF))
    assert "You have no stored transactions" in asked
    assert "You have no keys." in asked
    assert "and delete" not in asked
    assert said(alices_browser, alices_browser.post(OFF)).endswith("There were no transactions to delete.")


def test_the_message_tells_how_many_were_really_deleted(alices_browser, accounts, restricted):
    TransactionFactory.create_batch(3, account=accounts.checking)
    alices_browser.get(OFF)
    Transaction.objects.exclude(pk=Transaction.objects.first().pk).delete()
    assert said(alices_browser, alices_browser.post(OFF)).endswith("1 stored transaction was deleted.")


def test_many_deleted_transactions_are_counted_with_a_separator(alices_browser, restricted, monkeypatch):
    monkeypatch.setattr(views.storage_mode, "switch_off", lambda owner: 12345)
    assert said(alices_browser, alices_browser.post(OFF)).endswith("12,345 stored transactions were deleted.")


def test_switching_off_what_another_tab_has_switched_off_deletes_nothing(alice, alices_browser, accounts, restricted):
    alices_browser.get(OFF)
    storage_mode.switch_off(alice)
    TransactionFactory(account=accounts.checking)
    told = said(alices_browser, alices_browser.post(OFF))
    assert told == "Storage Mode was off already. Nothing was deleted."
    assert Transaction.objects.count() == 1
    assert "Storage Mode is off already" in shown(alices_browser.get(OFF))


def test_a_key_created_after_the_question_keeps_storage_mode_on_until_it_is_confirmed(alice, alices_browser, accounts):
    """Two tabs: switched off in one, and on again by a new key; the other confirms what it asked."""
    make_key(alice, "Old")
    alices_browser.get(OFF)
    storage_mode.switch_off(alice)
    make_key(alice, "New")
    TransactionFactory(account=accounts.checking)
    assert said(alices_browser, alices_browser.post(OFF)).endswith("1 stored transaction was deleted.")
    assert not is_on(alice)


def test_T2_switching_off_locks_the_owner_first(alices_browser, restricted, django_assert_max_num_queries):
    with django_assert_max_num_queries(16) as queries:
        alices_browser.post(OFF)
    statements = [query["sql"] for query in queries]
    first = next(number for number, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "accounts_app_user"' in statements[first + 1]


@pytest.mark.parametrize("path", [PAGE, OFF])
def test_queries_for_data_settings_are_constant(alice, alices_browser, path, django_assert_num_queries):
    make_key(alice)
    with django_assert_num_queries(4):  # session, user, transactions, keys
        alices_browser.get(path)
    for number in range(50):
        TransactionFactory(account=make_key(alice, f"Key {number}") and AccountFactory(owner=alice))
    with django_assert_num_queries(4):
        alices_browser.get(path)


@pytest.mark.parametrize("path", [PAGE, OFF])
@pytest.mark.parametrize("keys", [0, 1])
def test_headings_of_data_settings_are_in_order(alice, alices_browser, path, keys):
    if keys:
        make_key(alice)
    levels = re.findall(r"<h(\d)", text(alices_browser.get(path)))
    assert levels == (["1"] if path == OFF else ["1", "2", "2"])
