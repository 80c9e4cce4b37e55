"""Attacks on password confirmation, and special users."""

import copy
import re
from datetime import timedelta

import pytest
from django.contrib.auth.backends import ModelBackend
from django.core.signals import got_request_exception
from django.test import Client
from django.views.debug import SafeExceptionReporterFilter

from accounts_app.models import User
from finta_keys.models import ApiKey
from tests.accounts_app.confirm_password.helpers import NEW, WRONG, asks_for_password, confirm
from tests.factories import PASSWORD, UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import read, shown_secret, url

pytestmark = pytest.mark.thorough

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


@pytest.mark.slow
def test_session_survives_hash_upgrade(stale_browser, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    confirm(stale_browser, stale_browser.get(url("create")), url("create"))
    assert not asks_for_password(stale_browser.get(url("create")))
    assert stale_browser.get(url("create")).status_code == 200


def test_confirmation_ends_copies_of_the_cookie(stale_browser):
    thief = Client()
    thief.cookies = copy.deepcopy(stale_browser.cookies)
    confirm(stale_browser, stale_browser.get(url("create")), url("create"))
    assert thief.get("/accounts").status_code == 302
    assert stale_browser.get(url("create")).status_code == 200


def test_continued_request_ends_copies_of_the_cookie(stale_browser, key):
    thief = Client()
    thief.cookies = copy.deepcopy(stale_browser.cookies)
    assert shown_secret(stale_browser.post(url("rotate", key), {"rotation": 0, "confirm_password": PASSWORD}))
    assert thief.get("/accounts").status_code == 302
    assert stale_browser.get("/accounts").status_code == 200


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
