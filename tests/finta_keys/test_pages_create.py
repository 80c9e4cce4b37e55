import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from finta_keys.models import ApiKey
from finta_keys.signals import key_created
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.finta_keys.pages import create, hidden_fields, shown_secret, submit, url


@pytest.fixture
def no_fresh_sign_in(settings):
    """Do not require a fresh sign-in when a test travels in time."""
    del settings.FINTA_KEYS_FRESH_SIGN_IN


def test_create_shows_working_secret(alices_browser, accounts):
    response = create(alices_browser)
    assert response.status_code == 200
    assert ApiClient(shown_secret(response)).get("/v2/me").status_code == 200
    assert "You won’t see it again" in response.content.decode()
    assert "no-store" in response["Cache-Control"]


@pytest.mark.rule("S3")
def test_restricted_key_accesses_selected_accounts(alices_browser, accounts):
    response = create(alices_browser, accounts=[accounts.checking.pk, accounts.cash.pk])
    listed = ApiClient(shown_secret(response)).get("/v2/accounts").json()["accounts"]
    assert {account["name"] for account in listed} == {"Checking", "Cash"}


def test_form_lists_only_own_accounts(alices_browser, accounts, bobs_account):
    accounts.cash.close()
    page = alices_browser.get(url("create")).content.decode()
    assert all(
        str(account.pk) in page and account.label in page
        for account in (accounts.checking, accounts.savings, accounts.cash)
    )
    assert str(bobs_account.pk) not in page


@pytest.mark.rule("K1")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Enter a name"),
        ("   ", "Enter a name"),
        ("x" * 101, "Use at most 100"),
        ("a\u0007b", "control character"),
        ("a\u202eb", "text direction mark"),
        ("PRODUCTION", "You already have a key with this name"),
    ],
)
def test_invalid_name_shows_error_and_keeps_input(alice, alices_browser, accounts, name, sentence):
    make_key(alice, "Production")
    response = create(alices_browser, name, accounts=[accounts.checking.pk])
    page = response.content.decode()
    assert sentence in page
    assert f'value="{accounts.checking.pk}" id="finta_keys_accounts_' in page
    assert page.count("checked") == 1
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("data", [{}, {"expires_at": "date"}], ids=["errors of the model", "error of the form"])
def test_all_errors_are_shown_at_once(alice, alices_browser, accounts, data):
    make_key(alice, "Production")
    page = create(alices_browser, "Production", accounts=[], **data).content.decode()
    assert page.count("You already have a key with this name") == 1
    assert page.count("Select at least one account") == 1
    assert page.count("Choose a date.") == len(data)


def test_switch_help_describes_both_states(alices_browser, accounts):
    page = " ".join(alices_browser.get(url("create")).content.decode().split())
    assert '<span class="finta-if-all"> All 3 accounts, and any you add later. Turn it off to select accounts.' in page
    assert '<span class="finta-if-chosen">Off: the key can access only the accounts you select.' in page


def test_form_without_accounts_links_to_add_account(alices_browser):
    assert '<a href="/accounts/new">Add an account</a>' in alices_browser.get(url("create")).content.decode()


def test_signal_receiver_can_reject_key(alices_browser, accounts):
    def refuse(**kwargs):
        raise ValidationError("Five keys are enough.")

    key_created.connect(refuse)
    try:
        response = create(alices_browser)
    finally:
        key_created.disconnect(refuse)
    assert response.status_code == 200
    assert "Five keys are enough." in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("S2")
def test_create_rejects_empty_selection(alices_browser, accounts):
    response = create(alices_browser, unknown_field="x")
    assert "Select at least one account, or turn on “Share all accounts”" in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("S6")
@pytest.mark.parametrize("other", ["bobs_account", "missing", "malformed"])
def test_create_rejects_foreign_and_missing_accounts_alike(alices_browser, accounts, bobs_account, other):
    pk = {"bobs_account": bobs_account.pk, "missing": "00000000-0000-4000-8000-000000000000", "malformed": "x"}[other]
    page = create(alices_browser, accounts=[accounts.checking.pk, pk]).content.decode()
    assert "At least one of these accounts is gone" in page
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K5", "K2")
def test_second_submission_returns_409(alice, alices_browser, accounts):
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


@pytest.mark.rule("K5")
def test_every_form_has_its_own_nonce(alices_browser, accounts):
    one, two = (alices_browser.get(url("create")) for _ in range(2))
    assert hidden_fields(one)["nonce"] != hidden_fields(two)["nonce"]


@pytest.mark.rule("K5")
def test_resubmission_after_delete_creates_nothing(alices_browser, accounts):
    data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
    alices_browser.post(url("create"), data)
    submit(alices_browser, url("delete", ApiKey.objects.get()))
    again = alices_browser.post(url("create"), data)
    assert again.status_code == 409
    assert "has since been deleted" in again.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K5")
def test_invalid_form_keeps_nonce(alices_browser, accounts):
    address = url("create")
    data = hidden_fields(alices_browser.get(address))
    refused = alices_browser.post(address, {**data, "name": "", "share_all_accounts": "on"})
    assert hidden_fields(refused) == data


@pytest.mark.rule("K5")
@pytest.mark.usefixtures("no_fresh_sign_in")
@pytest.mark.parametrize("nonce", ["", "made-up", "a\0b", "other_owner", "expired"])
def test_invalid_nonce_is_replaced_and_input_kept(alices_browser, accounts, bob, nonce):
    with time_machine.travel(timezone.now() - timezone.timedelta(minutes=61), tick=False):
        expired = hidden_fields(alices_browser.get(url("create")))["nonce"]
    bobs = Client()
    bobs.force_login(bob)
    submitted = {"other_owner": hidden_fields(bobs.get(url("create")))["nonce"], "expired": expired}.get(nonce, nonce)
    selected = [accounts.checking.pk, accounts.cash.pk]
    response = alices_browser.post(url("create"), {"name": "Laptop", "accounts": selected, "nonce": submitted})
    page = response.content.decode()
    assert "expired after an hour" in page
    assert 'value="Laptop"' in page
    assert page.count("checked") == 2
    assert not ApiKey.objects.exists()
    again = alices_browser.post(
        url("create"), {"name": "Laptop", "share_all_accounts": "on", **hidden_fields(response)}
    )
    assert shown_secret(again)


@pytest.mark.rule("K5")
@pytest.mark.usefixtures("no_fresh_sign_in")
def test_resubmission_after_hours_returns_409(alices_browser, accounts):
    with time_machine.travel(timezone.now() - timezone.timedelta(hours=3), tick=False):
        data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
        alices_browser.post(url("create"), data)
    again = alices_browser.post(url("create"), {**data, "name": "Another"})
    assert again.status_code == 409
    assert ApiKey.objects.get().name == "Laptop"


@pytest.mark.rule("K5")
@pytest.mark.usefixtures("no_fresh_sign_in")
@pytest.mark.parametrize("hours", [22, 23.5, 24.5, 30])
def test_expired_nonce_never_creates_second_key(alices_browser, accounts, hours):
    with time_machine.travel(timezone.now() - timezone.timedelta(hours=hours), tick=False):
        data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
        alices_browser.post(url("create"), data)
    alices_browser.post(url("create"), {**data, "name": "Another"})
    assert ApiKey.objects.get().name == "Laptop"


@pytest.mark.rule("M2")
def test_create_announces_and_enables_storage_mode(alice, alices_browser, accounts):
    sentence = "Creating a key switches it on"
    assert sentence in alices_browser.get(url("create")).content.decode()
    create(alices_browser)
    alice.refresh_from_db()
    assert alice.storage_mode
    assert sentence not in alices_browser.get(url("create")).content.decode()
