"""The admin's pages for the five verbs."""

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
from tests.finta_keys.pages import hidden_fields, shown_secret, submit


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


def test_the_first_step_asks_for_the_owner_by_e_mail(superuser, alice):
    response = superuser.post(url("add"), {"owner": "ALICE@Example.com"})
    assert response.headers["Location"] == url("create", alice.pk)


@pytest.mark.parametrize("name", ["nobody@example.com", "", "a\0b", "\ud800"])
def test_the_first_step_says_what_to_do_about_an_unknown_owner(superuser, name):
    response = superuser.post(url("add"), {"owner": name.encode("utf-8", "surrogatepass")})
    assert response.status_code == 200
    assert response.context["form"].errors["owner"]


@pytest.mark.parametrize("failure", [ValueError, ValidationError("no number"), OverflowError, DataError])
def test_the_first_step_takes_what_can_be_no_name_for_an_unknown_owner(superuser, monkeypatch, failure):
    monkeypatch.setattr(UserManager, "get_by_natural_key", Mock(side_effect=failure))  # as with a number for a name
    page = superuser.post(url("add"), {"owner": "nobody"}).content.decode()
    assert "No user has the e-mail “nobody”." in page


def test_the_first_step_names_the_way_out(superuser):
    page = superuser.post(url("add"), {"owner": "nobody@example.com"}).content.decode()
    assert "No user has the e-mail “nobody@example.com”. Check it, or add the user first." in page


def test_create_makes_a_key_of_the_owner_and_shows_its_secret(superuser, alice):
    response = create(superuser, alice, share_all_accounts="on")
    key = ApiKey.objects.get()
    assert response.status_code == 200
    assert ApiKey.objects.authenticate(shown_secret(response)) == key
    assert (key.owner, key.name, key.share_all_accounts) == (alice, "Production", True)
    assert logged(key.pk) == [(ADDITION, "Created.")]


def test_create_restricts_the_key_to_the_chosen_accounts(superuser, alice, accounts):
    create(superuser, alice, accounts=[accounts.savings.pk, accounts.cash.pk])
    key = ApiKey.objects.get()
    assert not key.share_all_accounts
    assert set(key.accounts.all()) == {accounts.savings, accounts.cash}


def test_the_create_page_offers_the_owners_accounts_only(superuser, alice, accounts, bobs_account):
    page = superuser.get(url("create", alice.pk)).content.decode()
    assert str(accounts.checking.pk) in page
    assert str(bobs_account.pk) not in page


def test_opening_the_create_page_creates_nothing(superuser, alice):
    superuser.get(url("create", alice.pk), {"name": "Production", "share_all_accounts": "on"})
    assert not ApiKey.objects.exists()


def test_K2_the_secret_of_a_new_key_is_in_the_answer_and_nowhere_else(superuser, alice, caplog):
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
    assert key.name in stored  # The dump does contain what is stored.
    assert secret not in stored
    assert secret not in repr(list(LogEntry.objects.values()))
    for page in (url("changelist"), url("change", key.pk), url("history", key.pk), url("rotate", key.pk)):
        assert secret not in browser.get(page).content.decode()


def test_K5_create_sent_twice_gives_one_key_and_says_so(superuser, alice):
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


def test_K5_create_delete_reload_does_not_bring_the_key_back(superuser, alice):
    address = url("create", alice.pk)
    data = {**hidden_fields(superuser.get(address)), "name": "Production", "share_all_accounts": "on"}
    superuser.post(address, data)
    submit(superuser, url("delete", ApiKey.objects.get().pk))
    again = superuser.post(address, data)
    assert again.status_code == 409
    assert "has since been deleted" in again.content.decode()
    assert not ApiKey.objects.exists()


def test_K5_a_nonce_made_for_one_owner_creates_nothing_for_another(superuser, alice, bob):
    nonce = hidden_fields(superuser.get(url("create", bob.pk)))
    for data in (nonce, {}, {"nonce": "made up"}):
        response = superuser.post(url("create", alice.pk), {"name": "Production", "share_all_accounts": "on", **data})
        assert response.context["form"].errors
    assert not ApiKey.objects.exists()


def test_S6_an_account_of_somebody_else_is_refused(superuser, alice, accounts, bobs_account):
    response = create(superuser, alice, accounts=[accounts.cash.pk, bobs_account.pk])
    assert "not this owner" in response.context["form"].errors["accounts"][0]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("account", ["x", "", "0b3c6a9e-0000-4000-8000-000000000000", "a\0b"])
def test_S6_an_account_that_is_not_there_is_refused(superuser, alice, accounts, account):
    response = create(superuser, alice, accounts=[account])
    assert response.context["form"].errors["accounts"]
    assert not ApiKey.objects.exists()


def test_S2_not_all_accounts_with_none_chosen_is_refused_with_both_ways_out(superuser, alice, accounts):
    page = create(superuser, alice).content.decode()
    assert "Choose at least one account, or turn on “Share all accounts”." in page
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "PRODUCTION", "\u202eevil"])
def test_K1_a_name_that_cannot_be_is_refused_at_its_field(superuser, alice, name):
    make_key(alice, "Production")
    response = create(superuser, alice, name=name, share_all_accounts="on")
    assert response.context["form"].errors["name"]
    assert ApiKey.objects.count() == 1


def test_an_owner_who_is_deactivated_gets_no_key(superuser):
    owner = UserFactory(is_active=False)
    response = create(superuser, owner, share_all_accounts="on")
    assert "Activate the user first." in response.content.decode()
    assert not ApiKey.objects.exists()


def test_M2_the_create_page_says_that_storage_mode_will_be_on_and_then_it_is(superuser, alice):
    assert "Storage Mode" in superuser.get(url("create", alice.pk)).content.decode()
    create(superuser, alice, share_all_accounts="on")
    assert User.objects.get(pk=alice.pk).storage_mode
    assert "Storage Mode" not in superuser.get(url("create", alice.pk)).content.decode()


def test_T1_where_the_log_entry_fails_nothing_is_changed(superuser, alice, restricted, monkeypatch):
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


def test_K3_rename_changes_the_name_only(superuser, restricted):
    before = columns(restricted.key)
    response = submit(superuser, url("rename", restricted.key.pk), name=" Laptop ")
    after = columns(restricted.key)
    assert response.headers["Location"] == url("change", restricted.key.pk)
    assert changed(before, after) == {"name", "name_key"}
    assert after["name"] == "Laptop"
    assert logged(restricted.key.pk) == [(CHANGE, "Renamed to “Laptop”.")]


def test_K3_a_rename_that_was_opened_before_a_rotation_keeps_the_new_digest(superuser, restricted, monkeypatch):
    rename = ApiKey.rename

    def rotated_meanwhile(key, name):
        ApiKey.objects.get(pk=key.pk).rotate()
        rename(key, name)

    monkeypatch.setattr(ApiKey, "rename", rotated_meanwhile)
    submit(superuser, url("rename", restricted.key.pk), name="Laptop")
    assert ApiKey.objects.get().name == "Laptop"
    assert ApiKey.objects.get().rotation == 1
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_rename_to_a_taken_name_is_refused_and_logged_nowhere(superuser, alice, restricted):
    make_key(alice, "Laptop")
    response = submit(superuser, url("rename", restricted.key.pk), name="LAPTOP")
    assert "You already have a key of this name." in response.content.decode()
    assert columns(restricted.key)["name"] == "Restricted"
    assert logged(restricted.key.pk) == []


# Edit scope


def test_K3_edit_scope_changes_the_scope_only(superuser, restricted, accounts):
    before = columns(restricted.key)
    response = submit(superuser, url("edit_scope", restricted.key.pk), accounts=[accounts.savings.pk, accounts.cash.pk])
    assert response.headers["Location"] == url("change", restricted.key.pk)
    assert columns(restricted.key) == before
    assert set(restricted.key.accounts.all()) == {accounts.savings, accounts.cash}
    assert logged(restricted.key.pk) == [(CHANGE, "Edited scope: 2 accounts.")]


def test_edit_scope_to_all_accounts(superuser, restricted):
    before = columns(restricted.key)
    submit(superuser, url("edit_scope", restricted.key.pk), share_all_accounts="on")
    assert changed(before, columns(restricted.key)) == {"share_all_accounts"}
    assert logged(restricted.key.pk) == [(CHANGE, "Edited scope: all accounts.")]


def test_the_edit_scope_page_shows_the_scope_as_it_is(superuser, restricted, accounts):
    initial = superuser.get(url("edit_scope", restricted.key.pk)).context["form"].initial
    assert initial == {"share_all_accounts": False, "accounts": [str(accounts.checking.pk)]}


def test_S6_edit_scope_refuses_an_account_of_somebody_else(superuser, restricted, accounts, bobs_account):
    response = submit(superuser, url("edit_scope", restricted.key.pk), accounts=[accounts.cash.pk, bobs_account.pk])
    assert "not this owner" in response.context["form"].errors["accounts"][0]
    assert set(restricted.key.accounts.all()) == {accounts.checking}
    assert logged(restricted.key.pk) == []


def test_S2_edit_scope_refuses_none_chosen_with_both_ways_out(superuser, restricted, accounts):
    page = submit(superuser, url("edit_scope", restricted.key.pk)).content.decode()
    assert "Choose at least one account, or turn on “Share all accounts”." in page
    assert set(restricted.key.accounts.all()) == {accounts.checking}


# Rotate


def test_K3_rotate_shows_a_new_secret_and_changes_nothing_else(superuser, restricted):
    before = columns(restricted.key)
    response = submit(superuser, url("rotate", restricted.key.pk))
    assert response.status_code == 200
    assert ApiKey.objects.authenticate(shown_secret(response)) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert changed(before, columns(restricted.key)) == {"digest", "hint", "rotation", "rotated_at"}
    assert logged(restricted.key.pk) == [(CHANGE, "Rotated.")]


def test_K2_the_secret_of_a_rotated_key_is_in_the_answer_and_nowhere_else(superuser, restricted, caplog):
    caplog.set_level(logging.DEBUG)
    response = submit(superuser, url("rotate", restricted.key.pk))
    assert_shown_once(superuser, response, restricted.key, caplog)


def test_rotate_asks_first(superuser, restricted):
    page = superuser.get(url("rotate", restricted.key.pk)).content.decode()
    assert "stop working immediately" in page
    assert "It has never been used." in page
    assert restricted.key.hint in page
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


@pytest.mark.parametrize("verb", ["rotate", "delete"])
def test_K5_a_key_that_was_rotated_meanwhile_is_left_alone(superuser, restricted, verb):
    data = hidden_fields(superuser.get(url(verb, restricted.key.pk)))
    restricted.key.rotate()
    before = columns(restricted.key)
    response = superuser.post(url(verb, restricted.key.pk), data)
    page = response.content.decode()
    assert response.status_code == 409
    assert restricted.key.rotated_at.strftime("%H:%M UTC") in page
    assert url(verb, restricted.key.pk) in page
    assert columns(restricted.key) == before
    assert logged(restricted.key.pk) == []


def test_K5_rotate_sent_twice_gives_one_secret(superuser, restricted):
    address = url("rotate", restricted.key.pk)
    data = hidden_fields(superuser.get(address))
    secret = shown_secret(superuser.post(address, data))
    again = superuser.post(address, data)
    assert again.status_code == 409
    assert "Its new secret was shown then and cannot be shown again." in again.content.decode()
    assert ApiKey.objects.authenticate(secret) == restricted.key


@pytest.mark.parametrize("verb", ["rotate", "delete"])
@pytest.mark.parametrize("rotation", [{}, {"rotation": ""}, {"rotation": "x"}, {"rotation": -1}, {"rotation": 2**70}])
def test_K5_without_the_rotation_that_was_seen_the_page_asks_again(superuser, restricted, verb, rotation):
    before = columns(restricted.key)
    response = superuser.post(url(verb, restricted.key.pk), {"post": "yes", **rotation})
    assert response.status_code == 200
    assert "confirm again" in response.content.decode()
    assert columns(restricted.key) == before


# Delete


def test_delete_removes_the_key_for_good(superuser, restricted):
    pk = restricted.key.pk
    response = submit(superuser, url("delete", pk))
    assert response.headers["Location"] == url("changelist")
    assert not ApiKey.objects.exists()
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert logged(pk) == [(DELETION, "")]
    assert LogEntry.objects.get().object_repr == "Restricted"
    assert superuser.post(url("delete", pk), {"rotation": 0}).status_code == 404


def test_opening_the_delete_page_deletes_nothing(superuser, restricted):
    page = superuser.get(url("delete", restricted.key.pk), {"rotation": 0}).content.decode()
    assert "This cannot be undone" in page
    assert ApiKey.objects.exists()


def test_who_may_delete_but_not_view_lands_on_the_admins_first_page(restricted):
    response = submit(operator("delete"), url("delete", restricted.key.pk))
    assert response.headers["Location"] == "/admin/"


def test_T2_a_key_that_goes_away_during_the_submit_is_a_404(superuser, restricted, monkeypatch):
    for verb, method, data in (
        ("rename", "rename", {"name": "Laptop"}),
        ("edit_scope", "share_all", {"share_all_accounts": "on"}),
        ("rotate", "rotate", {"rotation": 0}),
        ("delete", "delete", {"rotation": 0}),
    ):
        gone(monkeypatch, method)
        response = superuser.post(url(verb, restricted.key.pk), data)
        assert response.status_code == 404, verb
        assert logged(restricted.key.pk) == []


def gone(monkeypatch, method):
    original = getattr(ApiKey, method)

    def after_deletion(key, *args, **kwargs):
        type(key).objects.filter(pk=key.pk).delete()
        return original(key, *args, **kwargs)

    monkeypatch.setattr(ApiKey, method, after_deletion)


@pytest.mark.parametrize("verb", ["rename", "edit_scope", "rotate", "delete"])
def test_a_project_may_decide_by_the_key(superuser, alice, monkeypatch, verb):
    """In a class of its own, as for any ``ModelAdmin``."""

    def allowed(self, request, obj=None):
        return obj is None or obj.name != "Not theirs"

    for name in ("has_change_permission", "has_delete_permission"):
        monkeypatch.setattr(ApiKeyAdmin, name, allowed)
    theirs, not_theirs = (make_key(alice, name)[0] for name in ("Theirs", "Not theirs"))
    before = everything_stored()
    for call in (superuser.get, superuser.post):
        assert call(url(verb, not_theirs.pk)).status_code == 403
        assert call(url(verb, theirs.pk)).status_code == 200
        assert call(url(verb, uuid4())).status_code == 404
    assert everything_stored() == before
