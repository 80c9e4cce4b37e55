"""The error pages."""

import re
import runpy
from io import BytesIO
from types import ModuleType

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from accounts_app.models import User
from tests.accounts_app.sign_in.helpers import (
    ALICE,
    SIGN_IN_PAGES,
)


def test_404_page(client):
    response = client.get("/nothing-here")
    assert response.status_code == 404
    assert "There is no page at this address" in response.content.decode()


def test_500_page_has_no_details(alices_browser, monkeypatch):
    monkeypatch.setattr("accounts_app.views.DataSettingsView.get_context_data", lambda self, **_: 1 / 0)
    alices_browser.raise_request_exception = False
    response = alices_browser.get("/settings/data")
    assert response.status_code == 500
    assert "Something went wrong" in response.content.decode()
    assert "ZeroDivision" not in response.content.decode()


@pytest.mark.parametrize("path", ["/nothing-here", "/static/nothing.css"])
def test_403_page_links_to_sign_in(client, alices_browser, path):
    signed_out = client.get(path).content.decode()
    assert "/settings/" not in signed_out
    assert 'href="/login"' in signed_out
    assert 'href="/settings/api"' in alices_browser.get(path).content.decode()


def test_csrf_failure_page(alice):
    browser = Client(enforce_csrf_checks=True)
    assert_error_page(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/login")
    browser.force_login(alice)
    assert_error_page(browser.post("/settings/data/switch-on"), 403, "Nothing was changed", "/settings/api")
    assert not User.objects.get(pk=alice.pk).storage_mode


def test_400_page(client):
    response = client.get("/login", HTTP_HOST="evil.example")
    assert_error_page(response, 400, "could not read this request", "/settings/api")


@pytest.mark.parametrize("path", [*SIGN_IN_PAGES, "/password/reset"])
@pytest.mark.parametrize("kind", ["a field", "a file", "a field of a form with files"])
def test_large_body_is_not_read(db, path, kind, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    large = b"a" * 2000
    sent = {
        "a field": {"data": b"username=" + large, "content_type": "application/x-www-form-urlencoded"},
        "a file": {"data": {"username": ALICE, "file": BytesIO(large)}},
        "a field of a form with files": {"data": {"username": large.decode()}},
    }[kind]
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.get(path)
    assert_error_page(browser.post(path, **sent), 400, "could not read this request", "/settings/api")


def test_files_are_discarded(db, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 1000)})
    assert request.POST["username"] == ALICE
    assert not request.FILES
    assert settings.FILE_UPLOAD_HANDLERS == ["config.upload_handlers.DiscardFiles"]


def test_files_are_discarded_without_size_limit(db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    request = RequestFactory().post("/login", {"username": ALICE, "file": BytesIO(b"a" * 5_000_000)})
    assert request.POST["username"] == ALICE
    assert not request.FILES


def test_403_page(alices_browser, alice):
    type(alice).objects.update(is_staff=True)
    response = alices_browser.get("/admin/accounts_app/user/")
    assert_error_page(response, 403, "Nothing was changed", "/settings/api")


def assert_error_page(response, status, sentence, link):
    page = response.content.decode()
    assert response.status_code == status
    assert sentence in page
    assert f'href="{link}"' in page.split("<main")[1]


def test_500_page_renders_without_context():
    """It needs no context, database or request, and has no tag that can fail."""
    page = render_to_string("500.html")
    assert "check API settings to see what was saved" in page
    assert 'href="/settings/api"' in page
    assert 'href="/static/finta_keys/style.css"' in page


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "429", "500"])
def test_error_pages_have_titles(status):
    page = render_to_string(f"{status}.html", {"wait": "1 minute"})
    title = re.search("<title>(.+) · Finta</title>", page).group(1)
    assert f'<h1 id="finta-keys-title">{title}</h1>' in page
    assert page.count('<section class="finta-panel" aria-labelledby="finta-keys-title">') == 1


def test_wrong_address_shows_own_page_in_debug_mode(client, settings):
    settings.DEBUG = True
    settings.ROOT_URLCONF = ModuleType("urls")
    vars(settings.ROOT_URLCONF).update(runpy.run_path("config/urls.py"))
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert "URLconf" not in response.content.decode()
