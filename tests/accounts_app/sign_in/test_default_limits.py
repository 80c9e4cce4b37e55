"""The default limits, and the limit per source."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.auth import authenticate

from accounts_app import limiter
from tests.accounts_app.sign_in.helpers import ALICE, WRONG, attempt, guess, spray
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.thorough

# Default limits


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
