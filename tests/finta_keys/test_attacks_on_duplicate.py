"""Ways to get more access by Duplicate, or to delete keys of others."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import ADDITION, CHANGE
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from finta_keys import expiry, nonces
from finta_keys.models import ApiKey
from finta_keys.scope_forms import CreateKeyForm
from finta_keys.signals import key_created, key_scope_edited
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.admin_pages import logged, operator
from tests.finta_keys.pages import create, fields, read, url

pytestmark = pytest.mark.thorough


def form(browser, key):
    return {**fields(browser.get(url("duplicate", key))), "name": "Successor", "expires_at": "keep"}


@pytest.mark.rule("K5")
def test_double_submit_creates_one_key(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Production")
    data = form(alices_browser, key)
    assert alices_browser.post(url("duplicate", key), data).status_code == 200
    again = alices_browser.post(url("duplicate", key), {**data, "name": "Third", "original_expires": "7"})
    assert again.status_code == 409
    assert ApiKey.objects.count() == 2
    assert ApiKey.objects.get(pk=key.pk).expires_at is None


@pytest.mark.rule("K7")
def test_expired_key_is_not_revived(alices_browser, alice, accounts):
    key, secret = make_key(alice, "Production")
    at = timezone.now() - timedelta(days=1)
    ApiKey.objects.update(expires_at=at)
    alices_browser.post(url("duplicate", key), {**form(alices_browser, key), "original_expires": "7"})
    assert ApiKey.objects.get(pk=key.pk).expires_at == at
    assert ApiKey.objects.authenticate(secret) is None


@pytest.mark.rule("S1")
def test_duplicate_of_empty_scope_is_not_all(alices_browser, alice, bob, accounts):
    key, _ = make_key(alice, "Production", [accounts.checking])
    accounts.checking.owner = bob
    accounts.checking.save()
    data = form(alices_browser, key)
    assert "share_all_accounts" not in data
    response = alices_browser.post(url("duplicate", key), data)
    assert "Select at least one account" in read(response)
    assert ApiKey.objects.count() == 1


@pytest.mark.rule("S6")
def test_duplicate_rejects_account_of_another(alices_browser, alice, accounts, bobs_account):
    key, _ = make_key(alice, "Production", [accounts.checking])
    data = {**form(alices_browser, key), "accounts": [str(bobs_account.pk)]}
    alices_browser.post(url("duplicate", key), data)
    assert ApiKey.objects.count() == 1


def test_duplicate_includes_accounts_of_other_pages(alices_browser, alice):
    accounts = [AccountFactory(owner=alice, name=f"Account {n:03}") for n in range(130)]
    key, _ = make_key(alice, "Production", [accounts[0], accounts[129]])
    alices_browser.post(url("duplicate", key), form(alices_browser, key))
    copy = ApiKey.objects.get(name="Successor")
    assert {row.pk for row in copy.accounts.all()} == {accounts[0].pk, accounts[129].pk}


def test_deleted_original_is_not_found(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Production")
    data = form(alices_browser, key)
    address = url("duplicate", key)
    ApiKey.objects.get().delete()
    assert alices_browser.post(address, data).status_code == 404
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K7")
def test_dates_of_both_keys_obey_maximum(alices_browser, alice, accounts, settings):
    key, _ = make_key(alice, "Production")
    settings.FINTA_KEYS_MAX_AGE = 7
    page = alices_browser.get(url("duplicate", key)).content.decode()
    assert "Expires in 7 days" in page
    assert "Expires in 30 days" not in page
    assert 'value="keep"' not in page  # the original never expires
    data = {"expires_at": "date", "expires_on": str(expiry.today() + timedelta(days=7)), "original_expires": "7"}
    alices_browser.post(url("duplicate", key), {**form(alices_browser, key), **data})
    assert ApiKey.objects.get(name="Successor").expires_at == expiry.latest()
    assert ApiKey.objects.get(pk=key.pk).expires_at == expiry.latest()


@pytest.mark.rule("K7")
@pytest.mark.parametrize("choice", ["keep", "never", ""])
def test_duplicate_needs_date_below_maximum(alices_browser, alice, accounts, settings, choice):
    key, _ = make_key(alice, "Production")
    settings.FINTA_KEYS_MAX_AGE = 7
    alices_browser.post(url("duplicate", key), {**form(alices_browser, key), "expires_at": choice})
    assert ApiKey.objects.count() == 1


@pytest.mark.rule("K7")
def test_concurrent_earlier_date_stays(alice, accounts):
    key, _ = make_key(alice, "Production")
    stale = ApiKey.objects.get(pk=key.pk)
    at = timezone.now() + timedelta(hours=1)
    key.edit_scope(expires_at=at)
    data = {"name": "Successor", "share_all_accounts": "on", "original_expires": "7", "nonce": nonces.make(alice.pk)}
    duplicate = CreateKeyForm(data, owner=alice, original=stale)
    assert duplicate.is_valid()
    duplicate.save()
    assert ApiKey.objects.get(pk=key.pk).expires_at == at


def test_failed_expiry_of_original_creates_no_key(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Production")

    def fail(**kwargs):
        raise RuntimeError

    data = {**form(alices_browser, key), "original_expires": "7"}
    key_scope_edited.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            alices_browser.post(url("duplicate", key), data)
    finally:
        key_scope_edited.disconnect(fail)
    assert ApiKey.objects.get().expires_at is None


@pytest.mark.rule("T2")
@pytest.mark.django_db(transaction=True)
def test_create_is_repeated_after_conflict(alices_browser, accounts):
    conflicts = [IntegrityError]

    def conflict_once(**kwargs):
        if conflicts:
            raise conflicts.pop()

    key_created.connect(conflict_once)
    try:
        assert create(alices_browser).status_code == 200
    finally:
        key_created.disconnect(conflict_once)
    assert ApiKey.objects.count() == 1


@pytest.mark.rule("K3")
def test_duplicate_keeps_secret_and_scope_of_original(alices_browser, alice, accounts):
    key, secret = make_key(alice, "Production", [accounts.checking], read_only=True)
    before = ApiKey.objects.filter(pk=key.pk).values().get()
    alices_browser.post(url("duplicate", key), {**form(alices_browser, key), "original_expires": "7"})
    after = ApiKey.objects.filter(pk=key.pk).values().get()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"expires_at", "scope_edits", "scope_edited_at"}
    assert ApiKey.objects.authenticate(secret) == key


@pytest.mark.parametrize("page", ["duplicate", "delete_all"])
def test_forms_need_csrf_token(alice, accounts, page):
    key, _ = make_key(alice, "Production")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    address = url(page, key if page == "duplicate" else None)
    assert browser.post(address, {"name": "x"}).status_code == 403
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(("method", "status"), [("get", 200), ("head", 200), ("options", 200), ("put", 405)])
def test_delete_all_needs_post(alices_browser, alice, accounts, method, status):
    make_key(alice, "Production")
    assert getattr(alices_browser, method)(url("delete_all")).status_code == status
    assert ApiKey.objects.count() == 1


def test_delete_all_without_keys_leads_to_list(alices_browser):
    assert alices_browser.get(url("delete_all")).url == url("list")


@pytest.mark.parametrize("page", ["duplicate", "delete_all"])
def test_pages_need_sign_in(alice, accounts, page):
    key, _ = make_key(alice, "Production")
    address = url(page, key if page == "duplicate" else None)
    assert Client().post(address).status_code == 302
    assert ApiKey.objects.count() == 1


def test_admin_log_has_both_keys(alice, accounts):
    key, _ = make_key(alice, "Production")
    page = f"/admin/finta_keys/apikey/{key.pk}/duplicate/"
    browser = operator()
    data = {**fields(browser.get(page)), "name": "Successor", "original_expires": "7"}
    browser.post(page, data)
    day = expiry.day_of(ApiKey.objects.get(pk=key.pk).expires_at)
    assert logged(key.pk) == [(CHANGE, f"Duplicated. It expires on {day}.")]
    assert [flag for flag, _ in logged(ApiKey.objects.get(name="Successor").pk)] == [ADDITION]
