"""Changes committed while a password is being hashed are kept (M1, M2, X5)."""

import pytest
from django.contrib.auth.hashers import make_password
from django.db import DatabaseError
from django.test import Client

from accounts_app import storage_mode
from accounts_app.models import User
from finta_keys.testing import make_key
from tests.factories import PASSWORD, UserFactory

NEW = "battery horse staple"


@pytest.fixture
def during_hashing(monkeypatch):
    """Run a function between loading a user and saving the new password."""

    def happens(change):
        def slow(password, *args, **kwargs):
            monkeypatch.setattr("django.contrib.auth.base_user.make_password", make_password)
            change()
            return make_password(password, *args, **kwargs)

        monkeypatch.setattr("django.contrib.auth.base_user.make_password", slow)

    return happens


def change_password(browser):
    return browser.post("/password/change", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})


@pytest.mark.rule("M2")
def test_password_change_keeps_storage_mode_on(alice, alices_browser, accounts, during_hashing):
    during_hashing(lambda: make_key(alice, "Meanwhile"))
    assert change_password(alices_browser).status_code == 302
    alice.refresh_from_db()
    assert alice.storage_mode
    assert alice.check_password(NEW)


@pytest.mark.rule("M4")
def test_password_change_keeps_storage_mode_off(alice, alices_browser, during_hashing):
    storage_mode.switch_on(alice)
    during_hashing(lambda: storage_mode.switch_off(User.objects.get(pk=alice.pk)))
    change_password(alices_browser)
    alice.refresh_from_db()
    assert not alice.storage_mode


@pytest.mark.rule("X5")
def test_password_change_keeps_deactivation(alice, alices_browser, during_hashing, restricted):
    during_hashing(lambda: User.objects.filter(pk=alice.pk).update(is_active=False))
    change_password(alices_browser)
    assert restricted.client.get("/v2/me").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_password_change_does_not_recreate_user(alice, alices_browser, during_hashing):
    during_hashing(lambda: User.objects.filter(pk=alice.pk).delete())
    with pytest.raises(DatabaseError):
        change_password(alices_browser)
    assert not User.objects.filter(email="alice@example.com").exists()


@pytest.mark.rule("M2")
def test_admin_password_page_saves_only_password(alice, accounts, during_hashing):
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    during_hashing(lambda: make_key(alice, "Meanwhile"))
    data = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert browser.post(f"/admin/accounts_app/user/{alice.pk}/password/", data).status_code == 302
    alice.refresh_from_db()
    assert alice.storage_mode
    assert alice.check_password(NEW)


def test_save_writes_changed_columns(alice):
    user = User.objects.get(pk=alice.pk)
    user.is_active = False
    user.email = "Other@example.com"
    user.save(update_fields=["email"])
    user.save()
    stored = User.objects.get(pk=alice.pk)
    assert (stored.is_active, stored.email, stored.email_key) == (False, "Other@example.com", "other@example.com")


def test_unchanged_save_makes_no_query(alice, django_assert_num_queries):
    user = User.objects.get(pk=alice.pk)
    with django_assert_num_queries(0):
        user.save()


@pytest.mark.rule("M4")
def test_switch_off_for_deleted_owner(alice):
    owner = User.objects.get(pk=alice.pk)
    alice.delete()
    assert storage_mode.switch_off(owner) == 0
