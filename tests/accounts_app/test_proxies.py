"""Where a request comes from, and whether it came over TLS, with proxies in front and without."""

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
def test_without_proxies_the_header_is_not_looked_at(settings, count, header):
    assert address(count, header, settings, connected="192.0.2.4") == "192.0.2.4"


@pytest.mark.parametrize(
    ("count", "header"),
    [
        (1, CLIENT),
        (1, f"{OTHER}, {CLIENT}"),  # what the client itself has sent stands at the left
        (1, f"{OTHER},{OTHER},,nonsense,[::1,{CLIENT}"),
        (1, f"{'a' * 10_000}, {CLIENT}"),
        (1, f"{OTHER}\t ,\t  {CLIENT}  "),
        (1, f"{OTHER}, {CLIENT}:4711"),
        (2, f"{CLIENT}, 10.0.0.2"),
        (2, f"{OTHER}, {CLIENT}, 10.0.0.2"),
        (2, f"{OTHER}, {CLIENT}:1, 10.0.0.2:2"),
        (2, f"{CLIENT}, nonsense"),  # what the proxy in the middle calls the outermost
        (3, f"{OTHER}, {CLIENT}, 10.0.0.3, 10.0.0.2"),
    ],
)
def test_behind_proxies_it_is_what_the_outermost_of_them_wrote(settings, count, header):
    assert address(count, header, settings) == CLIENT


@pytest.mark.parametrize(
    "entry", ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711", "2001:0DB8:0:0::7", " [2001:db8::7]:1 "]
)
def test_an_ipv6_address_is_read_as_proxies_write_it(settings, entry):
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
        (2, CLIENT),  # it did not come through two: whoever wrote this, it was not the outermost
        (3, f"{OTHER}, {CLIENT}"),
    ],
)
def test_where_the_header_has_no_such_address_it_is_who_is_connected(settings, count, header):
    assert address(count, header, settings) == PROXY


def test_behind_a_unix_socket_the_header_is_all_there_is(settings):
    assert address(1, CLIENT, settings, connected="") == CLIENT
    assert address(1, None, settings, connected="") == ""


def attempt(forwarded_for, **typed):
    sent = {"username": "alice@example.com", "password": "wrong", **typed}
    return Client().post("/login", sent, HTTP_X_FORWARDED_FOR=forwarded_for, REMOTE_ADDR=PROXY).status_code


@pytest.mark.parametrize(("count", "written"), [(None, ""), (0, ""), (1, CLIENT), (2, f"{CLIENT}, 10.0.0.2")])
def test_a_guesser_who_forges_the_header_stays_one_source(alice, settings, count, written):
    settings.TRUSTED_PROXY_COUNT = count
    for each in range(10):
        assert attempt(f"192.0.2.{each}, {written}") == 200
    assert attempt(f"192.0.2.99, {written}") == 429
    assert attempt(f"192.0.2.99, 2001:db8::{each}, {written}", password=PASSWORD) == 429


def test_behind_a_proxy_a_guesser_hinders_no_other_client(alice, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    for _ in range(10):
        attempt(CLIENT)
    assert attempt(CLIENT, password=PASSWORD) == 429
    assert attempt(OTHER, password=PASSWORD) == 302


# TLS that ends at the proxy


@pytest.mark.parametrize(("count", "trusted"), [(None, None), ("0", None), ("1", TLS), ("2", TLS)])
def test_the_header_about_tls_is_trusted_with_a_proxy_only_and_the_one_about_the_host_never(tmp_path, count, trusted):
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
    """Return the page with the secret of a new key."""
    form = browser.get("/settings/api/keys/new", **extra).content.decode()
    nonce = re.search(r'name="nonce" value="([^"]+)"', form).group(1)
    sent = {"name": "Key", "share_all_accounts": "on", "nonce": nonce}
    return browser.post("/settings/api/keys/new", sent, **extra).content.decode()


@pytest.mark.parametrize(("trusted", "scheme"), [(TLS, "https"), (None, "http")])
def test_the_line_to_try_a_secret_begins_with_the_scheme_that_the_proxy_tells(
    alices_browser, accounts, settings, trusted, scheme
):
    settings.SECURE_PROXY_SSL_HEADER = trusted
    page = create_key(alices_browser, **BY_PROXY, HTTP_X_FORWARDED_HOST="evil.example")
    assert re.search(r"\bcurl\b[^<]*", page)
    assert f"{scheme}://testserver/v2/" in page
    assert "evil.example" not in page


@pytest.mark.parametrize(("trusted", "told"), [(TLS, True), (None, False)])
def test_browsers_are_told_to_stay_on_tls_where_the_proxy_says_that_they_are(client, db, settings, trusted, told):
    settings.SECURE_PROXY_SSL_HEADER = trusted
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="https").has_header("Strict-Transport-Security") is told
    assert not client.get("/login", HTTP_X_FORWARDED_PROTO="http").has_header("Strict-Transport-Security")


def test_a_form_sent_over_tls_by_way_of_a_proxy_needs_no_list_of_origins(db, settings):
    settings.SECURE_PROXY_SSL_HEADER = TLS
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/login", **BY_PROXY).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)
    for origin, status in (("https://testserver", 200), ("https://evil.example", 403)):
        sent = {"username": "a", "password": "b", "csrfmiddlewaretoken": token}
        answer = browser.post("/login", sent, **BY_PROXY, HTTP_ORIGIN=origin)
        assert answer.status_code == status


def test_redirects_to_tls_are_off_until_they_are_asked_for(db, settings):
    assert Client().get("/login").status_code == 200
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/login", HTTP_HOST="testserver").url == "https://testserver/login"


def test_a_redirect_to_tls_ends_where_the_proxy_says_that_it_is_tls(client, db, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, TLS
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="https").status_code == 200
    assert client.get("/login", HTTP_X_FORWARDED_PROTO="http").status_code == 301


@pytest.mark.parametrize(("path", "status"), [("/v2/health", 200), ("/v2/me", 401), ("/v2", 401), ("/v2x", 301)])
def test_the_api_redirects_nobody_who_has_sent_a_secret_already(client, db, settings, path, status):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == status
