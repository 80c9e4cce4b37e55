"""Password confirmation before a page shows a secret."""

import subprocess
import sys
from datetime import timedelta

import pytest
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session

from accounts_app.models import User
from finta_keys.models import ApiKey
from tests.accounts_app.confirm_password.helpers import NEW, WRONG, asks_for_password, carried_fields, confirm
from tests.factories import PASSWORD
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import hidden_fields, read, shown_secret, url

# The 30 minutes


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_asks_after_30_minutes(browser, clock, key, verb):
    address = url(verb, key if verb == "rotate" else None)
    clock.shift(timedelta(minutes=30) - timedelta(seconds=1))
    assert not asks_for_password(browser.get(address))
    clock.shift(1)
    response = browser.get(address)
    assert asks_for_password(response)
    assert f"Enter it to {verb} a key." in read(response)
    assert carried_fields(response) == {}
    assert "no-store" in response["Cache-Control"]


def test_confirmation_lasts_30_minutes(stale_browser, clock):
    address = f"{url('create')}?q=laptop"
    response = confirm(stale_browser, stale_browser.get(address), address)
    assert response.headers["Location"] == address
    assert not asks_for_password(stale_browser.get(address))
    clock.shift(timedelta(minutes=29))
    assert not asks_for_password(stale_browser.get(address))
    clock.shift(timedelta(minutes=1))
    assert asks_for_password(stale_browser.get(address))


def test_other_pages_do_not_ask(stale_browser, key):
    for address in ("/settings/api", url("rename", key), url("edit_scope", key), url("delete", key), "/accounts"):
        assert not asks_for_password(stale_browser.get(address)), address


def test_session_without_timestamp_is_asked(browser):
    session = browser.session
    del session["accounts_app.password_given_at"]
    session.save()
    assert asks_for_password(browser.get(url("create")))


def test_future_timestamp_is_not_recent(browser, clock):
    clock.shift(timedelta(seconds=-1))
    assert asks_for_password(browser.get(url("create")))
    clock.shift(timedelta(days=-300))
    assert asks_for_password(browser.get(url("create")))


@pytest.mark.slow
def test_receiver_is_connected_at_startup(db):
    message = "import django; django.setup(); from django.contrib.auth.signals import user_logged_in; "
    message += "print('accounts_app.sign_in.confirm_password' in repr(user_logged_in.receivers))"
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", message],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        check=True,
    )
    assert run.stdout.strip() == b"True"


def test_sign_in_without_request(alice):
    user_logged_in.send(User, request=None, user=alice)


# Carried fields


def test_create_continues_after_confirmation(browser, clock, accounts):
    form = hidden_fields(browser.get(url("create")))
    clock.shift(timedelta(minutes=30))
    chosen = [str(accounts.checking.pk), str(accounts.cash.pk)]
    sent = {"name": "“<b>” & co", "accounts": chosen, **form}
    response = browser.post(url("create"), sent)
    assert asks_for_password(response)
    assert "Your changes are kept" in read(response)
    carried = {"name": [sent["name"]], "accounts": chosen, "nonce": [form["nonce"]], "page": ["1"], "elsewhere": ["[]"]}
    assert carried_fields(response) == carried
    assert not ApiKey.objects.exists()
    assert shown_secret(confirm(browser, response, url("create")))
    created = ApiKey.objects.get()
    assert (created.name, set(created.accounts.all())) == (sent["name"], {accounts.checking, accounts.cash})


def test_rotate_continues_after_confirmation(stale_browser, key):
    before = admin_pages.digest(key)
    response = stale_browser.post(url("rotate", key), {"rotation": 0})
    assert asks_for_password(response)
    assert admin_pages.digest(key) == before
    assert ApiKey.objects.authenticate(shown_secret(confirm(stale_browser, response, url("rotate", key)))) == key


@pytest.mark.rule("K5")
def test_repeated_confirmation_creates_one_key(browser, clock, accounts):
    form = hidden_fields(browser.get(url("create")))
    clock.shift(timedelta(minutes=30))
    response = browser.post(url("create"), {**NEW, **form})
    assert shown_secret(confirm(browser, response, url("create")))
    assert confirm(browser, response, url("create")).status_code == 409
    assert ApiKey.objects.count() == 1


def test_invalid_form_keeps_values_after_confirmation(stale_browser, accounts):
    """The nonce is missing, as if it had expired."""
    response = confirm(stale_browser, stale_browser.post(url("create"), NEW), url("create"))
    assert "expired after an hour" in read(response)
    assert 'value="Laptop"' in response.content.decode()
    assert not ApiKey.objects.exists()
    again = stale_browser.post(url("create"), {**NEW, **hidden_fields(response)})
    assert shown_secret(again)


def test_wrong_password_keeps_submitted_fields(stale_browser, key):
    response = stale_browser.post(url("rotate", key), {"rotation": "0"})
    again = confirm(stale_browser, response, url("rotate", key), WRONG)
    assert asks_for_password(again)
    assert "Wrong password. Try again, or reset it." in read(again)
    assert carried_fields(again) == {"rotation": ["0"]}
    assert WRONG not in again.content.decode()
    assert asks_for_password(stale_browser.get(url("rotate", key)))
    assert not asks_for_password(confirm(stale_browser, again, url("rotate", key)))
    assert ApiKey.objects.get().rotation == 1


def test_empty_password_is_an_error(stale_browser):
    assert "Enter your password." in read(confirm(stale_browser, stale_browser.get(url("create")), url("create"), ""))


def test_session_stores_no_password_or_fields(stale_browser, key):
    response = stale_browser.post(url("create"), NEW)
    confirm(stale_browser, response, url("create"), WRONG)
    confirm(stale_browser, response, url("create"))
    stored = repr([session.get_decoded() for session in Session.objects.all()])
    assert not any(item in stored for item in (PASSWORD, WRONG, "Laptop"))


def test_admin_asks_and_logs_once(clock, alice):
    operator, address = admin_pages.operator(), admin_pages.url("create", alice.pk)
    form = hidden_fields(operator.get(address))
    clock.shift(timedelta(minutes=31))
    assert asks_for_password(operator.get(address))
    response = operator.post(address, {**NEW, **form})
    assert asks_for_password(response)
    assert 'href="/admin/"' in response.content.decode()
    assert shown_secret(confirm(operator, response, address))
    assert len(admin_pages.logged(ApiKey.objects.get().pk)) == 1
