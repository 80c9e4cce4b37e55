"""Requests by address, and TLS proxies that are not declared."""

import logging

import pytest
from django.test import Client

from tests.conftest import ApiClient
from tests.factories import PASSWORD

HINT = "TRUSTED_PROXY_COUNT"


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[::1]", "internal_name", "", "a b", "x" * 300])
def test_health_ignores_host(db, host, caplog, settings):
    settings.DEBUG = False
    response = ApiClient().get("/v2/health", HTTP_HOST=host)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("path", ["/v2/me", "/v2/health/", "/v2/healthy", "/login"])
def test_other_paths_check_host(db, path):
    assert Client().get(path, HTTP_HOST="10.0.0.7").status_code == 400


def sign_in(browser, alice, **headers):
    token = browser.get("/login").cookies["csrftoken"].value
    data = {"username": alice.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
    return browser.post("/login", data, **headers)


def test_undeclared_tls_proxy_is_named(alice, caplog):
    response = sign_in(Client(enforce_csrf_checks=True), alice, HTTP_ORIGIN="https://testserver")
    assert response.status_code == 403
    (message,) = [record.getMessage() for record in caplog.records if record.name == "config.error_views"]
    assert HINT in message
    page = response.content.decode()
    assert "not set up for HTTPS" in page
    assert "cookies" not in page


@pytest.mark.parametrize(
    "headers", [{"HTTP_ORIGIN": "https://evil.example"}, {"HTTP_ORIGIN": "null"}, {"HTTP_COOKIE": "csrftoken=x"}]
)
def test_other_csrf_failures_name_no_proxy(alice, caplog, headers):
    response = sign_in(Client(enforce_csrf_checks=True), alice, **headers)
    assert response.status_code == 403
    assert HINT not in caplog.text
    assert "cookies" in response.content.decode()
