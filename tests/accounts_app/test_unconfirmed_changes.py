"""Changes of the site that shut users out wait for a standby, and say if none has confirmed them."""

import pytest

from accounts_app import storage_mode

TEXT = "not yet safe against the loss of the database server"

pytestmark = pytest.mark.rule("K4")


def set_password(user):
    user.set_password("another password")
    user.save()


def deactivate(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("change", [set_password, deactivate, storage_mode.switch_off, lambda user: user.delete()])
def test_change_waits_once_after_commit(waits, alice, django_capture_on_commit_callbacks, change):
    with django_capture_on_commit_callbacks(execute=True):
        change(alice)
        assert waits == []
    assert waits == [5.0]


def test_other_columns_do_not_wait(waits, alice, django_capture_on_commit_callbacks):
    alice.email = "alice@example.org"
    with django_capture_on_commit_callbacks(execute=True):
        alice.save()
    assert waits == []


@pytest.mark.django_db(transaction=True)
def test_next_page_says_that_change_is_unconfirmed(waits, alice, alices_browser):
    storage_mode.switch_on(alice)
    response = alices_browser.post("/settings/data/switch-off", follow=True)
    assert TEXT in response.content.decode()
    assert waits == [5.0]
    assert TEXT not in alices_browser.get("/settings/data").content.decode()
