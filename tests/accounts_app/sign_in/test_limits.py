"""The limit on attempts per source and e-mail."""

from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.test import Client
from limits.errors import StorageError

from accounts_app import limiter
from accounts_app.sign_in.forms import SignInForm
from tests.accounts_app.sign_in.helpers import ALICE, SIGN_IN_PAGES, WRONG, attempt, guess, reset
from tests.conftest import ApiClient
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.thorough


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


@pytest.mark.parametrize("email", ["", "\x00", "a" * 100_000, "ﷺ" * 254])
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
