"""Changing and resetting a password."""

import re
from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app.models import User
from accounts_app.sign_in import background
from tests.accounts_app.sign_in.helpers import (
    ALICE,
    NEW_PASSWORD,
    WRONG,
    attempt,
    guess,
    reset,
    set_new_password,
)
from tests.factories import PASSWORD, UserFactory


@pytest.mark.parametrize("path", ["/password/change", "/admin/password_change/"])
def test_password_change_is_limited(db, path, hash_calls):
    UserFactory(email=ALICE, is_staff=True)
    browser = Client()
    browser.force_login(User.objects.get())
    address = browser.get(path, follow=True).request["PATH_INFO"]
    typed = {"old_password": WRONG, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD, "username": "other"}
    for _ in range(10):
        assert browser.post(address, typed).status_code == 200
    hash_calls.clear()
    assert browser.post(address, {**typed, "old_password": PASSWORD}).status_code == 429
    assert hash_calls == []
    assert attempt(password=PASSWORD).status_code == 429  # shares the limit of sign-in


def test_repeated_password_change_is_allowed(alice, alices_browser):
    typed = {"old_password": PASSWORD, "new_password1": PASSWORD, "new_password2": PASSWORD}
    for _ in range(12):
        assert alices_browser.post("/password/change", typed).status_code == 302


def test_password_reset_ends_sessions(alice, alices_browser):
    assert alices_browser.get("/settings/api").status_code == 200
    set_new_password(Client())
    assert alices_browser.get("/settings/api").status_code == 302


def test_password_set_by_admin_ends_sessions(alice, alices_browser):
    admin = Client()
    admin.force_login(UserFactory(email="admin@example.com", is_staff=True, is_superuser=True))
    address = reverse("admin:auth_user_password_change", args=[alice.pk])
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert admin.post(address, typed).status_code == 302
    assert alices_browser.get("/settings/api").status_code == 302
    assert admin.get(address).status_code == 200
    assert attempt(password=NEW_PASSWORD).status_code == 302


def test_password_change_ends_other_sessions(alice, alices_browser):
    other = Client()
    other.force_login(alice)
    new = "battery horse staple"
    response = alices_browser.post(
        "/password/change", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert response.url == "/password/change/done"
    assert "signed out" in alices_browser.get(response.url).content.decode()
    assert other.get("/settings/api").status_code == 302


def test_password_reset(alice):
    browser = Client()
    response = browser.post("/password/reset", {"email": "ALICE@example.com"})
    assert "we are sending it a link" in browser.get(response.url).content.decode()
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
    form = browser.get(link, follow=True)
    new = "battery horse staple"
    done = browser.post(form.redirect_chain[-1][0], {"new_password1": new, "new_password2": new})
    assert "Sign in" in browser.get(done.url).content.decode()
    assert Client().post("/login", {"username": "alice@example.com", "password": new}).status_code == 302
    assert "has expired" in Client().get(link, follow=True).content.decode()


def test_password_reset_hides_unknown_users(alice):
    known = Client().post("/password/reset", {"email": "alice@example.com"})
    unknown = Client().post("/password/reset", {"email": "nobody@example.com"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("email", [ALICE, "nobody@example.com"])
def test_reset_limit_per_email(alice, email):
    for number in range(5):
        assert reset(email=email, REMOTE_ADDR=f"198.51.100.{number}").status_code == 302
    mails = len(mail.outbox)
    assert mails == (5 if email == ALICE else 0)
    refused = reset(email=email.upper(), REMOTE_ADDR="198.51.100.9")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert "Wait 60 minutes, then request" in refused.content.decode()
    assert len(mail.outbox) == mails


def test_limited_owner_has_valid_link(alice):
    """Requesting e-mails must not lock the owner out."""
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        reset(times=5)
        clock.shift(3599)
        assert reset().status_code == 429
        link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
        assert "Set a new password" in Client().get(link, follow=True).content.decode()


def test_sign_in_clears_reset_limit(alice):
    reset(times=5)
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302
    assert reset().status_code == 302
    assert len(mail.outbox) == 6


def test_reset_limit_per_source(alice, settings):
    settings.PASSWORD_RESET_SOURCE_LIMIT = "3/hour"
    for number in range(3):
        reset(email=f"user{number}@example.com")
    for _ in range(10):
        assert reset().status_code == 429
    # Rejected requests do not count for the address.
    assert reset(REMOTE_ADDR="198.51.100.7").status_code == 302
    assert len(mail.outbox) == 1


def test_email_limit_does_not_count_for_source(alice, settings):
    settings.PASSWORD_RESET_LIMIT, settings.PASSWORD_RESET_SOURCE_LIMIT = "2/hour", "3/hour"
    reset(times=2)
    assert reset(times=10).status_code == 429
    assert reset(email="bob@example.com").status_code == 302


def test_invalid_email_is_not_counted(alice):
    assert reset(times=10, email="no address").status_code == 200
    assert reset().status_code == 302


def test_reset_response_does_not_wait_for_mail(alice, monkeypatch):
    """Sending takes time, which would reveal whether the user exists."""
    jobs = []
    monkeypatch.setattr(background, "submit", jobs.append)
    with CaptureQueriesContext(connection) as queries:
        response = reset()
    assert (response.status_code, len(queries), mail.outbox) == (302, 0, [])
    jobs[0]()
    assert [message.to for message in mail.outbox] == [[ALICE]]


def test_failed_mail_is_logged(alice, monkeypatch, caplog):
    monkeypatch.setattr("django.contrib.auth.forms.PasswordResetForm.get_users", mock.Mock(side_effect=RuntimeError))
    assert reset().status_code == 302
    assert "A mail to reset a password was not sent." in caplog.messages


def test_password_reset_clears_attempts(alice):
    guess()
    assert attempt(password=PASSWORD).status_code == 429
    set_new_password(Client())
    assert attempt(password=NEW_PASSWORD).status_code == 302


def test_reset_link_expires_after_an_hour(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        Client().post("/password/reset", {"email": ALICE})
        link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
        clock.shift(59 * 60)
        assert "Set a new password" in Client().get(link, follow=True).content.decode()
        clock.shift(2 * 60)
        assert "Link expired" in Client().get(link, follow=True).content.decode()


def test_new_password_autocomplete(alices_browser):
    page = alices_browser.get("/password/change").content.decode()
    assert page.count('autocomplete="new-password"') == 2
    assert page.count('autocomplete="current-password"') == 1
