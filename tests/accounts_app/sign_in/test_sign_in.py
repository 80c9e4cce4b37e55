"""The sign-in page."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.accounts_app.sign_in.helpers import (
    ALICE,
    SIGN_IN_PAGES,
    WRONG,
    attempt,
)
from tests.factories import PASSWORD, UserFactory

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
