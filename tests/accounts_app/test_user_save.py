"""What is committed while a password is being hashed stays as it is (M1, M2, X5)."""

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
def meanwhile(monkeypatch):
    """Let something happen between the loading of a user and the saving of the new password."""

    def happens(change):
        def slow(password, *args, **kwargs):
            monkeypatch.setattr("django.contrib.auth.base_user.make_password", make_password)
            change()
            return make_password(password, *args, **kwargs)

        monkeypatch.setattr("django.contrib.auth.base_user.make_password", slow)

    return happens


def change_password(browser):
    return browser.post("/password/change", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})


def test_M2_a_key_created_during_a_password_change_leaves_storage_mode_on(alice, alices_browser, accounts, meanwhile):
    meanwhile(lambda: make_key(alice, "Meanwhile"))
    assert change_password(alices_browser).status_code == 302
    alice.refresh_from_db()
    assert alice.storage_mode
    assert alice.check_password(NEW)


def test_M4_storage_mode_switched_off_during_a_password_change_stays_off(alice, alices_browser, meanwhile):
    storage_mode.switch_on(alice)
    meanwhile(lambda: storage_mode.switch_off(User.objects.get(pk=alice.pk)))
    change_password(alices_browser)
    alice.refresh_from_db()
    assert not alice.storage_mode


def test_X5_an_owner_deactivated_during_a_password_change_stays_deactivated(
    alice, alices_browser, meanwhile, restricted
):
    meanwhile(lambda: User.objects.filter(pk=alice.pk).update(is_active=False))
    change_password(alices_browser)
    assert restricted.client.get("/v2/me").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_a_user_deleted_during_a_password_change_does_not_come_back(alice, alices_browser, meanwhile):
    meanwhile(lambda: User.objects.filter(pk=alice.pk).delete())
    with pytest.raises(DatabaseError):
        change_password(alices_browser)
    assert not User.objects.filter(email="alice@example.com").exists()


def test_M2_the_admins_password_page_saves_the_password_only(alice, accounts, meanwhile):
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    meanwhile(lambda: make_key(alice, "Meanwhile"))
    data = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert browser.post(f"/admin/accounts_app/user/{alice.pk}/password/", data).status_code == 302
    alice.refresh_from_db()
    assert alice.storage_mode
    assert alice.check_password(NEW)


def test_a_save_writes_all_that_was_changed_since_the_last_one(alice):
    user = User.objects.get(pk=alice.pk)
    user.is_active = False
    user.email = "Other@example.com"
    user.save(update_fields=["email"])
    user.save()
    stored = User.objects.get(pk=alice.pk)
    assert (stored.is_active, stored.email, stored.email_key) == (False, "Other@example.com", "other@example.com")


def test_a_save_without_a_change_asks_no_database(alice, django_assert_num_queries):
    user = User.objects.get(pk=alice.pk)
    with django_assert_num_queries(0):
        user.save()


def test_M4_switching_off_for_an_owner_who_was_deleted_deletes_nothing(alice):
    owner = User.objects.get(pk=alice.pk)
    alice.delete()
    assert storage_mode.switch_off(owner) == 0
