"""Response headers, and pages that follow the content security policy."""

import re
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client, RequestFactory

from config.middleware import SecurityHeadersMiddleware
from config.request_log import RequestLogMiddleware
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import PASSWORD, UserFactory

ROOT = Path(__file__).parent.parent.parent
OWN_TEMPLATES = sorted([*(ROOT / "templates").rglob("*.html"), *(ROOT / "finta_keys/templates").rglob("*.html")])

EXPECTED = {
    "Content-Security-Policy": "default-src 'none'; font-src 'self'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Strict-Transport-Security": "max-age=31536000",
}


@pytest.fixture
def key(alice):
    return make_key(alice)


@pytest.fixture
def operators_browser(db):
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def read(response):
    """Return the body. Reading all of it closes a static file."""
    return b"".join(response)


def failing(browser):
    browser.raise_request_exception = False
    with mock.patch("accounts_app.views.DataSettingsView.get_context_data", side_effect=RuntimeError):
        return browser.get("/settings/data", secure=True)


def without_token(path, **data):
    return Client(enforce_csrf_checks=True).post(path, data, secure=True)


def too_many_attempts():
    for _ in range(11):
        response = Client().post("/login", {"username": "nobody@example.com", "password": "x"}, secure=True)
    return response


KINDS = {
    "signed out": (302, lambda **_: Client().get("/settings/api", secure=True)),
    "sign-in": (200, lambda **_: Client().get("/login", secure=True)),
    "too many attempts": (429, lambda **_: too_many_attempts()),
    "API settings": (200, lambda alice, **_: alice.get("/settings/api", secure=True)),
    "Create Key": (200, lambda alice, **_: alice.get("/settings/api/keys/new", secure=True)),
    "Data settings": (200, lambda alice, **_: alice.get("/settings/data", secure=True)),
    "key not found": (404, lambda alice, **_: alice.get("/settings/api/keys/0/rename", secure=True)),
    "admin, signed out": (302, lambda **_: Client().get("/admin/", secure=True)),
    "admin sign-in": (200, lambda **_: Client().get("/admin/login/", secure=True)),
    "admin": (200, lambda operator, **_: operator.get("/admin/", secure=True)),
    "admin, keys": (200, lambda operator, **_: operator.get("/admin/finta_keys/apikey/", secure=True)),
    "admin, one key": (
        200,
        lambda operator, key, **_: operator.get(f"/admin/finta_keys/apikey/{key[0].pk}/change/", secure=True),
    ),
    "admin, rotate": (
        200,
        lambda operator, key, **_: operator.get(f"/admin/finta_keys/apikey/{key[0].pk}/rotate/", secure=True),
    ),
    "admin's static file": (200, lambda **_: Client().get("/static/admin/css/base.css", secure=True)),
    "static file": (200, lambda **_: Client().get("/static/finta_keys/style.css", secure=True)),
    "no such static file": (404, lambda **_: Client().get("/static/nothing.css", secure=True)),
    "favicon.ico": (301, lambda **_: Client().get("/favicon.ico", secure=True)),
    "API 200": (200, lambda key, **_: ApiClient(key[1]).get("/v2/health", secure=True)),
    "API 401": (401, lambda **_: ApiClient().get("/v2/me", secure=True)),
    "API 403": (403, lambda key, **_: ApiClient(key[1]).get("/v2/me", secure=True)),
    "API 404": (404, lambda key, **_: ApiClient(key[1]).get("/v2/nowhere", secure=True)),
    "API, bad host": (400, lambda **_: ApiClient().get("/v2/me", HTTP_HOST="evil.example", secure=True)),
    "404": (404, lambda **_: Client().get("/nothing-here", secure=True)),
    "no token": (403, lambda **_: without_token("/login", username="x", password="y")),
    "bad host": (400, lambda **_: Client().get("/login", HTTP_HOST="evil.example", secure=True)),
    "too many fields": (400, lambda **_: Client().post("/login", {"a": ["x"] * 20_001}, secure=True)),
    "500": (500, lambda alice, **_: failing(alice)),
    "405": (405, lambda **_: Client().get("/logout", secure=True)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_response_has_security_headers(kind, alice, alices_browser, operators_browser, key):
    if kind == "API 403":
        type(alice).objects.update(storage_mode=False)
    status, ask = KINDS[kind]
    response = ask(alice=alices_browser, operator=operators_browser, key=key)
    read(response)
    assert response.status_code == status
    assert {name: response.get(name) for name in EXPECTED} == EXPECTED
    for feature in ("camera", "microphone", "geolocation", "payment", "usb"):
        assert f"{feature}=()" in response["Permissions-Policy"].split(", ")
    assert "clipboard-write" not in response["Permissions-Policy"]  # for the Copy button
    assert "Access-Control-Allow-Origin" not in response


def test_middleware_order():
    log, first = django_settings.MIDDLEWARE[:2]
    assert log.endswith(RequestLogMiddleware.__name__)
    assert first.endswith(SecurityHeadersMiddleware.__name__)


def test_header_of_view_is_kept():
    def view(request):
        return HttpResponse(headers={"Cross-Origin-Resource-Policy": "cross-origin"})

    response = SecurityHeadersMiddleware(view)(RequestFactory().get("/"))
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response["Content-Security-Policy"] == EXPECTED["Content-Security-Policy"]


def test_hsts_needs_tls(db):
    assert "Strict-Transport-Security" not in Client().get("/login")


def test_only_debug_pages_lack_policy(settings, alices_browser):
    settings.DEBUG = True
    assert "Content-Security-Policy" not in alices_browser.get("/nothing-here")
    assert "Content-Security-Policy" not in failing(alices_browser)
    ours = alices_browser.get("/settings/api/keys/0/rename")
    assert ours.status_code == 404
    assert ours["Content-Security-Policy"] == EXPECTED["Content-Security-Policy"]
    assert "Content-Security-Policy" in without_token("/login")
    assert "Content-Security-Policy" in ApiClient().get("/v2/nowhere")


def test_cookie_flags(alice):
    browser = Client()
    browser.post("/login", {"username": alice.email, "password": PASSWORD})
    browser.get("/settings/data")  # its forms need a CSRF token
    for name in ("csrftoken", "sessionid"):
        cookie = browser.cookies[name]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")


# Templates

INLINE = {
    "a style": r"<style\b|\sstyle\s*=",
    "a script": r"<script\b(?![^>]*\ssrc=)|javascript:",
    "an event handler": r"<[^>]*\son\w+\s*=",
    "an address of another host": r"""["'(=]\s*(https?:)?//|<base\b""",
}


def problems(text):
    return [name for name, pattern in INLINE.items() if re.search(pattern, text, re.IGNORECASE)]


@pytest.mark.parametrize("template", OWN_TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_templates_follow_policy(template):
    assert problems(template.read_text()) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<p style="color: red">', "a style"),
        ("<style>", "a style"),
        ("<script>alert(1)</script>", "a script"),
        ('<script type="module">', "a script"),
        ('<a href="javascript:x()">', "a script"),
        ("<body\n  onload=x()>", "an event handler"),
        ('<img src="//evil.example/x">', "an address of another host"),
        ("<link href='https://evil.example/x.css'>", "an address of another host"),
        ("<base href=/>", "an address of another host"),
    ],
)
def test_policy_violations_are_detected(text, problem):
    assert problems(text) == [problem]


def test_template_search_finds_templates():
    assert len(OWN_TEMPLATES) > 30


# The icon


def test_favicon_redirects_and_is_cached(client):
    response = client.get("/favicon.ico")
    assert response.status_code == 301
    assert response["Cache-Control"] == "public, max-age=86400"
    assert "Cookie" not in response.get("Vary", "")
    icon = client.get(response.url)
    assert icon["Content-Type"] == "image/svg+xml"
    assert len(read(icon)) < 700
