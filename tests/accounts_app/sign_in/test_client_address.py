"""The client's address and scheme, with and without proxies."""

import re

import pytest
from django.test import Client, RequestFactory

from accounts_app.sign_in.client_address import client_address
from tests.factories import PASSWORD
from tests.test_settings import GOOD, start

PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.7", "198.51.100.9"
TLS = ("HTTP_X_FORWARDED_PROTO", "https")
BY_PROXY = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": "testserver"}


def address(count, forwarded_for, settings, connected=PROXY):
    settings.TRUSTED_PROXY_COUNT = count
    header = {} if forwarded_for is None else {"HTTP_X_FORWARDED_FOR": forwarded_for}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=connected, **header))


@pytest.mark.parametrize("count", [None, 0])
@pytest.mark.parametrize("header", [None, CLIENT, f"{OTHER}, {CLIENT}", "", "nonsense"])
def test_header_is_ignored_without_proxies(settings, count, header):
    assert address(count, header, settings, connected="192.0.2.4") == "192.0.2.4"


@pytest.mark.parametrize(
    ("count", "header"),
    [
        (1, CLIENT),
        (1, f"{OTHER}, {CLIENT}"),  # the client's own entry is at the left
        (1, f"{OTHER},{OTHER},,nonsense,[::1,{CLIENT}"),
        (1, f"{'a' * 10_000}, {CLIENT}"),
        (1, f"{OTHER}\t ,\t  {CLIENT}  "),
        (1, f"{OTHER}, {CLIENT}:4711"),
        (2, f"{CLIENT}, 10.0.0.2"),
        (2, f"{OTHER}, {CLIENT}, 10.0.0.2"),
        (2, f"{OTHER}, {CLIENT}:1, 10.0.0.2:2"),
        (2, f"{CLIENT}, nonsense"),  # the address of the outermost proxy
        (3, f"{OTHER}, {CLIENT}, 10.0.0.3, 10.0.0.2"),
    ],
)
def test_address_is_entry_of_outermost_proxy(settings, count, header):
    assert address(count, header, settings) == CLIENT


@pytest.mark.parametrize(
    "entry", ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711", "2001:0DB8:0:0::7", " [2001:db8::7]:1 "]
)
def test_ipv6_address_formats(settings, entry):
    assert address(1, f"{OTHER}, {entry}", settings) == "2001:db8::7"


@pytest.mark.parametrize(
    ("count", "header"),
    [
        (1, None),
        (1, ""),
        (1, "unknown"),
        (1, f"{CLIENT}, unknown"),
        (1, f"{CLIENT},"),
        (1, f"{CLIENT}, _hidden"),
        (1, "203.0.113"),
        (1, "203.0.113.7:port"),
        (1, "[2001:db8::7"),
        (1, "[2001:db8::7]:"),
        (1, "[[2001:db8::7]]"),
        (1, f"[{CLIENT}]:1:1"),
        (1, "203.0.113.7\nx"),
        (1, "3405803783"),
        (2, CLIENT),  # fewer entries than proxies
        (3, f"{OTHER}, {CLIENT}"),
    ],
)
def test_invalid_entry_falls_back_to_connection(settings, count, header):
    assert address(count, header, settings) == PROXY


def test_unix_socket(settings):
    assert address(1, CLIENT, settings, connected="") == CLIENT
    assert address(1, None, settings, connected="") == ""


def attempt(forwarded_for, **typed):
    sent = {"username": "alice@example.com", "password": "wrong", **typed}
    return Client().post("/login", sent, HTTP_X_FORWARDED_FOR=forwarded_for, REMOTE_ADDR=PROXY).status_code


@pytest.mark.parametrize(("count", "written"), [(None, ""), (0, ""), (1, CLIENT), (2, f"{CLIENT}, 10.0.0.2")])
def test_forged_header_does_not_evade_limit(alice, settings, count, written):
    settings.TRUSTED_PROXY_COUNT = count
    for number in range(10):
        assert attempt(f"192.0.2.{number}, {written}") == 200
    assert attempt(f"192.0.2.99, {written}") == 429
    assert attempt(f"192.0.2.99, 2001:db8::{number}, {written}", password=PASSWORD) == 429


def test_limit_separates_clients_behind_proxy(alice, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    for _ in range(10):
        attempt(CLIENT)
    assert attempt(CLIENT, password=PASSWORD) == 429
    assert attempt(OTHER, password=PASSWORD) == 302


# TLS at the proxy


@pytest.mark.slow
@pytest.mark.parametrize(("count", "trusted"), [(None, None), ("0", None), ("1", TLS), ("2", TLS)])
def test_only_forwarded_proto_is_trusted(tmp_path, count, trusted):
    printed = (
        "import django; django.setup(); from django.conf import settings as s;"
        "print([s.TRUSTED_PROXY_COUNT, s.SECURE_PROXY_SSL_HEADER, s.USE_X_FORWARDED_HOST, s.USE_X_FORWARDED_PORT])"
    )
    environment = {**GOOD, "DJANGO_SETTINGS_MODULE": "config.settings"}
    if count is not None:
        environment["TRUSTED_PROXY_COUNT"] = count
    result = start(tmp_path, ["-c", printed], **environment)
    assert result.stdout.strip() == repr([count and int(count), trusted, False, False]), result.stderr


def create_key(browser, **extra):
    """Create a key and return the page with its secret."""
    form = browser.get("/settings/api/keys/new", **extra).content.decode()
    nonce = re.search(r'name="nonce" value="([^"]+)"', form).group(1)
    sent = {"name": "Key", "share_all_accounts": "on", "nonce": nonce}
    return browser.post("/settings/api/keys/new", sent, **extra).content.decode()


@pytest.mark.parametrize(("trusted", "scheme"), [(TLS, "https"), (None, "http")])
def test_curl_example_uses_forwarded_scheme(alices_browser, accounts, settings, trusted, scheme):
    settings.SECURE_PROXY_SSL_HEADER = trusted
    page = create_key(alices_browser, **BY_PROXY, HTTP_X_FORWARDED_HOST="evil.example")
    assert re.search(r"\bcurl\b[^<]*", page)
    assert f"{scheme}://testserver/v2/" in page
    assert "evil.example" not in page


@pytest.mark.parametrize(("trusted", "has_hsts"), [(TLS, True), (None, False)])
def test_hsts_behind_proxy(client, db, settings, trusted, has_hsts):
    settings.SECURE_PROXY_SSL_HEADER = trusted
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="https").has_header("Strict-Transport-Security") is has_hsts
    assert not client.get("/login", HTTP_X_FORWARDED_PROTO="http").has_header("Strict-Transport-Security")


def test_csrf_behind_proxy_needs_no_origins(db, settings):
    settings.SECURE_PROXY_SSL_HEADER = TLS
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/login", **BY_PROXY).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)
    for origin, status in (("https://testserver", 200), ("https://evil.example", 403)):
        sent = {"username": "a", "password": "b", "csrfmiddlewaretoken": token}
        response = browser.post("/login", sent, **BY_PROXY, HTTP_ORIGIN=origin)
        assert response.status_code == status


def test_tls_redirect_is_off_by_default(db, settings):
    assert Client().get("/login").status_code == 200
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/login", HTTP_HOST="testserver").url == "https://testserver/login"


def test_tls_redirect_behind_proxy(client, db, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, TLS
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="https").status_code == 200
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="http").status_code == 301


@pytest.mark.parametrize(("path", "status"), [("/v2/health", 200), ("/v2/me", 401), ("/v2", 401), ("/v2x", 301)])
def test_api_does_not_redirect_to_tls(client, db, settings, path, status):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == status
