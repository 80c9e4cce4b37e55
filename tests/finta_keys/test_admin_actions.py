"""The admin's pages for the five actions on keys."""

import logging
import re
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.db import DataError

from accounts_app.models import User, UserManager
from finta_keys.admin import ApiKeyAdmin
from finta_keys.models import ApiKey
from finta_keys.secret import pattern
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys.admin_pages import everything_stored, logged, operator, url
from tests.finta_keys.pages import hidden_fields, read, shown_secret, submit


@pytest.fixture
def superuser(db):
    return operator()


def create(browser, owner, **data):
    return submit(browser, url("create", owner.pk), **{"name": "Production", **data})


def columns(key):
    return ApiKey.objects.filter(pk=key.pk).values().get()


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


# Create


def test_owner_is_selected_by_email(superuser, alice):
    response = superuser.post(url("add"), {"owner": "ALICE@Example.com"})
    assert response.headers["Location"] == url("create", alice.pk)


@pytest.mark.parametrize("name", ["nobody@example.com", "", "a\0b", "\ud800"])
def test_invalid_owner_shows_error(superuser, name):
    response = superuser.post(url("add"), {"owner": name.encode("utf-8", "surrogatepass")})
    assert response.status_code == 200
    assert response.context["form"].errors["owner"]


@pytest.mark.parametrize("failure", [ValueError, ValidationError("no number"), OverflowError, DataError])
def test_unreadable_user_name_counts_as_unknown(superuser, monkeypatch, failure):
    monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=failure))  # such as a numeric user name
    page = superuser.post(url("add"), {"owner": "nobody"}).content.decode()
    assert "No user has the e-mail “nobody”." in page


def test_unknown_owner_error_says_what_to_do(superuser):
    page = superuser.post(url("add"), {"owner": "nobody@example.com"}).content.decode()
    assert "No user has the e-mail “nobody@example.com”. Check it, or add the user first." in page


def test_create_shows_secret_of_owners_key(superuser, alice):
    response = create(superuser, alice, share_all_accounts="on")
    key = ApiKey.objects.get()
    assert response.status_code == 200
    assert ApiKey.objects.authenticate(shown_secret(response)) == key
    assert (key.owner, key.name, key.share_all_accounts) == (alice, "Production", True)
    assert logged(key.pk) == [(ADDITION, "Created.")]


def test_create_restricts_key_to_selected_accounts(superuser, alice, accounts):
    create(superuser, alice, accounts=[accounts.savings.pk, accounts.cash.pk])
    key = ApiKey.objects.get()
    assert not key.share_all_accounts
    assert set(key.accounts.all()) == {accounts.savings, accounts.cash}


def test_create_lists_only_owners_accounts(superuser, alice, accounts, bobs_account):
    page = superuser.get(url("create", alice.pk)).content.decode()
    assert str(accounts.checking.pk) in page
    assert str(bobs_account.pk) not in page


def test_get_create_creates_nothing(superuser, alice):
    superuser.get(url("create", alice.pk), {"name": "Production", "share_all_accounts": "on"})
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K2")
def test_new_secret_is_only_in_response(superuser, alice, caplog):
    caplog.set_level(logging.DEBUG)
    response = create(superuser, alice, share_all_accounts="on")
    assert_shown_once(superuser, response, ApiKey.objects.get(), caplog)


def assert_shown_once(browser, response, key, caplog):
    secret = shown_secret(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert "Location" not in response.headers
    assert secret not in repr([dict(response.headers), response.cookies, browser.cookies, caplog.text])
    assert not list(response.context["messages"])
    stored = everything_stored()
    assert key.name in stored  # the dump is not empty
    assert secret not in stored
    assert secret not in repr(list(LogEntry.objects.values()))
    for page in (url("changelist"), url("change", key.pk), url("history", key.pk), url("rotate", key.pk)):
        assert secret not in browser.get(page).content.decode()


@pytest.mark.rule("K5")
def test_second_create_returns_409(superuser, alice):
    address = url("create", alice.pk)
    data = {**hidden_fields(superuser.get(address)), "name": "Production", "share_all_accounts": "on"}
    shown_secret(superuser.post(address, data))
    key = ApiKey.objects.get()
    again = superuser.post(address, {**data, "name": "Another name"})
    page = again.content.decode()
    assert again.status_code == 409
    assert key.created_at.strftime("%H:%M UTC") in page
    assert "Its secret was shown then and cannot be shown again." in page
    assert url("rotate", key.pk) in page
    assert not re.search(pattern(), page)
    assert list(ApiKey.objects.values("pk", "name")) == [{"pk": key.pk, "name": "Production"}]
    assert logged(key.pk) == [(ADDITION, "Created.")]


@pytest.mark.rule("K5")
def test_resubmission_after_delete_creates_nothing(superuser, alice):
    address = url("create", alice.pk)
    data = {**hidden_fields(superuser.get(address)), "name": "Production", "share_all_accounts": "on"}
    superuser.post(address, data)
    submit(superuser, url("delete", ApiKey.objects.get().pk))
    again = superuser.post(address, data)
    assert again.status_code == 409
    assert "has since been deleted" in again.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K5")
def test_nonce_is_bound_to_owner(superuser, alice, bob):
    nonce = hidden_fields(superuser.get(url("create", bob.pk)))
    for data in (nonce, {}, {"nonce": "made up"}):
        response = superuser.post(url("create", alice.pk), {"name": "Production", "share_all_accounts": "on", **data})
        assert response.context["form"].errors
    assert not ApiKey.objects.exists()


@pytest.mark.rule("S6")
def test_create_rejects_account_of_another_user(superuser, alice, accounts, bobs_account):
    response = create(superuser, alice, accounts=[accounts.cash.pk, bobs_account.pk])
    assert "is gone or belongs to another user" in response.context["form"].errors["accounts"][0]
    assert not ApiKey.objects.exists()


@pytest.mark.rule("S6")
@pytest.mark.parametrize("account", ["x", "", "0b3c6a9e-0000-4000-8000-000000000000", "a\0b"])
def test_create_rejects_missing_account(superuser, alice, accounts, account):
    response = create(superuser, alice, accounts=[account])
    assert response.context["form"].errors["accounts"]
    assert not ApiKey.objects.exists()


@pytest.mark.rule("S2")
def test_create_rejects_empty_selection(superuser, alice, accounts):
    page = create(superuser, alice).content.decode()
    assert "Select at least one account, or turn on “Share all accounts”." in page
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K1")
@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "PRODUCTION", "\u202eevil"])
def test_invalid_name_shows_field_error(superuser, alice, name):
    make_key(alice, "Production")
    response = create(superuser, alice, name=name, share_all_accounts="on")
    assert response.context["form"].errors["name"]
    assert ApiKey.objects.count() == 1


def test_inactive_owner_gets_no_key(superuser):
    owner = UserFactory(is_active=False)
    response = create(superuser, owner, share_all_accounts="on")
    assert "Activate the user first." in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("M2")
def test_create_announces_and_enables_storage_mode(superuser, alice):
    assert "Storage Mode" in superuser.get(url("create", alice.pk)).content.decode()
    create(superuser, alice, share_all_accounts="on")
    assert User.objects.get(pk=alice.pk).storage_mode
    assert "Storage Mode" not in superuser.get(url("create", alice.pk)).content.decode()


@pytest.mark.rule("T1")
def test_failing_log_entry_rolls_back_change(superuser, alice, restricted, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    for method in ("log_addition", "log_change"):
        monkeypatch.setattr(ApiKeyAdmin, method, fail)
    before = columns(restricted.key)
    with pytest.raises(RuntimeError):
        create(superuser, alice, share_all_accounts="on")
    with pytest.raises(RuntimeError):
        submit(superuser, url("rotate", restricted.key.pk))
    assert [columns(restricted.key)] == list(ApiKey.objects.values()) == [before]


# Rename


@pytest.mark.rule("K3")
def test_rename_changes_only_name(superuser, restricted):
    before = columns(restricted.key)
    response = submit(superuser, url("rename", restricted.key.pk), name=" Laptop ")
    after = columns(restricted.key)
    assert response.headers["Location"] == url("change", restricted.key.pk)
    assert changed(before, after) == {"name", "name_key"}
    assert after["name"] == "Laptop"
    assert logged(restricted.key.pk) == [(CHANGE, "Renamed to “Laptop”.")]


@pytest.mark.rule("K3")
def test_rename_keeps_concurrent_rotation(superuser, restricted, monkeypatch):
    rename = ApiKey.rename

    def rotate_then_rename(key, name):
        ApiKey.objects.get(pk=key.pk).rotate()
        rename(key, name)

    monkeypatch.setattr(ApiKey, "rename", rotate_then_rename)
    submit(superuser, url("rename", restricted.key.pk), name="Laptop")
    assert ApiKey.objects.get().name == "Laptop"
    assert ApiKey.objects.get().rotation == 1
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_rejected_rename_is_not_logged(superuser, alice, restricted):
    make_key(alice, "Laptop")
    response = submit(superuser, url("rename", restricted.key.pk), name="LAPTOP")
    assert "You already have a key with this name." in response.content.decode()
    assert columns(restricted.key)["name"] == "Restricted"
    assert logged(restricted.key.pk) == []


# Edit scope


@pytest.mark.rule("K3")
def test_edit_scope_changes_only_scope(superuser, restricted, accounts):
    before = columns(restricted.key)
    response = submit(superuser, url("edit_scope", restricted.key.pk), accounts=[accounts.savings.pk, accounts.cash.pk])
    assert response.headers["Location"] == url("change", restricted.key.pk)
    assert changed(before, columns(restricted.key)) == {"scope_edits", "scope_edited_at"}
    assert set(restricted.key.accounts.all()) == {accounts.savings, accounts.cash}
    assert logged(restricted.key.pk) == [(CHANGE, "Edited scope: 2 accounts, read and write.")]


def test_edit_scope_can_share_all_accounts(superuser, restricted):
    before = columns(restricted.key)
    submit(superuser, url("edit_scope", restricted.key.pk), share_all_accounts="on")
    assert changed(before, columns(restricted.key)) == {"share_all_accounts", "scope_edits", "scope_edited_at"}
    assert logged(restricted.key.pk) == [(CHANGE, "Edited scope: all accounts, read and write.")]


def test_edit_scope_shows_current_scope(superuser, restricted, accounts):
    initial = superuser.get(url("edit_scope", restricted.key.pk)).context["form"].initial
    assert initial["share_all_accounts"] is False
    assert initial["accounts"] == [str(accounts.checking.pk)]


@pytest.mark.rule("S6")
def test_edit_scope_rejects_account_of_another_user(superuser, restricted, accounts, bobs_account):
    response = submit(superuser, url("edit_scope", restricted.key.pk), accounts=[accounts.cash.pk, bobs_account.pk])
    assert "is gone or belongs to another user" in response.context["form"].errors["accounts"][0]
    assert set(restricted.key.accounts.all()) == {accounts.checking}
    assert logged(restricted.key.pk) == []


@pytest.mark.rule("S2")
def test_edit_scope_rejects_empty_selection(superuser, restricted, accounts):
    page = submit(superuser, url("edit_scope", restricted.key.pk)).content.decode()
    assert "Select at least one account, or turn on “Share all accounts”." in page
    assert set(restricted.key.accounts.all()) == {accounts.checking}


@pytest.mark.rule("K5")
def test_stale_edit_scope_returns_409_with_difference(superuser, restricted, accounts):
    data = hidden_fields(superuser.get(url("edit_scope", restricted.key.pk)))
    restricted.key.restrict_to([accounts.savings])
    response = superuser.post(url("edit_scope", restricted.key.pk), {**data, "share_all_accounts": "on"})
    assert response.status_code == 409
    page = read(response)
    assert "The scope of “Restricted” has changed" in page
    assert accounts.cash.label in page
    assert set(restricted.key.accounts.all()) == {accounts.savings}
    assert logged(restricted.key.pk) == []


# Rotate


@pytest.mark.rule("K3")
def test_rotate_changes_only_secret(superuser, restricted):
    before = columns(restricted.key)
    response = submit(superuser, url("rotate", restricted.key.pk))
    assert response.status_code == 200
    assert ApiKey.objects.authenticate(shown_secret(response)) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert changed(before, columns(restricted.key)) == {"digest", "hint", "rotation", "rotated_at"}
    assert logged(restricted.key.pk) == [(CHANGE, "Rotated.")]


@pytest.mark.rule("K2")
def test_rotated_secret_is_only_in_response(superuser, restricted, caplog):
    caplog.set_level(logging.DEBUG)
    response = submit(superuser, url("rotate", restricted.key.pk))
    assert_shown_once(superuser, response, restricted.key, caplog)


def test_rotate_asks_first(superuser, restricted):
    page = superuser.get(url("rotate", restricted.key.pk)).content.decode()
    assert "stops working immediately" in page
    assert "It has never been used." in page
    assert restricted.key.hint in page
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


@pytest.mark.rule("K5")
@pytest.mark.parametrize("action", ["rotate", "delete"])
def test_stale_confirmation_returns_409(superuser, restricted, action):
    data = hidden_fields(superuser.get(url(action, restricted.key.pk)))
    restricted.key.rotate()
    before = columns(restricted.key)
    response = superuser.post(url(action, restricted.key.pk), data)
    page = response.content.decode()
    assert response.status_code == 409
    assert restricted.key.rotated_at.strftime("%H:%M UTC") in page
    assert url(action, restricted.key.pk) in page
    assert columns(restricted.key) == before
    assert logged(restricted.key.pk) == []


@pytest.mark.rule("K5")
def test_second_rotate_returns_409(superuser, restricted):
    address = url("rotate", restricted.key.pk)
    data = hidden_fields(superuser.get(address))
    secret = shown_secret(superuser.post(address, data))
    again = superuser.post(address, data)
    assert again.status_code == 409
    assert "Its new secret was shown then and cannot be shown again." in again.content.decode()
    assert ApiKey.objects.authenticate(secret) == restricted.key


@pytest.mark.thorough
@pytest.mark.rule("K5")
@pytest.mark.parametrize("action", ["rotate", "delete"])
@pytest.mark.parametrize("rotation", [{}, {"rotation": ""}, {"rotation": "x"}, {"rotation": -1}, {"rotation": 2**70}])
def test_invalid_rotation_asks_again(superuser, restricted, action, rotation):
    before = columns(restricted.key)
    response = superuser.post(url(action, restricted.key.pk), {"post": "yes", **rotation})
    assert response.status_code == 200
    assert "confirm again" in response.content.decode()
    assert columns(restricted.key) == before


# Delete


@pytest.mark.rule("K3")
def test_delete_removes_key(superuser, restricted):
    pk = restricted.key.pk
    response = submit(superuser, url("delete", pk))
    assert response.headers["Location"] == url("changelist")
    assert not ApiKey.objects.exists()
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert logged(pk) == [(DELETION, "")]
    assert LogEntry.objects.get().object_repr == "Restricted"
    assert superuser.post(url("delete", pk), {"rotation": 0}).status_code == 404


def test_get_delete_deletes_nothing(superuser, restricted):
    page = superuser.get(url("delete", restricted.key.pk), {"rotation": 0}).content.decode()
    assert "This cannot be undone" in page
    assert ApiKey.objects.exists()


def test_delete_without_view_permission_redirects_to_index(restricted):
    response = submit(operator("delete"), url("delete", restricted.key.pk))
    assert response.headers["Location"] == "/admin/"


@pytest.mark.rule("T2")
def test_key_deleted_during_submit_returns_404(superuser, restricted, monkeypatch):
    for action, method, data in (
        ("rename", "rename", {"name": "Laptop"}),
        ("edit_scope", "edit_scope", {"share_all_accounts": "on", "scope_edits": 0}),
        ("rotate", "rotate", {"rotation": 0}),
        ("delete", "delete", {"rotation": 0}),
    ):
        delete_before(monkeypatch, method)
        response = superuser.post(url(action, restricted.key.pk), data)
        assert response.status_code == 404, action
        assert logged(restricted.key.pk) == []


def delete_before(monkeypatch, method):
    original = getattr(ApiKey, method)

    def after_deletion(key, *args, **kwargs):
        type(key).objects.filter(pk=key.pk).delete()
        return original(key, *args, **kwargs)

    monkeypatch.setattr(ApiKey, method, after_deletion)


@pytest.mark.parametrize("action", ["rename", "edit_scope", "rotate", "delete"])
def test_permissions_can_depend_on_key(superuser, alice, monkeypatch, action):
    """A project can override the permission methods, as for any ``ModelAdmin``."""

    def allowed(self, request, obj=None):
        return obj is None or obj.name != "Not theirs"

    for name in ("has_change_permission", "has_delete_permission"):
        monkeypatch.setattr(ApiKeyAdmin, name, allowed)
    theirs, not_theirs = (make_key(alice, name)[0] for name in ("Theirs", "Not theirs"))
    before = everything_stored()
    for call in (superuser.get, superuser.post):
        assert call(url(action, not_theirs.pk)).status_code == 403
        assert call(url(action, theirs.pk)).status_code == 200
        assert call(url(action, uuid4())).status_code == 404
    assert everything_stored() == before
