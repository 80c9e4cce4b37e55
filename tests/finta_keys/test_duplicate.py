"""Duplicate a key, and delete all keys."""

from datetime import date, timedelta

import pytest
from django.contrib.admin.models import DELETION
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from finta_keys import owners
from finta_keys.models import ApiKey
from finta_keys.signals import key_deleted
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys.admin_pages import logged
from tests.finta_keys.pages import fields, read, shown_secret, url
from tests.finta_keys.test_admin_actions import superuser  # noqa: F401  # a fixture


@pytest.fixture
def original(alice, accounts):
    key, secret = make_key(alice, "Production", [accounts.checking], read_only=True, expires_at=date(2099, 3, 31))
    key.secret = secret
    return key


def duplicate(browser, key, **data):
    """Open the page and submit its fields with a new name, as a browser does."""
    sent = fields(browser.get(url("duplicate", key)))
    # The browser also sends the first option of each select.
    return browser.post(url("duplicate", key), {**sent, "name": "Successor", "expires_at": "keep", **data})


@pytest.mark.rule("K5")
def test_duplicate_has_same_access_and_other_secret(alices_browser, original, accounts):
    response = duplicate(alices_browser, original)
    copy = ApiKey.objects.get(name="Successor")
    assert ApiKey.objects.authenticate(shown_secret(response)) == copy
    assert ApiKey.objects.authenticate(original.secret) == original
    assert (copy.read_only, copy.expires_at) == (True, original.expires_at)
    assert list(copy.accounts.all()) == [accounts.checking]
    assert original.digest != copy.digest


def test_duplicate_of_key_for_all_accounts(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Production")
    duplicate(alices_browser, key)
    copy = ApiKey.objects.get(name="Successor")
    assert (copy.share_all_accounts, copy.read_only, copy.expires_at) == (True, False, None)


@pytest.mark.rule("K7")
def test_old_key_expires_in_same_step(alices_browser, original):
    duplicate(alices_browser, original, original_expires="7")
    left = ApiKey.objects.get(pk=original.pk).expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


@pytest.mark.rule("K7")
def test_duplicate_never_extends_old_key(alices_browser, alice, accounts):
    at = timezone.now() + timedelta(hours=2)
    key, _ = make_key(alice, "Production", expires_at=at)
    duplicate(alices_browser, key, original_expires="7", expires_at="never")
    assert ApiKey.objects.get(pk=key.pk).expires_at == at


@pytest.mark.rule("K5")
@pytest.mark.parametrize("data", [{"name": "production"}, {"original_expires": "soon"}])
def test_rejected_duplicate_changes_nothing(alices_browser, original, data):
    response = duplicate(alices_browser, original, **{"original_expires": "7", **data})
    assert "Duplicate “Production”" in read(response)
    assert ApiKey.objects.get().expires_at == original.expires_at


def test_duplicate_of_expired_key_is_not_expired(alices_browser, alice, accounts):
    key, _ = make_key(alice, "Production")
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(days=1))
    duplicate(alices_browser, key, expires_at="")
    assert ApiKey.objects.get(name="Successor").expires_at is None


def test_rotate_leads_to_duplicate(alices_browser, original):
    assert url("duplicate", original) in alices_browser.get(url("rotate", original)).content.decode()


def test_key_of_another_user_is_not_found(alices_browser, bob, bobs_account):
    key, _ = make_key(bob, "Bob's")
    assert alices_browser.get(url("duplicate", key)).status_code == 404
    assert alices_browser.post(url("duplicate", key), {"name": "Mine"}).status_code == 404
    assert ApiKey.objects.count() == 1


def test_operator_duplicates_for_owner(superuser, original, alice):  # noqa: F811
    page = f"/admin/finta_keys/apikey/{original.pk}/duplicate/"
    response = superuser.get(page)
    assert "scope of “Production” of alice@example.com" in read(response)
    assert "Choose another" not in read(response)
    sent = fields(response)
    superuser.post(page, {**sent, "name": "Successor", "expires_at": "keep"})
    assert ApiKey.objects.get(name="Successor").owner == alice


@pytest.mark.parametrize("codename", ["add_apikey", "change_apikey"])
def test_operator_needs_both_permissions(original, codename):
    operator = UserFactory(is_staff=True)
    operator.user_permissions.set(Permission.objects.filter(codename__in=[codename, "view_apikey"]))
    browser = Client()
    browser.force_login(operator)
    assert browser.get(f"/admin/finta_keys/apikey/{original.pk}/duplicate/").status_code == 403


def test_delete_all_deletes_only_own_keys(alices_browser, alice, bob, accounts, bobs_account):
    for number in range(3):
        make_key(alice, f"Key {number}")
    bobs, _ = make_key(bob, "Bob's")
    text = read(alices_browser.get(url("delete_all")))
    assert "one of these 3 keys" in text
    assert "Key 2" in text
    assert "Bob's" not in text
    assert ApiKey.objects.count() == 4
    response = alices_browser.post(url("delete_all"), follow=True)
    assert "Deleted all 3 keys." in read(response)
    assert list(ApiKey.objects.all()) == [bobs]
    assert "There were no keys to delete." in read(alices_browser.post(url("delete_all"), follow=True))


def test_long_list_of_keys_is_cut(alices_browser, alice, accounts, monkeypatch):
    monkeypatch.setattr("finta_keys.views.KEYS_NAMED", 1)
    make_key(alice, "First")
    make_key(alice, "Second")
    assert "These are 1 of 2 keys." in read(alices_browser.get(url("delete_all")))


def test_delete_all_is_one_transaction(alices_browser, alice, accounts):
    make_key(alice, "First")
    make_key(alice, "Second")

    def fail(key, **kwargs):
        if key.name == "Second":
            raise RuntimeError

    key_deleted.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            alices_browser.post(url("delete_all"))
    finally:
        key_deleted.disconnect(fail)
    assert ApiKey.objects.count() == 2


@pytest.mark.rule("K6")
def test_key_cannot_delete_all(alice, accounts, restricted):
    restricted.client.force_login(alice)
    assert restricted.client.post(url("delete_all")).status_code == 403
    assert ApiKey.objects.count() == 1


@pytest.mark.rule("T2")
def test_operator_deletes_selected_keys(superuser, alice, bob, accounts, bobs_account, monkeypatch):  # noqa: F811
    keys = [make_key(owner, f"Key {number}")[0] for number, owner in enumerate([alice, bob, alice])]
    pks = [str(key.pk) for key in keys[:2]]
    data = {"action": "delete_selected", "_selected_action": pks}
    page = superuser.post("/admin/finta_keys/apikey/", data)
    assert "Are you sure" in read(page)
    locked = []
    monkeypatch.setattr(owners, "lock_owner", locked.append)
    superuser.post("/admin/finta_keys/apikey/", {**data, "post": "yes"})
    assert list(ApiKey.objects.all()) == keys[2:]
    assert locked == sorted([alice.pk, bob.pk], key=str)
    assert [[flag for flag, _ in logged(pk)] for pk in pks] == [[DELETION], [DELETION]]
