"""Sign-in, its limit against guessing, passwords, and the error pages."""

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
    """Ask for so many mails, and return the last answer."""
    return [Client().post("/password/reset", {"email": email}, **extra) for _ in range(times)][-1]


@pytest.fixture
def hashed(monkeypatch):
    """How many passwords are hashed, as a list that grows."""
    calls, encode = [], MD5PasswordHasher.encode

    def counted(self, password, *args, **kwargs):
        calls.append(password)
        return encode(self, password, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return calls


# Sign-in


def test_slash_goes_to_api_settings_by_way_of_sign_in(alice):
    browser = Client()
    answer = browser.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/login?next=/settings/api"
    answer = browser.post(answer.redirect_chain[-1][0], {"username": "alice@example.com", "password": PASSWORD})
    assert answer.url == "/settings/api"


@pytest.mark.parametrize("typed", ["ALICE@example.com", "alice@EXAMPLE.com", "ａlice@example.com"])  # look-alike
def test_sign_in_takes_the_address_in_any_case(alice, typed):
    answer = Client().post("/login", {"username": typed, "password": PASSWORD})
    assert answer.status_code == 302


def test_sign_in_says_the_same_of_a_wrong_password_and_of_nobody(alice):
    wrong = Client().post("/login", {"username": "alice@example.com", "password": "wrong"}).content.decode()
    nobody = Client().post("/login", {"username": "nobody@example.com", "password": "wrong"}).content.decode()
    sentence = re.search(r'<ul class="errorlist nonfield">.*?</ul>', wrong).group()
    assert sentence in nobody


def test_a_failed_sign_in_keeps_the_typed_address_and_not_the_password(alice):
    page = attempt(ALICE.upper()).content.decode()
    assert f'value="{ALICE.upper()}"' in page
    assert WRONG not in page


def test_a_failed_sign_in_keeps_where_one_wanted_to_go(alice):
    browser, path = Client(), "/login?next=/settings/data"
    page = browser.post(path, {"username": ALICE, "password": "wrong"}).content.decode()
    assert '<form method="post" novalidate>' in page  # with no action: it is sent to the same address
    assert browser.post(path, {"username": ALICE, "password": PASSWORD}).url == "/settings/data"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_sign_in_leads_to_no_other_site(alice, elsewhere):
    assert attempt(password=PASSWORD, path=f"/login?next={elsewhere}").url == "/settings/api"


def test_sign_in_asks_phones_for_the_right_keyboard_and_browsers_for_what_they_keep(db):
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
def test_the_eleventh_guess_is_refused_and_told_when_to_come_back(alice, path):
    guess(path=path)
    refused = attempt(path=path)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    page = refused.content.decode()
    assert "Wait 5 minutes" in page
    assert "/password/reset" in page


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_the_right_password_is_refused_as_well_and_no_password_is_hashed(db, path, hashed):
    UserFactory(email=ALICE, is_staff=True)
    guess(path=path)
    hashed.clear()
    assert attempt(password=PASSWORD, path=path).status_code == 429
    assert attempt(password=WRONG, path=path).status_code == 429
    assert hashed == []


def test_the_admin_is_no_second_door(alice):
    guess(5)
    guess(5, path="/admin/login/")
    for path in SIGN_IN_PAGES:
        assert attempt(password=PASSWORD, path=path).status_code == 429


def test_the_admin_tells_nothing_of_a_right_password_by_its_count(alice):
    """Alice is no staff, so that her right password is a failure there too, and must count as one."""
    guess(10, password=PASSWORD, path="/admin/login/")
    assert attempt(path="/admin/login/").status_code == 429


def test_nobody_gets_the_same_as_somebody(alice):
    guess()
    guess(email="nobody@example.com")
    somebody, nobody = attempt(), attempt(email="nobody@example.com")
    assert (somebody.status_code, somebody.content) == (nobody.status_code, nobody.content)
    assert set(somebody.headers) == set(nobody.headers)


def test_another_address_and_another_caller_are_not_hindered(alice, bob):
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
def test_all_spellings_of_an_address_are_one(alice, typed):
    assert attempt(email=typed, password=PASSWORD).status_code == 302  # a spelling that signs in
    guess(5)
    guess(5, email=typed)
    assert attempt(email=typed, password=PASSWORD).status_code == 429
    assert attempt(password=PASSWORD).status_code == 429


def test_the_window_passes(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess()
        wait = int(attempt()["Retry-After"])
        clock.shift(wait - 1)
        assert attempt(password=PASSWORD).status_code == 429
        assert "Wait 1 second," in attempt().content.decode()
        clock.shift(2)
        assert attempt(password=PASSWORD).status_code == 302


def test_refused_attempts_do_not_make_the_wait_longer(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess()
        for _ in range(4):
            clock.shift(60)
            attempt()
        clock.shift(61)
        assert attempt(password=PASSWORD).status_code == 302


def test_an_owner_who_mistypes_is_not_hindered(alice):
    for _ in range(6):
        guess(2)
        assert attempt(password=PASSWORD).status_code == 302


def test_signing_in_often_is_not_hindered(alice):
    for _ in range(15):
        assert attempt(password=PASSWORD).status_code == 302


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_a_guesser_with_a_session_of_his_own_is_limited_too(alice, bob, path):
    """Where one is signed in, the answer is a redirect whatever is sent: it must not pass for a success."""
    guess(9)
    browser = Client()
    browser.force_login(bob)
    browser.post(path, {"username": ALICE, "password": "wrong"})
    assert attempt(password=PASSWORD).status_code == 429


def test_guesses_sent_at_once_are_counted_each(alice, monkeypatch):
    """Counted when they come, not when they have failed: hashing takes long enough to send all others meanwhile."""
    checked = []

    def check_while_the_next_comes(form):
        checked.append(form)
        if len(checked) < 20:
            attempt()
        return False

    monkeypatch.setattr(SignInForm, "is_valid", check_while_the_next_comes)
    attempt()
    assert len(checked) == 10


def test_a_callers_ipv6_network_is_one_caller_and_an_ipv4_address_in_it_is_not(alice):
    guess(5, REMOTE_ADDR="2001:db8::1")
    guess(5, REMOTE_ADDR="2001:db8::ffff:2")
    assert attempt(REMOTE_ADDR="2001:db8::3").status_code == 429
    assert attempt(REMOTE_ADDR="2001:db8:0:1::1").status_code == 200
    guess(10, REMOTE_ADDR="::ffff:192.0.2.1")
    assert attempt(REMOTE_ADDR="::ffff:192.0.2.1").status_code == 429
    assert attempt(REMOTE_ADDR="::ffff:192.0.2.2").status_code == 200


def test_without_a_callers_address_there_is_a_limit_too(alice):
    guess(10, REMOTE_ADDR="")
    assert attempt(REMOTE_ADDR="").status_code == 429


@pytest.mark.parametrize("email", ["", "\x00", "a" * 100_000, "ﷺ" * 254])
def test_what_is_no_address_is_counted_and_breaks_nothing(db, email):
    guess(10, email=email)
    assert attempt(email=email).status_code == 429


def test_looking_at_the_page_is_no_attempt(alice):
    for _ in range(15):
        assert Client().get("/login").status_code == 200
    assert attempt(password=PASSWORD).status_code == 302


def test_the_limit_is_a_setting(alice, settings):
    settings.SIGN_IN_LIMIT = "2/hour"
    guess(2)
    refused = attempt(password=PASSWORD)
    assert refused.status_code == 429
    assert "Wait 60 minutes" in refused.content.decode()


def test_sign_in_works_while_the_storage_is_down(alice, monkeypatch, caplog):
    def down(*args):
        raise StorageError(ConnectionError("refused"))

    monkeypatch.setattr(limiter, "_limiter", lambda storage: mock.Mock(test=down, hit=down, clear=down))
    for _ in range(11):
        assert attempt().status_code == 200
    assert attempt(password=PASSWORD).status_code == 302
    reset(times=6)
    assert len(mail.outbox) == 6
    told = [record.getMessage() for record in caplog.records if record.name == "accounts_app.limiter"]
    assert len(told) == len(set(told))  # each once a minute
    assert "Sign-in is not limited: RATE_LIMIT_STORAGE cannot be reached." in told


def test_the_storage_holds_no_address(alice):
    guess(1)
    reset()
    kept = repr(vars(limiter._limiter("memory://").storage))
    assert "password-reset" in kept
    assert ALICE not in kept
    assert "127.0.0.1" not in kept


def test_the_way_back_keeps_where_one_wanted_to_go(alice):
    path = "/login?next=/settings/data"
    guess(path=path)
    assert f'href="{path}"' in attempt(path=path).content.decode()


def test_the_api_has_no_part_in_the_limit(alice, unrestricted):
    guess()
    for each in range(50):
        attempt(email=f"nobody{each}@example.com")
    assert attempt(email="bob@example.com").status_code == 429
    assert unrestricted.client.get("/v2/me").status_code == 200
    for _ in range(60):
        ApiClient("finta_wrong").get("/v2/me")
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302


# Growing delays, as they are by default


@pytest.fixture
def default_limit(settings):
    settings.SIGN_IN_LIMIT = re.search(r'"SIGN_IN_LIMIT", default="(.+)"', SETTINGS.read_text()).group(1)


def test_who_goes_on_guessing_waits_longer_and_longer_and_never_more_than_15_minutes(alice, default_limit):
    waits, started = [], datetime(2026, 1, 15, 12, tzinfo=UTC)
    with time_machine.travel(started, tick=False) as clock:
        for _ in range(40):
            answer = attempt()
            if answer.status_code == 429:
                waits.append(int(answer["Retry-After"]))
                clock.shift(waits[-1] + 0.001)
                answer = attempt()
            assert answer.status_code == 200
    assert waits[:3] == [60, 240, 600]  # after the first five, until these are 1, 5 and 15 minutes old
    assert max(waits) <= 15 * 60


def test_a_few_mistakes_cost_nothing(alice, default_limit):
    guess(4)
    assert attempt(password=PASSWORD).status_code == 302
    guess(4)
    assert attempt(password=PASSWORD).status_code == 302


def test_the_page_tells_the_wait_in_words(alice, default_limit):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess(5)
        assert "Wait 1 minute, then" in attempt().content.decode()
        clock.shift(20)
        assert "Wait 40 seconds, then" in attempt().content.decode()
        clock.shift(41)
        guess(2)
        assert "Wait 4 minutes, then" in attempt().content.decode()


def test_who_is_refused_by_one_window_fills_no_other(alice, settings):
    settings.SIGN_IN_LIMIT = "3/minute; 6/hour"
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        guess(3)
        for _ in range(20):
            assert attempt().status_code == 429
        clock.shift(61)
        guess(3)
        clock.shift(3590 - 61)
        # The hour is full, and does not let the minute fill: ten seconds later there is room in both.
        for _ in range(20):
            assert attempt().status_code == 429
        clock.shift(11)
        guess(3)


def test_who_comes_when_another_takes_the_last_place_does_not_get_through(alice, settings, monkeypatch):
    """Both have seen that there was room: what is counted decides."""
    settings.SIGN_IN_LIMIT = "5/minute; 3/hour"
    monkeypatch.setattr(limiter, "has_room", lambda *counted: True)
    guess(3)
    assert attempt(password=PASSWORD).status_code == 429


def test_the_wait_is_that_of_all_windows_that_are_full(alice, settings):
    settings.SIGN_IN_LIMIT = "2/minute; 2/hour"
    guess(2)
    assert 3590 <= int(attempt()["Retry-After"]) <= 3600


def test_success_empties_all_windows(alice, settings):
    settings.SIGN_IN_LIMIT = "3/minute; 4/hour"
    for _ in range(5):
        guess(2)
        assert attempt(password=PASSWORD).status_code == 302


# One source, many addresses


def spray(times, **extra):
    for each in range(times):
        assert attempt(email=f"user{each}@example.com", **extra).status_code == 200


def test_one_password_at_many_addresses_is_limited_and_other_sources_are_not(alice, settings, hashed):
    settings.SIGN_IN_SOURCE_LIMIT = "20/15 minutes"
    spray(20)
    hashed.clear()
    refused = attempt(password=PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 15 * 60
    assert "your network address" in refused.content.decode()
    assert attempt(path="/admin/login/").status_code == 429
    assert hashed == []
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302


def test_a_success_of_ones_own_does_not_clear_what_the_source_has_failed(alice, bob, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "6/15 minutes"
    for each in range(6):
        attempt(email=f"user{each}@example.com")
        if each < 5:
            assert attempt(email=bob.email, password=PASSWORD).status_code == 302
    assert attempt(password=PASSWORD).status_code == 429


def test_an_office_that_signs_in_is_not_limited_by_its_successes(db, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "2/15 minutes"
    for each in range(6):
        UserFactory(email=f"user{each}@example.com")
        assert attempt(email=f"user{each}@example.com", password=PASSWORD).status_code == 302


def test_what_the_source_is_refused_does_not_count_for_the_address(alice, settings):
    settings.SIGN_IN_SOURCE_LIMIT = "5/minute"
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        spray(5)
        for _ in range(15):
            assert attempt().status_code == 429
        clock.shift(61)
        assert attempt(password=PASSWORD).status_code == 302


def test_a_wrong_password_of_no_request_is_nobodys(alice):
    assert authenticate(username=ALICE, password=WRONG) is None


# Nobody can tell who is here


@pytest.mark.parametrize("path", SIGN_IN_PAGES)
def test_sign_in_does_as_much_for_nobody_as_for_somebody(alice, path, hashed):
    UserFactory(email="inactive@example.com", is_active=False)
    no_password = UserFactory(email="nopassword@example.com")
    no_password.set_unusable_password()
    no_password.save()
    seen = {}
    for email in (ALICE, "nobody@example.com", "inactive@example.com", "nopassword@example.com"):
        hashed.clear()
        with CaptureQueriesContext(connection) as queries:
            answer = attempt(email=email, path=path)
        page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode()).replace(email, "…")
        seen[email] = (answer.status_code, page, sorted(answer.headers), len(queries), len(hashed))
    assert len(set(map(repr, seen.values()))) == 1, seen
    assert seen[ALICE][-1] == 1


def test_an_inactive_user_with_the_right_password_is_told_nothing_else(db):
    UserFactory(email="inactive@example.com", is_active=False)
    page = attempt(email="inactive@example.com", password=PASSWORD).content.decode()
    assert "There is no user with this e-mail and password." in page


# Passwords


@pytest.mark.parametrize("path", ["/password/change", "/admin/password_change/"])
def test_the_old_password_cannot_be_guessed_at_in_a_browser_that_was_left_open(db, path, hashed):
    UserFactory(email=ALICE, is_staff=True)
    browser = Client()
    browser.force_login(User.objects.get())
    address = browser.get(path, follow=True).request["PATH_INFO"]
    typed = {"old_password": WRONG, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD, "username": "other"}
    for _ in range(10):
        assert browser.post(address, typed).status_code == 200
    hashed.clear()
    assert browser.post(address, {**typed, "old_password": PASSWORD}).status_code == 429
    assert hashed == []
    assert attempt(password=PASSWORD).status_code == 429  # counted together with sign-in


def test_changing_ones_password_often_is_not_hindered(alice, alices_browser):
    typed = {"old_password": PASSWORD, "new_password1": PASSWORD, "new_password2": PASSWORD}
    for _ in range(12):
        assert alices_browser.post("/password/change", typed).status_code == 302


def test_password_reset_signs_all_browsers_out(alice, alices_browser):
    assert alices_browser.get("/settings/api").status_code == 200
    set_new_password(Client())
    assert alices_browser.get("/settings/api").status_code == 302


def test_a_password_that_an_admin_sets_signs_all_browsers_out(alice, alices_browser):
    admin = Client()
    admin.force_login(UserFactory(email="admin@example.com", is_staff=True, is_superuser=True))
    address = reverse("admin:auth_user_password_change", args=[alice.pk])
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert admin.post(address, typed).status_code == 302
    assert alices_browser.get("/settings/api").status_code == 302
    assert admin.get(address).status_code == 200
    assert attempt(password=NEW_PASSWORD).status_code == 302


def test_password_change_signs_other_browsers_out(alice, alices_browser):
    other = Client()
    other.force_login(alice)
    new = "battery horse staple"
    answer = alices_browser.post(
        "/password/change", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert answer.url == "/password/change/done"
    assert "signed out" in alices_browser.get(answer.url).content.decode()
    assert other.get("/settings/api").status_code == 302


def test_password_reset_by_a_link_in_a_mail(alice):
    browser = Client()
    answer = browser.post("/password/reset", {"email": "ALICE@example.com"})
    assert "on its way" in browser.get(answer.url).content.decode()
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
    form = browser.get(link, follow=True)
    new = "battery horse staple"
    done = browser.post(form.redirect_chain[-1][0], {"new_password1": new, "new_password2": new})
    assert "Sign in" in browser.get(done.url).content.decode()
    assert Client().post("/login", {"username": "alice@example.com", "password": new}).status_code == 302
    assert "not good any more" in Client().get(link, follow=True).content.decode()


def test_password_reset_tells_nothing_of_who_is_here(alice):
    known = Client().post("/password/reset", {"email": "alice@example.com"})
    unknown = Client().post("/password/reset", {"email": "nobody@example.com"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("email", [ALICE, "nobody@example.com"])
def test_mails_are_limited_for_each_address_whoever_asks_and_whoever_is_here(alice, email):
    for each in range(5):
        assert reset(email=email, REMOTE_ADDR=f"198.51.100.{each}").status_code == 302
    mails = len(mail.outbox)
    assert mails == (5 if email == ALICE else 0)
    refused = reset(email=email.upper(), REMOTE_ADDR="198.51.100.9")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert "Wait 60 minutes, then ask" in refused.content.decode()
    assert len(mail.outbox) == mails


def test_who_is_not_mailed_any_more_links_has_good_ones(alice):
    """Else anybody could keep an owner out by asking for mails."""
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        reset(times=5)
        clock.shift(3599)
        assert reset().status_code == 429
        link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
        assert "Set a new password" in Client().get(link, follow=True).content.decode()


def test_where_signing_in_has_made_the_links_bad_there_are_new_ones(alice):
    reset(times=5)
    assert attempt(password=PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302
    assert reset().status_code == 302
    assert len(mail.outbox) == 6


def test_mails_are_limited_for_each_source(alice, settings):
    settings.PASSWORD_RESET_SOURCE_LIMIT = "3/hour"
    for each in range(3):
        reset(email=f"user{each}@example.com")
    for _ in range(10):
        assert reset().status_code == 429
    assert reset(REMOTE_ADDR="198.51.100.7").status_code == 302  # nothing refused has counted for the address
    assert len(mail.outbox) == 1


def test_what_is_refused_for_the_address_does_not_count_for_the_source(alice, settings):
    settings.PASSWORD_RESET_LIMIT, settings.PASSWORD_RESET_SOURCE_LIMIT = "2/hour", "3/hour"
    reset(times=2)
    assert reset(times=10).status_code == 429
    assert reset(email="bob@example.com").status_code == 302


def test_what_is_no_address_is_not_counted(alice):
    assert reset(times=10, email="no address").status_code == 200
    assert reset().status_code == 302


def test_the_answer_to_who_asks_for_a_link_waits_for_no_mail(alice, monkeypatch):
    """By the time it takes one could tell who is here: what is done for somebody is done apart."""
    jobs = []
    monkeypatch.setattr(background, "run_in_thread", jobs.append)
    with CaptureQueriesContext(connection) as queries:
        response = reset()
    assert (response.status_code, len(queries), mail.outbox) == (302, 0, [])
    jobs[0]()
    assert [message.to for message in mail.outbox] == [[ALICE]]


def test_a_mail_that_cannot_be_sent_is_reported_and_told_to_nobody(alice, monkeypatch, caplog):
    monkeypatch.setattr("django.contrib.auth.forms.PasswordResetForm.get_users", mock.Mock(side_effect=RuntimeError))
    assert reset().status_code == 302
    assert "A mail to reset a password was not sent." in caplog.messages


def test_a_password_reset_is_a_way_in_at_once(alice):
    guess()
    assert attempt(password=PASSWORD).status_code == 429
    set_new_password(Client())
    assert attempt(password=NEW_PASSWORD).status_code == 302


def set_new_password(browser):
    browser.post("/password/reset", {"email": ALICE})
    link = re.search(r"http://testserver(\S+)", mail.outbox[-1].body).group(1)
    form = browser.get(link, follow=True)
    return browser.post(form.redirect_chain[-1][0], {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})


def test_a_link_is_good_for_an_hour(alice):
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        Client().post("/password/reset", {"email": ALICE})
        link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
        clock.shift(59 * 60)
        assert "Set a new password" in Client().get(link, follow=True).content.decode()
        clock.shift(2 * 60)
        assert "Link not good any more" in Client().get(link, follow=True).content.decode()


def test_browsers_offer_to_make_a_new_password(alices_browser):
    page = alices_browser.get("/password/change").content.decode()
    assert page.count('autocomplete="new-password"') == 2
    assert page.count('autocomplete="current-password"') == 1


# Error pages


def test_an_unknown_page_is_a_404_page(client):
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is no page at this address" in answer.content.decode()


def test_an_error_outside_the_api_is_a_page_without_details(alices_browser, monkeypatch):
    monkeypatch.setattr("accounts_app.views.DataSettingsView.get_context_data", lambda self, **_: 1 / 0)
    alices_browser.raise_request_exception = False
    answer = alices_browser.get("/settings/data")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert "ZeroDivision" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/nothing-here", "/static/nothing.css"])
def test_who_is_signed_out_is_led_to_sign_in_and_not_to_a_page_behind_it(client, alices_browser, path):
    signed_out = client.get(path).content.decode()
    assert "/settings/" not in signed_out
    assert 'href="/login"' in signed_out
    assert 'href="/settings/api"' in alices_browser.get(path).content.decode()


def test_a_form_from_before_signing_in_again_says_that_nothing_was_changed(alice):
    browser = Client(enforce_csrf_checks=True)
    assert_way_out(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/login")
    browser.force_login(alice)
    assert_way_out(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/settings/api")
    assert not User.objects.get(pk=alice.pk).storage_mode


def test_a_request_that_cannot_be_understood_says_so(client):
    answer = client.get("/login", HTTP_HOST="evil.example")
    assert_way_out(answer, 400, "cannot read what your browser sent", "/settings/api")


@pytest.mark.parametrize("path", [*SIGN_IN_PAGES, "/password/reset"])
@pytest.mark.parametrize("kind", ["a field", "a file", "a field of a form with files"])
def test_what_is_too_large_is_refused_unread(db, path, kind, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    large = b"a" * 2000
    sent = {
        "a field": {"data": b"username=" + large, "content_type": "application/x-www-form-urlencoded"},
        "a file": {"data": {"username": ALICE, "file": BytesIO(large)}},
        "a field of a form with files": {"data": {"username": large.decode()}},
    }[kind]
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.get(path)
    assert_way_out(browser.post(path, **sent), 400, "cannot read what your browser sent", "/settings/api")


def test_files_are_not_kept(db, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 1000)})
    assert request.POST["username"] == ALICE
    assert not request.FILES
    assert settings.FILE_UPLOAD_HANDLERS == ["config.upload_handlers.DiscardFiles"]


def test_without_a_limit_on_bodies_files_are_dropped_too(db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 5_000_000)})
    assert request.POST["username"] == ALICE
    assert not request.FILES


def test_what_one_may_not_do_says_so(alices_browser, alice):
    type(alice).objects.update(is_staff=True)
    answer = alices_browser.get("/admin/accounts_app/user/")
    assert_way_out(answer, 403, "Nothing was changed", "/settings/api")


def assert_way_out(answer, status, sentence, link):
    page = answer.content.decode()
    assert answer.status_code == status
    assert sentence in page
    assert f'href="{link}"' in page.split("<main")[1]


def test_the_page_of_a_500_needs_nothing_to_be_rendered():
    """No context, no database, no request, and no tag that could fail."""
    page = render_to_string("500.html")
    assert "It is not known whether what you did was done." in page
    assert 'href="/settings/api"' in page
    assert 'href="/static/finta_keys/style.css"' in page


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "429", "500"])
def test_each_error_page_is_a_panel_with_a_title(status):
    page = render_to_string(f"{status}.html", {"wait": "1 minute"})
    title = re.search("<title>(.+) · Finta</title>", page).group(1)
    assert f'<h1 id="finta-keys-title">{title}</h1>' in page
    assert page.count('<section class="finta-panel" aria-labelledby="finta-keys-title">') == 1
