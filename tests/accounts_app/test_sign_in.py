"""Sign-in, its limits, passwords, and the error pages."""

import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from unittest import mock

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from limits.errors import StorageError

from accounts_app import limiter
from accounts_app.models import User
from accounts_app.sign_in import background
from accounts_app.sign_in.forms import SignInForm
from tests.conftest import ApiClient
from tests.factories import PASSWORD, UserFactory

ALICE = "alice@example.com"
NEW_PASSWORD = "battery horse staple"
WRONG = "not the password"
SIGN_IN_PAGES = ("/login", "/admin/login/")
SETTINGS = Path(__file__).parent.parent.parent / "config/settings.py"


def attempt(email=ALICE, password=WRONG, path="/login", **extra):
    return Client().post(path, {"username": email, "password": password}, **extra)


def guess(times=10, **attempted):
    for _ in range(times):
        assert attempt(**attempted).status_code == 200


def reset(times=1, email=ALICE, **extra):
    """Request reset e-mails. Return the last response."""
    return [Client().post("/password/reset", {"email": email}, **extra) for _ in range(times)][-1]


@pytest.fixture
def hash_calls(monkeypatch):
    """A list with one entry per hashed password."""
    calls, encode = [], MD5PasswordHasher.encode

    def counted(self, password, *args, **kwargs):
        calls.append(password)
        return encode(self, password, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return calls


# Sign-in


def test_root_redirects_to_sign_in(alice):
    browser = Client()
    response = browser.get("/", follow=True)
    assert response.redirect_chain[-1][0] == "/login?next=/settings/api"
    response = browser.post(response.redirect_chain[-1][0], {"username": "alice@example.com", "password": PASSWORD})
    assert response.url == "/settings/api"


# Look-alike.
@pytest.mark.parametrize("typed", ["ALICE@example.com", "alice@EXAMPLE.com", "ａlice@example.com"])
def test_email_case_is_ignored(alice, typed):
    response = Client().post("/login", {"username": typed, "password": PASSWORD})
    assert response.status_code == 302


def test_unknown_user_gets_same_message(alice):
    wrong = Client().post("/login", {"username": "alice@example.com", "password": "wrong"}).content.decode()
    nobody = Client().post("/login", {"username": "nobody@example.com", "password": "wrong"}).content.decode()
    sentence = re.search(r'<ul class="errorlist nonfield">.*?</ul>', wrong).group()
    assert sentence in nobody


def test_failure_keeps_email_only(alice):
    page = attempt(ALICE.upper()).content.decode()
    assert f'value="{ALICE.upper()}"' in page
    assert WRONG not in page


def test_failure_keeps_next(alice):
    browser, path = Client(), "/login?next=/settings/data"
    page = browser.post(path, {"username": ALICE, "password": "wrong"}).content.decode()
    # No action, so it is submitted to the same URL.
    assert '<form method="post" novalidate>' in page
    assert browser.post(path, {"username": ALICE, "password": PASSWORD}).url == "/settings/data"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_next_must_be_same_site(alice, elsewhere):
    assert attempt(password=PASSWORD, path=f"/login?next={elsewhere}").url == "/settings/api"


def test_form_input_attributes(db):
    page = Client().get("/login").content.decode()
    email, password = (re.search(f'<input[^>]*name="{name}"[^>]*>', page).group() for name in ("username", "password"))
    assert 'inputmode="email"' in email
    assert 'autocomplete="username"' in email
    assert 'autocomplete="current-password"' in password


def test_sign_out(alices_browser):
    assert alices_browser.post("/logout").url == "/login"
    assert alices_browser.get("/settings/api").status_code == 302


# The limit


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_limit_returns_429_with_retry_after(alice, path):
    guess(path=path)
    refused = attempt(path=path)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    page = refused.content.decode()
    assert "Wait 5 minutes" in page
    assert "/password/reset" in page


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_limit_rejects_without_hashing(db, path, hash_calls):
    UserFactory(email=ALICE, is_staff=True)
    guess(path=path)
    hash_calls.clear()
    assert attempt(password=PASSWORD, path=path).status_code == 429
    assert attempt(password=WRONG, path=path).status_code == 429
    assert hash_calls == []


def test_admin_sign_in_shares_limit(alice):
    guess(5)
    guess(5, path="/admin/login/")
    for path in SIGN_IN_PAGES:
        assert attempt(password=PASSWORD, path=path).status_code == 429


def test_admin_count_does_not_reveal_password(alice):
    """Alice is not staff, so the correct password fails there too and must be counted."""
    guess(10, password=PASSWORD, path="/admin/login/")
    assert attempt(path="/admin/login/").status_code == 429


def test_unknown_email_is_limited_too(alice):
    guess()
    guess(email="nobody@example.com")
    somebody, nobody = attempt(), attempt(email="nobody@example.com")
    assert (somebody.status_code, somebody.content) == (nobody.status_code, nobody.content)
    assert set(somebody.headers) == set(nobody.headers)


def test_limit_is_per_source_and_email(alice, bob):
    guess()
    assert attempt(email=bob.email, password=PASSWORD).status_code == 302
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302
    assert attempt(password=PASSWORD).status_code == 429


@pytest.mark.parametrize(
    "typed",
    [
        "ALICE@example.com",
        "alice@EXAMPLE.com",
        "ａlice@example.com",
        "  alice@example.com ",
        "al\u200bice@example.com",
        " " * 500 + ALICE,
    ],
)
def test_email_spellings_share_limit(alice, typed):
    assert attempt(email=typed, password=PASSWORD).status_code == 302  # a spelling that can sign in
    guess(5)
    guess(5, email=typed)
    assert attempt(email=typed, password=PASSWORD).status_code == 429
    assert attempt(password=PASSWORD).status_code == 429


def test_limit_expires(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess()
        wait = int(attempt()["Retry-After"])
        clock.shift(wait - 1)
        assert attempt(password=PASSWORD).status_code == 429
        assert "Wait 1 second," in attempt().content.decode()
        clock.shift(2)
        assert attempt(password=PASSWORD).status_code == 302


def test_rejected_attempts_do_not_extend_wait(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess()
        for _ in range(4):
            clock.shift(60)
            attempt()
        clock.shift(61)
        assert attempt(password=PASSWORD).status_code == 302


def test_success_clears_attempts(alice):
    for _ in range(6):
        guess(2)
        assert attempt(password=PASSWORD).status_code == 302


def test_repeated_success_is_not_limited(alice):
    for _ in range(15):
        assert attempt(password=PASSWORD).status_code == 302


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_signed_in_attacker_is_limited(alice, bob, path):
    """Signed-in users are always redirected. That must not count as a success."""
    guess(9)
    browser = Client()
    browser.force_login(bob)
    browser.post(path, {"username": ALICE, "password": "wrong"})
    assert attempt(password=PASSWORD).status_code == 429


def test_parallel_attempts_are_counted(alice, monkeypatch):
    """Attempts are counted before hashing, which is slow enough for many parallel requests."""
    checked = []

    def check_while_the_next_comes(form):
        checked.append(form)
        if len(checked) < 20:
            attempt()
        return False

    monkeypatch.setattr(SignInForm, "is_valid", check_while_the_next_comes)
    attempt()
    assert len(checked) == 10


def test_ipv6_network_is_one_source(alice):
    guess(5, REMOTE_ADDR="2001:db8::1")
    guess(5, REMOTE_ADDR="2001:db8::ffff:2")
    assert attempt(REMOTE_ADDR="2001:db8::3").status_code == 429
    assert attempt(REMOTE_ADDR="2001:db8:0:1::1").status_code == 200
    guess(10, REMOTE_ADDR="::ffff:192.0.2.1")
    assert attempt(REMOTE_ADDR="::ffff:192.0.2.1").status_code == 429
    assert attempt(REMOTE_ADDR="::ffff:192.0.2.2").status_code == 200


def test_limit_without_client_address(alice):
    guess(10, REMOTE_ADDR="")
    assert attempt(REMOTE_ADDR="").status_code == 429


@pytest.mark.parametrize("email", ["", "\x00", "a" * 50_000, "ﷺ" * 254])
def test_malformed_email_is_counted(db, email):
    guess(10, email=email)
    assert attempt(email=email).status_code == 429


def test_get_is_no_attempt(alice):
    for _ in range(15):
        assert Client().get("/login").status_code == 200
    assert attempt(password=PASSWORD).status_code == 302


def test_limit_is_configurable(alice, settings):
    settings.SIGN_IN_LIMIT = "2/hour"
    guess(2)
    refused = attempt(password=PASSWORD)
    assert refused.status_code == 429
    assert "Wait 60 minutes" in refused.content.decode()


def test_sign_in_works_without_storage(alice, monkeypatch, caplog):
    def down(*args):
        raise StorageError(ConnectionError("refused"))

    monkeypatch.setattr(limiter, "_limiter", lambda storage: mock.Mock(test=down, hit=down, clear=down))
    for _ in range(11):
        assert attempt().status_code == 200
    assert attempt(password=PASSWORD).status_code == 302
    reset(times=6)
    assert len(mail.outbox) == 6
    message = [record.getMessage() for record in caplog.records if record.name == "accounts_app.limiter"]
    assert len(message) == len(set(message))  # each at most once a minute
    assert "Sign-in is not limited: RATE_LIMIT_STORAGE cannot be reached." in message


def test_storage_contains_no_email(alice):
    guess(1)
    reset()
    stored = repr(vars(limiter._limiter("memory://").storage))
    assert "password-reset" in stored
    assert ALICE not in stored
    assert "127.0.0.1" not in stored


def test_429_page_keeps_next(alice):
    path = "/login?next=/settings/data"
    guess(path=path)
    assert f'href="{path}"' in attempt(path=path).content.decode()


def test_api_ignores_sign_in_limit(alice, unrestricted):
    guess()
    for number in range(50):
        attempt(email=f"nobody{number}@example.com")
    assert attempt(email="bob@example.com").status_code == 429
    assert unrestricted.client.get("/v2/me").status_code == 200
    for _ in range(60):
        ApiClient("finta_wrong").get("/v2/me")
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302


# Default limits


@pytest.fixture
def default_limit(settings):
    settings.SIGN_IN_LIMIT = re.search(r'"SIGN_IN_LIMIT", default="(.+)"', SETTINGS.read_text()).group(1)


def test_waits_grow_up_to_15_minutes(alice, default_limit):
    waits, started = [], datetime(2026, 1, 15, 12, tzinfo=UTC)
    with time_machine.travel(started, tick=False) as clock:
        for _ in range(40):
            response = attempt()
            if response.status_code == 429:
                waits.append(int(response["Retry-After"]))
                clock.shift(waits[-1] + 0.001)
                response = attempt()
            assert response.status_code == 200
    assert waits[:3] == [60, 240, 600]  # until the first five are 1, 5 and 15 minutes old
    assert max(waits) <= 15 * 60


def test_four_mistakes_are_allowed(alice, default_limit):
    guess(4)
    assert attempt(password=PASSWORD).status_code == 302
    guess(4)
    assert attempt(password=PASSWORD).status_code == 302


def test_429_page_shows_duration(alice, default_limit):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess(5)
        assert "Wait 1 minute, then" in attempt().content.decode()
        clock.shift(20)
        assert "Wait 40 seconds, then" in attempt().content.decode()
        clock.shift(41)
        guess(2)
        assert "Wait 4 minutes, then" in attempt().content.decode()


def test_rejected_hit_does_not_fill_other_windows(alice, settings):
    settings.SIGN_IN_LIMIT = "3/minute; 6/hour"
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess(3)
        for _ in range(20):
            assert attempt().status_code == 429
        clock.shift(61)
        guess(3)
        clock.shift(3590 - 61)
        # The full hour must not fill the minute: ten seconds later both have room.
        for _ in range(20):
            assert attempt().status_code == 429
        clock.shift(11)
        guess(3)


def test_last_place_is_taken_once(alice, settings, monkeypatch):
    """Both requests pass the check, and only one is counted."""
    settings.SIGN_IN_LIMIT = "5/minute; 3/hour"
    monkeypatch.setattr(limiter, "has_room", lambda *counted: True)
    guess(3)
    assert attempt(password=PASSWORD).status_code == 429


def test_wait_covers_all_full_windows(alice, settings):
    settings.SIGN_IN_LIMIT = "2/minute; 2/hour"
    guess(2)
    assert 3590 <= int(attempt()["Retry-After"]) <= 3600


def test_success_clears_all_windows(alice, settings):
    settings.SIGN_IN_LIMIT = "3/minute; 4/hour"
    for _ in range(5):
        guess(2)
        assert attempt(password=PASSWORD).status_code == 302


# Limit per source


def spray(times, **extra):
    for number in range(times):
        assert attempt(email=f"user{number}@example.com", **extra).status_code == 200


def test_password_spraying_is_limited(alice, settings, hash_calls):
    settings.SIGN_IN_SOURCE_LIMIT = "20/15 minutes"
    spray(20)
    hash_calls.clear()
    refused = attempt(password=PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 15 * 60
    assert "from your network" in refused.content.decode()
    assert attempt(path="/admin/login/").status_code == 429
    assert hash_calls == []
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302


def test_success_keeps_failures_of_source(alice, bob, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "6/15 minutes"
    for number in range(6):
        attempt(email=f"user{number}@example.com")
        if number < 5:
            assert attempt(email=bob.email, password=PASSWORD).status_code == 302
    assert attempt(password=PASSWORD).status_code == 429


def test_successes_do_not_limit_source(db, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "2/15 minutes"
    for number in range(6):
        UserFactory(email=f"user{number}@example.com")
        assert attempt(email=f"user{number}@example.com", password=PASSWORD).status_code == 302


def test_source_limit_does_not_count_for_email(alice, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "5/minute"
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        spray(5)
        for _ in range(15):
            assert attempt().status_code == 429
        clock.shift(61)
        assert attempt(password=PASSWORD).status_code == 302


def test_failure_without_request_is_not_counted(alice):
    assert authenticate(username=ALICE, password=WRONG) is None


# Unknown users


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_unknown_user_costs_same_work(alice, path, hash_calls):
    UserFactory(email="inactive@example.com", is_active=False)
    no_password = UserFactory(email="nopassword@example.com")
    no_password.set_unusable_password()
    no_password.save()
    visible = {}
    for email in (ALICE, "nobody@example.com", "inactive@example.com", "nopassword@example.com"):
        hash_calls.clear()
        with CaptureQueriesContext(connection) as queries:
            response = attempt(email=email, path=path)
        page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode()).replace(email, "…")
        visible[email] = (response.status_code, page, sorted(response.headers), len(queries), len(hash_calls))
    assert len(set(map(repr, visible.values()))) == 1, visible
    assert visible[ALICE][-1] == 1


def test_inactive_user_gets_same_message(db):
    UserFactory(email="inactive@example.com", is_active=False)
    page = attempt(email="inactive@example.com", password=PASSWORD).content.decode()
    assert "There is no user with this e-mail and password." in page


# Passwords


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


def set_new_password(browser):
    browser.post("/password/reset", {"email": ALICE})
    link = re.search(r"http://testserver(\S+)", mail.outbox[-1].body).group(1)
    form = browser.get(link, follow=True)
    return browser.post(form.redirect_chain[-1][0], {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})


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


# Error pages


def test_404_page(client):
    response = client.get("/nothing-here")
    assert response.status_code == 404
    assert "There is no page at this address" in response.content.decode()


def test_500_page_has_no_details(alices_browser, monkeypatch):
    monkeypatch.setattr("accounts_app.views.DataSettingsView.get_context_data", lambda self, **_: 1 / 0)
    alices_browser.raise_request_exception = False
    response = alices_browser.get("/settings/data")
    assert response.status_code == 500
    assert "Something went wrong" in response.content.decode()
    assert "ZeroDivision" not in response.content.decode()


@pytest.mark.parametrize("path", ["/nothing-here", "/static/nothing.css"])
def test_403_page_links_to_sign_in(client, alices_browser, path):
    signed_out = client.get(path).content.decode()
    assert "/settings/" not in signed_out
    assert 'href="/login"' in signed_out
    assert 'href="/settings/api"' in alices_browser.get(path).content.decode()


def test_csrf_failure_page(alice):
    browser = Client(enforce_csrf_checks=True)
    assert_error_page(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/login")
    browser.force_login(alice)
    assert_error_page(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/settings/api")
    assert not User.objects.get(pk=alice.pk).storage_mode


def test_400_page(client):
    response = client.get("/login", HTTP_HOST="evil.example")
    assert_error_page(response, 400, "could not read this request", "/settings/api")


@pytest.mark.parametrize("path", [*SIGN_IN_PAGES, "/password/reset"])
@pytest.mark.parametrize("kind", ["a field", "a file", "a field of a form with files"])
def test_large_body_is_not_read(db, path, kind, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    large = b"a" * 2000
    sent = {
        "a field": {"data": b"username=" + large, "content_type": "application/x-www-form-urlencoded"},
        "a file": {"data": {"username": ALICE, "file": BytesIO(large)}},
        "a field of a form with files": {"data": {"username": large.decode()}},
    }[kind]
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.get(path)
    assert_error_page(browser.post(path, **sent), 400, "could not read this request", "/settings/api")


def test_files_are_discarded(db, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 1000)})
    assert request.POST["username"] == ALICE
    assert not request.FILES
    assert settings.FILE_UPLOAD_HANDLERS == ["config.upload_handlers.DiscardFiles"]


def test_large_files_are_rejected_without_size_limit(db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 65_536)})
    with pytest.raises(RequestDataTooBig):
        request.POST["username"]


def test_403_page(alices_browser, alice):
    type(alice).objects.update(is_staff=True)
    response = alices_browser.get("/admin/accounts_app/user/")
    assert_error_page(response, 403, "Nothing was changed", "/settings/api")


def assert_error_page(response, status, sentence, link):
    page = response.content.decode()
    assert response.status_code == status
    assert sentence in page
    assert f'href="{link}"' in page.split("<main")[1]


def test_500_page_renders_without_context():
    """It needs no context, database or request, and has no tag that can fail."""
    page = render_to_string("500.html")
    assert "check API settings to see what was saved" in page
    assert 'href="/settings/api"' in page
    assert 'href="/static/finta_keys/style.css"' in page


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "429", "500"])
def test_error_pages_have_titles(status):
    page = render_to_string(f"{status}.html", {"wait": "1 minute"})
    title = re.search("<title>(.+) · Finta</title>", page).group(1)
    assert f'<h1 id="finta-keys-title">{title}</h1>' in page
    assert page.count('<section class="finta-panel" aria-labelledby="finta-keys-title">') == 1
