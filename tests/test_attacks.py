"""Attacks on the site."""

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

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent
SUBMIT = background.submit  # before conftest.py replaces it
SURROGATE = r"\ud800"  # half of a surrogate pair in unicode_escape
FORM = "multipart/form-data; boundary=B"
NEW_PASSWORD = "battery horse staple correct"


def send_to_server(
    path: str, content_type: str, browser: Client | None = None, **fields: str
) -> tuple[int, dict[str, str]]:
    """Send a GET, or submit a page's form, through ``config.wsgi``. Return status and headers.

    Django's test client does not use ``config.wsgi``."""
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
        matches = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
        parts = [
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {**dict(matches), **fields}.items()
        ]
        body = ("".join(parts) + "--B--\r\n").encode()
        environ |= {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "HTTP_COOKIE": "; ".join(f"{name}={cookie.value}" for name, cookie in browser.cookies.items()),
        }
    responses: list[tuple[int, dict[str, str]]] = []
    with _connections_kept():
        response: Any = application(environ, lambda status, headers: responses.append((int(status[:3]), dict(headers))))
        b"".join(response)
        response.close()
    return responses[0]


@contextmanager
def _connections_kept() -> Iterator[None]:
    """Keep requests from closing the connection of the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


# Charsets


# Django would fail before any middleware. The server would respond without our headers and log the
# URL with its query, which can contain a secret that the user searched for.
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login?next=x", "/settings/api?q=x", "/nothing?x"])
@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=hex", "text/plain; charset=undefined", "a/b; x*=no''%ff"]
)
def test_invalid_charset_reaches_the_site(path, content_type):
    status, headers = send_to_server(path, content_type)
    assert status in (200, 302, 404)
    assert "X-Request-Id" in headers


# A 500 would let any client trigger error reports by mail.
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
def test_surrogates_in_forms_are_not_a_500(alice, path, field, charset):
    browser = Client()
    if path.startswith(("/settings", "/password/change")):
        browser.force_login(alice)
    fields = {"username": "a@example.com", "password": "x", "new_password1": "x", "new_password2": "x"}
    status, _ = send_to_server(path, f"{FORM}; charset={charset}", browser, **{**fields, field: SURROGATE})
    assert 200 <= status < 500


@pytest.mark.rule("X1")
@pytest.mark.parametrize("around", ["\xa0{}", "{}\xa0", "{}\x85", "{}\x1c"])
def test_latin1_blank_around_secret_is_malformed(unrestricted, around):
    good = unrestricted.secret
    assert ApiClient(around.format(good)).get("/v2/me").status_code == 401


# Leaked secrets


# A name is stored, shown on pages and kept in a cookie.
@pytest.mark.rule("K2")
@pytest.mark.parametrize("name", ["{}", "my key {}", "{}x"])
def test_secret_as_key_name_is_not_stored(alice, alices_browser, name):
    key, created = make_key(alice)
    typed = name.format(created)
    create(alices_browser, typed)
    submit(alices_browser, url("rename", key), name=typed)
    assert not any(created in value for value in dump_of_all_tables())
    assert "messages" not in alices_browser.cookies


# The user searches for a secret after the session has ended.
@pytest.mark.rule("K2")
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/settings/api", "/admin/finta_keys/apikey/", "/accounts", "/"])
def test_secret_in_search_is_not_in_redirect(path):
    created = secret.generate()
    response = Client().get(path, {"q": created})
    assert response.status_code == 302
    assert created not in response.headers["Location"]


# A header without its colon, and a secret as the URL or the method.
@pytest.mark.slow
@pytest.mark.rule("K2")
def test_gunicorn_log_has_no_secret(tmp_path):
    created = secret.generate()
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
    message = start(tmp_path, ["-c", code, str(created)], **GOOD).stderr
    assert "Invalid HTTP Header" in message
    assert str(created) not in message
    assert json.loads(message)["logger"] == "gunicorn.error"


# Ways around checks


# gunicorn takes SCRIPT_NAME from a header of local connections, such as those of a proxy that
# passes headers with underscores on. GET /x/admin/login/ with SCRIPT_NAME: /x would be the admin's
# sign-in at a URL that the proxy's rules for /admin do not match.
def test_clients_cannot_set_script_name(monkeypatch):
    from gunicorn.app.wsgiapp import WSGIApplication

    monkeypatch.chdir(ROOT)
    # Gunicorn reads gunicorn.conf.py in its directory.
    monkeypatch.setattr("sys.argv", ["gunicorn", "config.wsgi"])
    assert not WSGIApplication("%(prog)s [OPTIONS]", prog="gunicorn").cfg.forwarder_headers


# The session is old. The admin sets passwords without asking for the old one.
@pytest.mark.parametrize("whose", ["their own", "the owner's"])
def test_old_superuser_session_cannot_set_password(alice, whose):
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
            response = submit(browser, url("rotate", key), rotation=0)
        else:
            response = browser.post(
                admin_pages.url("rotate", key.pk), {"rotation": 0, "confirm_password": NEW_PASSWORD}
            )
        assert not re.search(secret.pattern(), response.content.decode())


@pytest.mark.parametrize("page", ["add", "change"])
def test_old_superuser_session_cannot_change_email(alice, page):
    browser = Client()
    with time_machine.travel("2026-01-15 12:00:00+00:00", tick=False) as clock:
        browser.force_login(UserFactory(email="root@example.com", is_staff=True, is_superuser=True))
        clock.shift(timedelta(minutes=31))
        address = reverse(f"admin:accounts_app_user_{page}", args=[alice.pk] if page == "change" else [])
        response = browser.post(address, {"email": "thief@example.com", "is_active": "on", "usable_password": "false"})
    assert "Confirm your password" in response.content.decode()
    assert not User.objects.filter(email="thief@example.com").exists()


@pytest.mark.django_db(transaction=True)
def test_connection_timing_hides_known_email(monkeypatch, other_threads_close_connections):
    """No request waits for the mail server, not even the next one on the connection."""
    monkeypatch.setattr(background, "submit", SUBMIT)
    user, goes_on = UserFactory(), threading.Event()
    sent = mock.Mock(side_effect=lambda *args, **kwargs: goes_on.wait(30))
    monkeypatch.setattr("django.contrib.auth.forms.PasswordResetForm.send_mail", sent)
    with CaptureQueriesContext(connection) as queries:
        assert Client().post("/password/reset", {"email": user.email}).status_code == 302
        assert Client().get("/login").status_code == 200
    goes_on.set()
    assert background.wait(30)
    assert sent.call_count == 1
    assert not [query["sql"] for query in queries if User._meta.db_table in query["sql"]]


# Rejected attempts


@pytest.mark.rule("X1")
@pytest.mark.parametrize(
    "header",
    ["{0}", "Token {0}", "Bearer\t{0}", 'Bearer "{0}"', "Bearer {0}.", "Bearer {0}, Bearer {0}", "Bearer {0},{0}"],
)
def test_other_header_formats_are_rejected(unrestricted, header):
    response = Client(headers={"authorization": header.format(unrestricted.secret)}).get("/v2/me")
    assert response.status_code == 401


@pytest.mark.rule("X1")
@pytest.mark.parametrize("name", ["X-Authorization", "Proxy-Authorization", "X-Api-Key", "X-Forwarded-Authorization"])
def test_secret_in_other_header_is_ignored(unrestricted, name):
    assert Client(headers={name: f"Bearer {unrestricted.secret}"}).get("/v2/me").status_code == 401


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_method_override_headers_are_ignored(unrestricted, accounts, name):
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
        "accounts_app/user/?finta_keys__digest__gt=x",
        "accounts_app/user/?groups__user__password__startswith=x",
        "accounts_app/user/?groups__user__finta_keys__digest__gt=x",
        "accounts_app/user/?_to_field=password&_popup=1",
        "accounts_app/account/?owner__password__startswith=x",
        "accounts_app/account/?finta_key_scopes__key__digest__gt=x",
        "accounts_app/transaction/?account__owner__password__startswith=x",
    ],
)
def test_admin_filters_do_not_reveal_hashes(alice, accounts, address):
    make_key(alice)
    assert admin_pages.operator().get(f"/admin/{address}").status_code == 400


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Original-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL"]
)
def test_headers_do_not_change_reset_link(alice, header):
    Client(headers={header: "evil.example"}).post("/password/reset", {"email": alice.email})
    assert "://testserver/" in mail.outbox[0].body
    assert "evil.example" not in str(mail.outbox[0].message())


@pytest.mark.rule("S3")
def test_foreign_cursor_widens_nothing(unrestricted, restricted, bob, bobs_account, accounts):
    for account in (accounts.checking, accounts.savings, bobs_account):
        TransactionFactory.create_batch(3, account=account)
    cursor = unrestricted.client.get("/v2/transactions?limit=1").json()["pageInfo"]["nextCursor"]
    _, bobs = make_key(bob)
    for client, account in ((restricted.client, accounts.checking), (ApiClient(bobs), bobs_account)):
        matches = client.get(f"/v2/transactions?cursor={cursor}").json()["transactions"]
        assert {row["bankAccountId"] for row in matches} <= {str(account.pk)}


@pytest.mark.rule("K5")
def test_nonce_of_other_owner_creates_no_key(alices_browser, alice, bob):
    bobs_browser = Client()
    bobs_browser.force_login(bob)
    nonce = re.search(r'name="nonce" value="([^"]+)"', bobs_browser.get(url("create")).content.decode())
    assert nonce
    create(alices_browser, "Mine", nonce=nonce[1], share_all_accounts="on")
    assert not ApiKey.objects.exists()
    assert shown_secret(create(bobs_browser, "Mine", nonce=nonce[1], share_all_accounts="on"))
