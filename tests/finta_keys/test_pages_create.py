import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from finta_keys.models import ApiKey
from finta_keys.signals import key_created
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import AccountFactory
from tests.finta_keys.pages import create, hidden_fields, shown_secret, submit, url


@pytest.fixture
def nobody_is_asked(settings):
    """No fresh sign-in between the hours of a test."""
    del settings.FINTA_KEYS_FRESH_SIGN_IN


def test_a_created_key_is_shown_with_a_secret_that_works(alices_browser, accounts):
    answer = create(alices_browser)
    assert answer.status_code == 200
    assert ApiClient(shown_secret(answer)).get("/v2/me").status_code == 200
    assert "You won’t see it again" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_a_restricted_key_sees_what_was_checked(alices_browser, accounts):
    answer = create(alices_browser, accounts=[accounts.checking.pk, accounts.cash.pk])
    seen = ApiClient(shown_secret(answer)).get("/v2/accounts").json()["accounts"]
    assert {account["name"] for account in seen} == {"Checking", "Cash"}


def test_the_form_offers_all_own_accounts_and_nobody_elses(alices_browser, accounts, bobs_account):
    accounts.cash.close()
    page = alices_browser.get(url("create")).content.decode()
    assert all(
        str(account.pk) in page and account.label in page
        for account in (accounts.checking, accounts.savings, accounts.cash)
    )
    assert str(bobs_account.pk) not in page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Give the key a name"),
        ("   ", "Give the key a name"),
        ("x" * 101, "Shorten it to 100"),
        ("a\u0007b", "control character"),
        ("a\u202eb", "text direction mark"),
        ("PRODUCTION", "You already have a key of this name"),
    ],
)
def test_K1_a_bad_name_is_refused_with_a_way_out_and_nothing_typed_is_lost(
    alice, alices_browser, accounts, name, sentence
):
    make_key(alice, "Production")
    answer = create(alices_browser, name, accounts=[accounts.checking.pk])
    page = answer.content.decode()
    assert sentence in page
    assert f'value="{accounts.checking.pk}" id="finta_keys_accounts_' in page
    assert page.count("checked") == 1
    assert ApiKey.objects.count() == 1


def test_a_receiver_of_the_project_may_refuse_in_its_own_words(alices_browser, accounts):
    def refuse(**kwargs):
        raise ValidationError("Five keys are enough.")

    key_created.connect(refuse)
    try:
        answer = create(alices_browser)
    finally:
        key_created.disconnect(refuse)
    assert answer.status_code == 200
    assert "Five keys are enough." in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_S2_no_account_chosen_is_refused_with_both_ways_out(alices_browser, accounts):
    answer = create(alices_browser, nothing="chosen")
    assert "Choose at least one account, or turn on “Share all accounts”" in answer.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("other", ["bobs_account", "missing", "malformed"])
def test_S6_an_account_that_is_not_ones_own_is_refused_as_one_that_is_not_there(
    alices_browser, accounts, bobs_account, other
):
    pk = {"bobs_account": bobs_account.pk, "missing": "00000000-0000-4000-8000-000000000000", "malformed": "x"}[other]
    page = create(alices_browser, accounts=[accounts.checking.pk, pk]).content.decode()
    assert "One of these accounts is not there any more" in page
    assert not ApiKey.objects.exists()


def test_K5_a_form_that_is_sent_twice_makes_one_key_and_says_when(alice, alices_browser, accounts):
    data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
    first = alices_browser.post(url("create"), data)
    again = alices_browser.post(url("create"), data)
    assert again.status_code == 409
    page = again.content.decode()
    key = ApiKey.objects.get()
    assert f"{key.created_at:%H:%M} UTC" in page
    assert url("rotate", key) in page
    assert shown_secret(first) not in page
    assert ApiClient(shown_secret(first)).get("/v2/me").status_code == 200


def test_K5_a_second_tab_has_a_nonce_of_its_own(alices_browser, accounts):
    one, two = (alices_browser.get(url("create")) for _ in range(2))
    assert hidden_fields(one)["nonce"] != hidden_fields(two)["nonce"]


def test_K5_a_reload_after_deletion_does_not_bring_the_key_back(alices_browser, accounts):
    data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
    alices_browser.post(url("create"), data)
    submit(alices_browser, url("delete", ApiKey.objects.get()))
    again = alices_browser.post(url("create"), data)
    assert again.status_code == 409
    assert "has since been deleted" in again.content.decode()
    assert not ApiKey.objects.exists()


def test_K5_a_refused_form_keeps_its_nonce(alices_browser, accounts):
    address = url("create")
    data = hidden_fields(alices_browser.get(address))
    refused = alices_browser.post(address, {**data, "name": "", "share_all_accounts": "on"})
    assert hidden_fields(refused) == data


@pytest.mark.usefixtures("nobody_is_asked")
@pytest.mark.parametrize("nonce", ["", "made-up", "a\0b", "other_owner", "expired"])
def test_K5_a_nonce_that_is_not_good_is_replaced_and_nothing_typed_is_lost(alices_browser, accounts, bob, nonce):
    from django.test import Client

    with time_machine.travel(timezone.now() - timezone.timedelta(minutes=61), tick=False):
        expired = hidden_fields(alices_browser.get(url("create")))["nonce"]
    bobs = Client()
    bobs.force_login(bob)
    sent = {"other_owner": hidden_fields(bobs.get(url("create")))["nonce"], "expired": expired}.get(nonce, nonce)
    chosen = [accounts.checking.pk, accounts.cash.pk]
    answer = alices_browser.post(url("create"), {"name": "Laptop", "accounts": chosen, "nonce": sent})
    page = answer.content.decode()
    assert "expired after an hour" in page
    assert 'value="Laptop"' in page
    assert page.count("checked") == 2
    assert not ApiKey.objects.exists()
    again = alices_browser.post(url("create"), {"name": "Laptop", "share_all_accounts": "on", **hidden_fields(answer)})
    assert shown_secret(again)


@pytest.mark.usefixtures("nobody_is_asked")
def test_K5_a_reload_after_hours_still_says_that_it_was_done(alices_browser, accounts):
    with time_machine.travel(timezone.now() - timezone.timedelta(hours=3), tick=False):
        data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
        alices_browser.post(url("create"), data)
    again = alices_browser.post(url("create"), {**data, "name": "Another"})
    assert again.status_code == 409
    assert ApiKey.objects.get().name == "Laptop"


@pytest.mark.usefixtures("nobody_is_asked")
@pytest.mark.parametrize("hours", [22, 23.5, 24.5, 30])
def test_K5_no_reload_makes_a_second_key_when_the_spent_nonce_is_being_forgotten(alices_browser, accounts, hours):
    with time_machine.travel(timezone.now() - timezone.timedelta(hours=hours), tick=False):
        data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
        alices_browser.post(url("create"), data)
    alices_browser.post(url("create"), {**data, "name": "Another"})
    assert ApiKey.objects.get().name == "Laptop"


def test_a_scope_of_more_accounts_than_django_takes_fields_can_be_saved(alice, alices_browser):
    pks = [account.pk for account in AccountFactory.create_batch(1010, owner=alice)]
    create(alices_browser, accounts=pks)
    assert ApiKey.objects.get().scope_rows.count() == 1010


def test_M2_the_form_says_beforehand_that_storage_mode_goes_on_and_it_does(alice, alices_browser, accounts):
    sentence = "Creating a key turns it on"
    assert sentence in alices_browser.get(url("create")).content.decode()
    create(alices_browser)
    alice.refresh_from_db()
    assert alice.storage_mode
    assert sentence not in alices_browser.get(url("create")).content.decode()
