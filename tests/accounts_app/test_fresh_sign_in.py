"""The password once more, 30 minutes after it was given, before a secret is shown."""

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
ASKED = "Enter your password to go on"
WRONG = "not the password"
NEW = {"name": "Laptop", "share_all_accounts": "on"}


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def browser(clock, alice):
    """Alice's, who gives her password at noon."""
    browser = Client()
    browser.post("/login", {"username": alice.email, "password": PASSWORD})
    return browser


@pytest.fixture
def key(alice):
    return make_key(alice)[0]


@pytest.fixture
def later(browser, clock):
    """The same 30 minutes later."""
    clock.shift(timedelta(minutes=30))
    return browser


def asks(answer):
    return answer.status_code == 200 and ASKED in answer.content.decode()


def carried(answer):
    """What the form sends besides the password, as a browser reads it."""
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', answer.content.decode())
    data = {}
    for name, value in inputs:
        if name != "csrfmiddlewaretoken":
            data.setdefault(html.unescape(name), []).append(html.unescape(value))
    return data


def confirm(browser, answer, address, password=PASSWORD, **extra):
    """Send the form that asks for the password."""
    return browser.post(address, {**carried(answer), "confirm_password": password, **extra})


# The 30 minutes


@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_the_password_is_asked_for_30_minutes_after_it_was_given(browser, clock, key, verb):
    address = url(verb, key if verb == "rotate" else None)
    clock.shift(timedelta(minutes=30) - timedelta(seconds=1))
    assert not asks(browser.get(address))
    clock.shift(1)
    answer = browser.get(address)
    assert asks(answer)
    assert carried(answer) == {}
    assert "no-store" in answer["Cache-Control"]


def test_the_right_password_opens_the_page_and_is_good_for_30_minutes(later, clock):
    address = f"{url('create')}?q=laptop"
    answer = confirm(later, later.get(address), address)
    assert answer.headers["Location"] == address
    assert not asks(later.get(address))
    clock.shift(timedelta(minutes=29))
    assert not asks(later.get(address))
    clock.shift(timedelta(minutes=1))
    assert asks(later.get(address))


def test_what_shows_no_secret_is_as_it_was(later, key):
    for address in ("/settings/api", url("rename", key), url("edit_scope", key), url("delete", key), "/accounts"):
        assert not asks(later.get(address)), address


def test_a_session_from_before_this_was_built_is_asked(browser):
    session = browser.session
    del session["accounts_app.password_given_at"]
    session.save()
    assert asks(browser.get(url("create")))


def test_a_clock_that_goes_back_makes_no_sign_in_fresh(browser, clock):
    clock.shift(timedelta(seconds=-1))
    assert asks(browser.get(url("create")))
    clock.shift(timedelta(days=-300))
    assert asks(browser.get(url("create")))


def test_signing_in_counts_from_the_first_request_of_the_process_on(db):
    told = "import django; django.setup(); from django.contrib.auth.signals import user_logged_in as each; "
    told += "print('accounts_app.sign_in.confirm_password' in repr(each.receivers))"
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", told], env={"DJANGO_SETTINGS_MODULE": "tests.settings"}, capture_output=True, check=True
    )
    assert run.stdout.strip() == b"True"


def test_signing_in_without_a_request_breaks_nothing(alice):
    user_logged_in.send(User, request=None, user=alice)


# What was sent


def test_a_create_form_that_was_open_for_long_makes_its_key_after_the_password(browser, clock, accounts):
    form = hidden_fields(browser.get(url("create")))
    clock.shift(timedelta(minutes=30))
    chosen = [str(accounts.checking.pk), str(accounts.cash.pk)]
    sent = {"name": "“<b>” & co", "accounts": chosen, **form}
    answer = browser.post(url("create"), sent)
    assert asks(answer)
    assert "what you sent is kept" in read(answer)
    assert carried(answer) == {"name": [sent["name"]], "accounts": chosen, "nonce": [form["nonce"]]}
    assert not ApiKey.objects.exists()
    assert shown_secret(confirm(browser, answer, url("create")))
    made = ApiKey.objects.get()
    assert (made.name, set(made.accounts.all())) == (sent["name"], {accounts.checking, accounts.cash})


def test_a_rotate_form_that_was_open_for_long_rotates_after_the_password(later, key):
    before = admin_pages.digest(key)
    answer = later.post(url("rotate", key), {"rotation": 0})
    assert asks(answer)
    assert admin_pages.digest(key) == before
    assert ApiKey.objects.authenticate(shown_secret(confirm(later, answer, url("rotate", key)))) == key


def test_K5_sending_the_password_twice_makes_one_key(browser, clock, accounts):
    form = hidden_fields(browser.get(url("create")))
    clock.shift(timedelta(minutes=30))
    answer = browser.post(url("create"), {**NEW, **form})
    assert shown_secret(confirm(browser, answer, url("create")))
    assert confirm(browser, answer, url("create")).status_code == 409
    assert ApiKey.objects.count() == 1


def test_a_form_that_was_refused_after_the_password_keeps_what_was_typed(later, accounts):
    """Its nonce is older than an hour, or missing as here."""
    answer = confirm(later, later.post(url("create"), NEW), url("create"))
    assert "expired after an hour" in read(answer)
    assert 'value="Laptop"' in answer.content.decode()
    assert not ApiKey.objects.exists()
    again = later.post(url("create"), {**NEW, **hidden_fields(answer)})
    assert shown_secret(again)


def test_a_wrong_password_changes_nothing_and_keeps_what_was_sent(later, key):
    answer = later.post(url("rotate", key), {"rotation": "0"})
    again = confirm(later, answer, url("rotate", key), WRONG)
    assert asks(again)
    assert "This is not your password. Check it, or reset the password." in read(again)
    assert carried(again) == {"rotation": ["0"]}
    assert WRONG not in again.content.decode()
    assert asks(later.get(url("rotate", key)))
    assert not asks(confirm(later, again, url("rotate", key)))
    assert ApiKey.objects.get().rotation == 1


def test_an_empty_password_is_asked_for_by_name(later):
    assert "Enter your password." in read(confirm(later, later.get(url("create")), url("create"), ""))


def test_no_password_and_nothing_typed_is_kept_in_the_session(later, key):
    answer = later.post(url("create"), NEW)
    confirm(later, answer, url("create"), WRONG)
    confirm(later, answer, url("create"))
    kept = repr([session.get_decoded() for session in Session.objects.all()])
    assert not any(each in kept for each in (PASSWORD, WRONG, "Laptop"))


def test_the_admin_asks_as_well_and_logs_once(clock, alice):
    operator, address = admin_pages.operator(), admin_pages.url("create", alice.pk)
    form = hidden_fields(operator.get(address))
    clock.shift(timedelta(minutes=31))
    assert asks(operator.get(address))
    answer = operator.post(address, {**NEW, **form})
    assert asks(answer)
    assert 'href="/admin/"' in answer.content.decode()
    assert shown_secret(confirm(operator, answer, address))
    assert len(admin_pages.logged(ApiKey.objects.get().pk)) == 1


# Attacks


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_goes_on_to_no_other_site(later, elsewhere):
    address = f"{url('create')}?next={elsewhere}"
    answer = confirm(later, later.get(address), address)
    assert answer.headers["Location"].startswith(f"{url('create')}?")


@pytest.mark.parametrize("extra", [{}, {"username": "bob@example.com"}, {"next": "/"}, {"user": "bob"}])
def test_another_persons_password_is_not_enough_whoever_is_named(later, bob, key, extra):
    bob.set_password("Bob's own")
    bob.save()
    answer = later.post(url("rotate", key), {"rotation": 0, "confirm_password": "Bob's own", **extra})
    assert asks(answer)
    assert asks(later.get(url("create")))
    assert ApiKey.objects.get().rotation == 0


class ByPasswordAlone(ModelBackend):
    """Of a host that signs people in by something else than their name."""

    def authenticate(self, request, password=None, **credentials):
        return next((each for each in User.objects.all() if each.check_password(password)), None)


def test_a_backend_that_finds_another_person_makes_no_sign_in_fresh(later, bob, key, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", f"{__name__}.ByPasswordAlone"]
    bob.set_password("Bob's own")
    bob.save()
    answer = later.post(url("rotate", key), {"rotation": 0, "confirm_password": "Bob's own"})
    assert asks(answer)
    assert ApiKey.objects.get().rotation == 0


def test_guesses_are_limited_and_the_right_password_is_refused_then(later, key):
    address = url("rotate", key)
    for _ in range(10):
        assert asks(confirm(later, later.get(address), address, WRONG))
    refused = later.post(address, {"rotation": 0, "confirm_password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    assert asks(later.get(address))
    assert ApiKey.objects.get().rotation == 0


def test_naming_another_address_dodges_no_limit(later, key):
    for number in range(10):
        later.post(url("create"), {"confirm_password": WRONG, "username": f"other{number}@example.com"})
    assert later.post(url("create"), {"confirm_password": PASSWORD, "username": "x@example.com"}).status_code == 429


def test_guesses_here_and_at_sign_in_are_counted_together(later, alice):
    for _ in range(5):
        later.post(url("create"), {"confirm_password": WRONG})
        Client().post("/login", {"username": alice.email, "password": WRONG})
    assert later.post(url("create"), {"confirm_password": PASSWORD}).status_code == 429
    assert Client().post("/login", {"username": alice.email, "password": PASSWORD}).status_code == 429


def test_guesses_do_not_keep_another_person_out(later, bob):
    for _ in range(10):
        later.post(url("create"), {"confirm_password": WRONG, "username": bob.email})
    assert Client().post("/login", {"username": bob.email, "password": PASSWORD}).status_code == 302


def test_being_asked_is_no_guess(later, key):
    for _ in range(12):
        assert asks(later.post(url("rotate", key), {"rotation": 0}))
    assert shown_secret(later.post(url("rotate", key), {"rotation": 0, "confirm_password": PASSWORD}))


def test_the_form_from_elsewhere_is_refused(alice, clock):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    clock.shift(timedelta(minutes=31))
    assert browser.post(url("create"), {**NEW, "confirm_password": PASSWORD}).status_code == 403


def test_the_password_makes_only_the_session_fresh_in_which_it_was_given(browser, clock, alice):
    other = Client()
    other.force_login(alice)
    clock.shift(timedelta(minutes=30))
    confirm(browser, browser.get(url("create")), url("create"))
    assert asks(other.get(url("create")))


def test_an_inactive_person_is_signed_out_and_not_asked(later, alice):
    alice.is_active = False
    alice.save()
    for answer in (later.get(url("create")), later.post(url("create"), {"confirm_password": PASSWORD})):
        assert answer.headers["Location"].startswith("/login")


def test_signing_out_forgets_that_the_password_was_given(browser):
    browser.post("/logout")
    assert "accounts_app.password_given_at" not in browser.session


def test_the_password_is_in_no_report_of_an_error_that_comes_after_it(later, key, monkeypatch):
    failed = []

    def fail(request, **kwargs):
        failed.append(request)

    got_request_exception.connect(fail)
    monkeypatch.setattr(ApiKey, "rotate", lambda key, **kwargs: 1 / 0)
    later.raise_request_exception = False
    assert later.post(url("rotate", key), {"rotation": 0, "confirm_password": PASSWORD}).status_code == 500
    (request,) = failed
    told = SafeExceptionReporterFilter().get_post_parameters(request)
    assert "confirm_password" in told
    assert PASSWORD not in repr(told)


# People


def test_the_session_stays_good_when_the_password_is_hashed_anew(later, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    confirm(later, later.get(url("create")), url("create"))
    assert not asks(later.get(url("create")))
    assert later.get(url("create")).status_code == 200


def test_the_session_keeps_its_id(later):
    before = later.session.session_key
    confirm(later, later.get(url("create")), url("create"))
    assert later.session.session_key == before


def test_a_person_without_a_password_is_told_to_sign_in_again(clock, key):
    person = UserFactory(email="single.sign.on@example.com")
    person.set_unusable_password()
    person.save()
    browser = admin_pages.signed_in(person)
    assert browser.get(url("create")).status_code == 200
    clock.shift(timedelta(minutes=30))
    for answer in (browser.get(url("create")), browser.post(url("create"), {**NEW, "confirm_password": "!"})):
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "sign out, then sign in again the way you did" in read(answer)
        assert 'action="/logout"' in page
        assert "confirm_password" not in page
    assert ApiKey.objects.count() == 1


def test_browsers_and_password_managers_know_whose_password_is_asked_for(later, alice):
    page = later.get(url("create")).content.decode()
    field = re.search(r'<input[^>]*name="confirm_password"[^>]*>', page).group()
    assert 'autocomplete="current-password"' in field
    assert "autofocus" in field
    assert f'autocomplete="username" value="{alice.email}"' in page
