"""Password confirmation before a page shows a secret."""

import html
import re
import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception
from django.test import Client
from django.views.debug import SafeExceptionReporterFilter

from accounts_app.models import User
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import PASSWORD, UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import hidden_fields, read, shown_secret, url

NOON = "2026-01-15 12:00:00+00:00"
ASKED = "Confirm your password"
WRONG = "not the password"
NEW = {"name": "Laptop", "share_all_accounts": "on"}


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def browser(clock, alice):
    """Alice's browser. She signs in at noon."""
    browser = Client()
    browser.post("/login", {"username": alice.email, "password": PASSWORD})
    return browser


@pytest.fixture
def key(alice):
    return make_key(alice)[0]


@pytest.fixture
def stale_browser(browser, clock):
    """Alice's browser 30 minutes after sign-in."""
    clock.shift(timedelta(minutes=30))
    return browser


def asks_for_password(response):
    return response.status_code == 200 and ASKED in response.content.decode()


def carried_fields(response):
    """Return the hidden fields of the form as a browser reads them."""
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', response.content.decode())
    data = {}
    for name, value in inputs:
        if name != "csrfmiddlewaretoken":
            data.setdefault(html.unescape(name), []).append(html.unescape(value))
    return data


def confirm(browser, response, address, password=PASSWORD, **extra):
    """Submit the password."""
    return browser.post(address, {**carried_fields(response), "confirm_password": password, **extra})


# The 30 minutes


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_asks_after_30_minutes(browser, clock, key, verb):
    address = url(verb, key if verb == "rotate" else None)
    clock.shift(timedelta(minutes=30) - timedelta(seconds=1))
    assert not asks_for_password(browser.get(address))
    clock.shift(1)
    response = browser.get(address)
    assert asks_for_password(response)
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
    assert carried_fields(response) == {"name": [sent["name"]], "accounts": chosen, "nonce": [form["nonce"]]}
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


# Attacks


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_redirect_stays_on_this_site(stale_browser, elsewhere):
    address = f"{url('create')}?next={elsewhere}"
    response = confirm(stale_browser, stale_browser.get(address), address)
    assert response.headers["Location"].startswith(f"{url('create')}?")


@pytest.mark.parametrize("extra", [{}, {"username": "bob@example.com"}, {"next": "/"}, {"user": "bob"}])
def test_other_users_password_is_rejected(stale_browser, bob, key, extra):
    bob.set_password("Bob's own")
    bob.save()
    response = stale_browser.post(url("rotate", key), {"rotation": 0, "confirm_password": "Bob's own", **extra})
    assert asks_for_password(response)
    assert asks_for_password(stale_browser.get(url("create")))
    assert ApiKey.objects.get().rotation == 0


class ByPasswordAlone(ModelBackend):
    """A backend that ignores the user name."""

    def authenticate(self, request, password=None, **credentials):
        return next((user for user in User.objects.all() if user.check_password(password)), None)


def test_backend_returning_other_user_is_rejected(stale_browser, bob, key, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", f"{__name__}.ByPasswordAlone"]
    bob.set_password("Bob's own")
    bob.save()
    response = stale_browser.post(url("rotate", key), {"rotation": 0, "confirm_password": "Bob's own"})
    assert asks_for_password(response)
    assert ApiKey.objects.get().rotation == 0


def test_attempts_are_limited(stale_browser, key):
    address = url("rotate", key)
    for _ in range(10):
        assert asks_for_password(confirm(stale_browser, stale_browser.get(address), address, WRONG))
    refused = stale_browser.post(address, {"rotation": 0, "confirm_password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    assert asks_for_password(stale_browser.get(address))
    assert ApiKey.objects.get().rotation == 0


def test_submitted_username_does_not_evade_limit(stale_browser, key):
    for number in range(10):
        stale_browser.post(url("create"), {"confirm_password": WRONG, "username": f"other{number}@example.com"})
    assert (
        stale_browser.post(url("create"), {"confirm_password": PASSWORD, "username": "x@example.com"}).status_code
        == 429
    )


def test_attempts_count_with_sign_in(stale_browser, alice):
    for _ in range(5):
        stale_browser.post(url("create"), {"confirm_password": WRONG})
        Client().post("/login", {"username": alice.email, "password": WRONG})
    assert stale_browser.post(url("create"), {"confirm_password": PASSWORD}).status_code == 429
    assert Client().post("/login", {"username": alice.email, "password": PASSWORD}).status_code == 429


def test_attempts_do_not_block_other_users(stale_browser, bob):
    for _ in range(10):
        stale_browser.post(url("create"), {"confirm_password": WRONG, "username": bob.email})
    assert Client().post("/login", {"username": bob.email, "password": PASSWORD}).status_code == 302


def test_showing_the_form_is_no_attempt(stale_browser, key):
    for _ in range(12):
        assert asks_for_password(stale_browser.post(url("rotate", key), {"rotation": 0}))
    assert shown_secret(stale_browser.post(url("rotate", key), {"rotation": 0, "confirm_password": PASSWORD}))


def test_confirmation_needs_csrf_token(alice, clock):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    clock.shift(timedelta(minutes=31))
    assert browser.post(url("create"), {**NEW, "confirm_password": PASSWORD}).status_code == 403


def test_confirmation_is_per_session(browser, clock, alice):
    other = Client()
    other.force_login(alice)
    clock.shift(timedelta(minutes=30))
    confirm(browser, browser.get(url("create")), url("create"))
    assert asks_for_password(other.get(url("create")))


def test_inactive_user_is_signed_out(stale_browser, alice):
    alice.is_active = False
    alice.save()
    for response in (
        stale_browser.get(url("create")),
        stale_browser.post(url("create"), {"confirm_password": PASSWORD}),
    ):
        assert response.headers["Location"].startswith("/login")


def test_sign_out_clears_confirmation(browser):
    browser.post("/logout")
    assert "accounts_app.password_given_at" not in browser.session


@pytest.mark.rule("K2")
def test_error_report_has_no_password(stale_browser, key, monkeypatch):
    failed = []

    def fail(request, **kwargs):
        failed.append(request)

    got_request_exception.connect(fail)
    monkeypatch.setattr(ApiKey, "rotate", lambda key, **kwargs: 1 / 0)
    stale_browser.raise_request_exception = False
    assert stale_browser.post(url("rotate", key), {"rotation": 0, "confirm_password": PASSWORD}).status_code == 500
    (request,) = failed
    message = SafeExceptionReporterFilter().get_post_parameters(request)
    assert "confirm_password" in message
    assert PASSWORD not in repr(message)


# Users


def test_session_survives_hash_upgrade(stale_browser, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    confirm(stale_browser, stale_browser.get(url("create")), url("create"))
    assert not asks_for_password(stale_browser.get(url("create")))
    assert stale_browser.get(url("create")).status_code == 200


def test_confirmation_keeps_session_id(stale_browser):
    before = stale_browser.session.session_key
    confirm(stale_browser, stale_browser.get(url("create")), url("create"))
    assert stale_browser.session.session_key == before


def test_user_without_password_must_sign_in_again(clock, key):
    person = UserFactory(email="single.sign.on@example.com")
    person.set_unusable_password()
    person.save()
    browser = admin_pages.signed_in(person)
    assert browser.get(url("create")).status_code == 200
    clock.shift(timedelta(minutes=30))
    for response in (browser.get(url("create")), browser.post(url("create"), {**NEW, "confirm_password": "!"})):
        page = response.content.decode()
        assert response.status_code == 200
        assert "sign out and sign in again" in read(response)
        assert 'action="/logout"' in page
        assert "confirm_password" not in page
    assert ApiKey.objects.count() == 1


def test_form_has_hidden_username(stale_browser, alice):
    page = stale_browser.get(url("create")).content.decode()
    field = re.search(r'<input[^>]*name="confirm_password"[^>]*>', page).group()
    assert 'autocomplete="current-password"' in field
    assert "autofocus" in field
    assert f'autocomplete="username" value="{alice.email}"' in page
