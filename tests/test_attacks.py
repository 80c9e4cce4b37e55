"""Attacks that a reader of the design tried on the running site."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core import mail
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app.models import User
from accounts_app.sign_in import background
from config.wsgi import application
from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import PASSWORD, TransactionFactory, UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import create, shown_secret, submit, url
from tests.test_secret_is_nowhere import dump_of_all_tables
from tests.test_settings import GOOD, start

ROOT = Path(__file__).parent.parent
RUN_IN_THREAD = background.run_in_thread  # the real one, which tests have done at once
SURROGATE = r"\ud800"  # half of a pair, where the charset is unicode_escape
FORM = "multipart/form-data; boundary=B"
NEW_PASSWORD = "battery horse staple correct"


def ask_server(
    path: str, content_type: str, browser: Client | None = None, **fields: str
) -> tuple[int, dict[str, str]]:
    """Send a request as a server does: a GET, or the form of a page with these fields. Return status and headers.

    The test client does not come through ``config.wsgi``."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": content_type,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }
    if browser:
        page = browser.get(path).content.decode()
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
        parts = [
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {**dict(found), **fields}.items()
        ]
        body = ("".join(parts) + "--B--\r\n").encode()
        environ |= {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "HTTP_COOKIE": "; ".join(f"{name}={cookie.value}" for name, cookie in browser.cookies.items()),
        }
    answered: list[tuple[int, dict[str, str]]] = []
    with _connections_kept():
        answer: Any = application(environ, lambda status, headers: answered.append((int(status[:3]), dict(headers))))
        b"".join(answer)
        answer.close()
    return answered[0]


@contextmanager
def _connections_kept() -> Iterator[None]:
    """A request must not close the connection that the test itself is using, as it would one of its own."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


# What a page is sent


# Django fails on it before any middleware, so the answer is the server's own, without our headers, and the
# server writes the address into its log, with its query: a secret that was pasted into a search is then in clear.
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login?next=x", "/settings/api?q=x", "/nothing?x"])
@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=hex", "text/plain; charset=undefined", "a/b; x*=no''%ff"]
)
def test_no_content_type_gets_past_the_site_into_the_log_of_the_server(path, content_type):
    status, headers = ask_server(path, content_type)
    assert status in (200, 302, 404)
    assert "X-Request-Id" in headers


# anybody can have an operator mailed a report for each of them. The pages of accounts refuse the same text.
@pytest.mark.parametrize("charset", ["unicode_escape", "hex"])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/login", "username"),
        ("/login", "password"),
        ("/admin/login/", "username"),
        ("/password/reset", "email"),
        ("/password/change", "old_password"),
        ("/settings/api/keys/new", "name"),
    ],
)
def test_text_that_has_no_utf_8_is_no_fault_of_ours_on_any_page(alice, path, field, charset):
    browser = Client()
    if path.startswith(("/settings", "/password/change")):
        browser.force_login(alice)
    fields = {"username": "a@example.com", "password": "x", "new_password1": "x", "new_password2": "x"}
    status, _ = ask_server(path, f"{FORM}; charset={charset}", browser, **{**fields, field: SURROGATE})
    assert 200 <= status < 500


@pytest.mark.parametrize("around", ["\xa0{}", "{}\xa0", "{}\x85", "{}\x1c"])
def test_X1_a_secret_with_a_character_of_latin_1_beside_it_is_malformed(unrestricted, around):
    good = unrestricted.secret
    assert ApiClient(around.format(good)).get("/v2/me").status_code == 401


# Where a secret may not be


# pasted into the wrong field, it is in the database, on every page that names the key, and in a cookie.
@pytest.mark.parametrize("name", ["{}", "my key {}", "{}x"])
def test_K2_a_secret_that_is_pasted_into_the_name_is_not_kept(alice, alices_browser, name):
    key, made = make_key(alice)
    typed = name.format(made)
    create(alices_browser, typed)
    submit(alices_browser, url("rename", key), name=typed)
    assert not any(made in value for value in dump_of_all_tables())
    assert "messages" not in alices_browser.cookies


# K2 says "never in redirects". Somebody whose session has ended while the list was open searches for a secret.
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/settings/api", "/admin/finta_keys/apikey/", "/accounts", "/"])
def test_K2_a_secret_that_is_pasted_into_the_search_is_in_no_redirect_when_the_session_has_ended(path):
    made = secret.generate()
    answer = Client().get(path, {"q": made})
    assert answer.status_code == 302
    assert made not in answer.headers["Location"]


# "Authorization Bearer finta_…" without its colon, a secret that is sent as the address or the method.
def test_K2_what_gunicorn_says_of_a_malformed_request_has_no_secret(tmp_path):
    made = secret.generate()
    code = """
import logging, os, sys
from gunicorn.config import Config
from gunicorn.glogging import Logger
log = Logger(Config())  # as gunicorn does, before it loads the site
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
log.warning("Invalid request from ip=127.0.0.1: Invalid HTTP Header: 'Authorization Bearer " + sys.argv[1] + "'")
"""
    told = start(tmp_path, ["-c", code, str(made)], **GOOD).stderr
    assert "Invalid HTTP Header" in told
    assert str(made) not in told
    assert json.loads(told)["logger"] == "gunicorn.error"


# Doors


# gunicorn takes SCRIPT_NAME from a header of whoever connects from this machine, so from a proxy that passes
# headers with an underscore on. GET /x/admin/login/ with SCRIPT_NAME: /x is the admin's sign-in at an address that
# a rule of the proxy for /admin does not know.
def test_no_client_can_move_the_paths_of_the_site(monkeypatch):
    from gunicorn.app.wsgiapp import WSGIApplication

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["gunicorn", "config.wsgi"])  # gunicorn.conf.py is read where there is one
    assert not WSGIApplication("%(prog)s [OPTIONS]", prog="gunicorn").cfg.forwarder_headers


# the session is old, so it must not get a secret; the admin sets a password without asking for the old one.
@pytest.mark.parametrize("whose", ["their own", "the owner's"])
def test_an_old_session_of_a_superuser_gets_no_secret_by_a_password_that_it_sets_itself(alice, whose):
    key, _ = make_key(alice)
    operator = UserFactory(email="root@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        browser.post("/login", {"username": operator.email, "password": PASSWORD})
        clock.shift(timedelta(minutes=31))
        victim = operator if whose == "their own" else alice
        address = reverse("admin:auth_user_password_change", args=[victim.pk])
        fields = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
        browser.post(address, fields)
        if victim == alice:
            browser = Client()
            browser.post("/login", {"username": alice.email, "password": NEW_PASSWORD})
            answer = submit(browser, url("rotate", key), rotation=0)
        else:
            answer = browser.post(admin_pages.url("rotate", key.pk), {"rotation": 0, "confirm_password": NEW_PASSWORD})
        assert not re.search(secret.pattern(), answer.content.decode())


@pytest.mark.parametrize("page", ["add", "change"])
def test_an_old_session_of_a_superuser_changes_no_address_to_which_a_password_is_reset(alice, page):
    browser = Client()
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        browser.force_login(UserFactory(email="root@example.com", is_staff=True, is_superuser=True))
        clock.shift(timedelta(minutes=31))
        address = reverse(f"admin:accounts_app_user_{page}", args=[alice.pk] if page == "change" else [])
        answer = browser.post(address, {"email": "thief@example.com", "is_active": "on", "usable_password": "false"})
    assert "Enter your password" in answer.content.decode()
    assert not User.objects.filter(email="thief@example.com").exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_answer_on_a_connection_does_not_tell_whether_a_mail_was_sent(
    monkeypatch, other_threads_close_connections
):
    """The mail server does not answer until the next request on the connection has been: nothing waits for it."""
    monkeypatch.setattr(background, "run_in_thread", RUN_IN_THREAD)
    user, goes_on = UserFactory(), threading.Event()
    sent = mock.Mock(side_effect=lambda *args, **kwargs: goes_on.wait(30))
    monkeypatch.setattr("django.contrib.auth.forms.PasswordResetForm.send_mail", sent)
    with CaptureQueriesContext(connection) as queries:
        assert Client().post("/password/reset", {"email": user.email}).status_code == 302
        assert Client().get("/login").status_code == 200
    goes_on.set()
    for thread in [each for each in threading.enumerate() if each.name == "background"]:
        thread.join(30)
    assert sent.call_count == 1
    assert not [query["sql"] for query in queries if User._meta.db_table in query["sql"]]


# What was tried and stays refused


@pytest.mark.parametrize(
    "header",
    ["{0}", "Token {0}", "Bearer\t{0}", 'Bearer "{0}"', "Bearer {0}.", "Bearer {0}, Bearer {0}", "Bearer {0},{0}"],
)
def test_X1_a_good_secret_in_a_header_that_is_written_otherwise_is_none(unrestricted, header):
    answer = Client(headers={"authorization": header.format(unrestricted.secret)}).get("/v2/me")
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["X-Authorization", "Proxy-Authorization", "X-Api-Key", "X-Forwarded-Authorization"])
def test_X1_a_secret_in_another_header_is_none(unrestricted, name):
    assert Client(headers={name: f"Bearer {unrestricted.secret}"}).get("/v2/me").status_code == 401


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_another_method_of_one(unrestricted, accounts, name):
    address = f"/v2/accounts/{accounts.cash.pk}"
    assert unrestricted.client.get(address, headers={name: "DELETE"}).status_code == 200
    assert unrestricted.client.post(f"{address}?_method=DELETE").status_code == 405
    accounts.cash.refresh_from_db()
    assert not accounts.cash.is_closed


@pytest.mark.parametrize(
    "address",
    [
        "finta_keys/apikey/?owner__password__startswith=x",
        "finta_keys/apikey/?scope_rows__key__digest__gt=x",
        "finta_keys/apikey/?accounts__owner__password__startswith=x",
        "finta_keys/apikey/?_to_field=digest&_popup=1",
        "accounts_app/user/?api_keys__digest__gt=x",
        "accounts_app/user/?groups__user__password__startswith=x",
        "accounts_app/user/?groups__user__api_keys__digest__gt=x",
        "accounts_app/user/?_to_field=password&_popup=1",
        "accounts_app/account/?owner__password__startswith=x",
        "accounts_app/account/?key_scopes__key__digest__gt=x",
        "accounts_app/transaction/?account__owner__password__startswith=x",
    ],
)
def test_no_filter_in_an_address_of_the_admin_tells_digests_or_hashes_of_passwords(alice, accounts, address):
    make_key(alice)
    assert admin_pages.operator().get(f"/admin/{address}").status_code == 400


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Original-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL"]
)
def test_no_header_leads_the_link_to_a_new_password_elsewhere(alice, header):
    Client(headers={header: "evil.example"}).post("/password/reset", {"email": alice.email})
    assert "://testserver/" in mail.outbox[0].body
    assert "evil.example" not in str(mail.outbox[0].message())


def test_S3_a_cursor_of_a_wider_key_or_of_another_owner_opens_nothing(
    unrestricted, restricted, bob, bobs_account, accounts
):
    for account in (accounts.checking, accounts.savings, bobs_account):
        TransactionFactory.create_batch(3, account=account)
    cursor = unrestricted.client.get("/v2/transactions?limit=1").json()["pageInfo"]["nextCursor"]
    _, bobs = make_key(bob)
    for client, account in ((restricted.client, accounts.checking), (ApiClient(bobs), bobs_account)):
        found = client.get(f"/v2/transactions?cursor={cursor}").json()["transactions"]
        assert {each["bankAccountId"] for each in found} <= {str(account.pk)}


def test_K5_a_nonce_of_another_owner_makes_no_key(alices_browser, alice, bob):
    bobs_browser = Client()
    bobs_browser.force_login(bob)
    nonce = re.search(r'name="nonce" value="([^"]+)"', bobs_browser.get(url("create")).content.decode())
    assert nonce
    create(alices_browser, "Mine", nonce=nonce[1], share_all_accounts="on")
    assert not ApiKey.objects.exists()
    assert shown_secret(create(bobs_browser, "Mine", nonce=nonce[1], share_all_accounts="on"))
