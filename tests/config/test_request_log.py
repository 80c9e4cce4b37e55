"""The request log, request ids, and log settings."""

from __future__ import annotations

import json
import re
from unittest import mock

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from gunicorn.config import Config
from gunicorn.http.wsgi import Response as GunicornResponse

from config.request_log import RequestLogMiddleware
from tests.config.log_helpers import ID, SECRET
from tests.conftest import ApiClient
from tests.test_settings import GOOD, start

# Request lines


def test_api_request_logs_key_and_owner(restricted, log):
    restricted.client.get("/v2/accounts", {"status": "all"})
    (line,) = log.lines("finta.request")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert re.fullmatch(r"GET /v2/accounts 200 in \d+\.\d ms", line.pop("message"))
    assert ID.fullmatch(line.pop("request_id"))
    assert 0 < line.pop("ms") < 60_000
    assert line == {
        "level": "INFO",
        "logger": "finta.request",
        "method": "GET",
        "path": "/v2/accounts",
        "status": 200,
        "key_id": str(restricted.key.pk),
        "owner_id": str(restricted.key.owner_id),
        "user_id": None,
    }


def test_rejected_request_logs_key(restricted, log):
    restricted.client.get("/v2/accounts/x")
    assert (log.request()["status"], log.request()["key_id"]) == (404, str(restricted.key.pk))


@pytest.mark.parametrize("presented", [None, SECRET, "finta_x"])
def test_invalid_key_logs_no_owner(db, presented, log):
    ApiClient(presented).get("/v2/me")
    line = log.request()
    assert (line["status"], line["key_id"], line["owner_id"], line["user_id"]) == (401, None, None, None)


def test_page_logs_user(alice, alices_browser, log):
    alices_browser.get("/settings/api")
    line = log.request()
    assert (line["user_id"], line["key_id"]) == (str(alice.pk), None)


def test_logging_does_not_load_user(alices_browser, log, django_assert_num_queries):
    with django_assert_num_queries(0):
        alices_browser.get("/favicon.ico")
    assert log.request()["user_id"] is None


def test_logging_makes_no_query(restricted, log, django_assert_num_queries):
    restricted.client.get("/v2/me")  # saves the first use
    with django_assert_num_queries(1):
        restricted.client.get("/v2/me")
    assert log.request()["key_id"]


def test_line_break_in_path_starts_no_line(db, log):
    Client().get("/nothing%0A2026-01-01T00:00:00.000Z INFO finta.request: forged%E2%80%A8x")
    assert log.request()["path"].startswith("/nothing\n2026")  # JSON escapes it
    assert "\n2026-01-01" not in log.text()
    assert "\u2028" not in log.text()


def test_unhandled_error_is_logged(log):
    def fails(request):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        RequestLogMiddleware(fails)(RequestFactory().get("/x"))
    assert (log.request()["status"], log.request()["path"]) == (500, "/x")


# Request ids


ANSWERS = {
    "page": (200, lambda alice, **_: alice.get("/settings/api")),
    "signed out": (302, lambda **_: Client().get("/settings/api")),
    "404": (404, lambda **_: Client().get("/nothing-here")),
    "405": (405, lambda **_: Client().get("/logout")),
    "bad host": (400, lambda **_: Client().get("/login", HTTP_HOST="evil.example")),
    "no token": (403, lambda **_: Client(enforce_csrf_checks=True).post("/login")),
    "static file": (200, lambda **_: Client().get("/static/finta_keys/style.css")),
    "API": (200, lambda key, **_: key.get("/v2/me")),
    "API, 401": (401, lambda **_: ApiClient().get("/v2/me")),
    "API, 404": (404, lambda key, **_: key.get("/v2/nowhere")),
    "API, bad host": (400, lambda key, **_: key.get("/v2/me", HTTP_HOST="evil.example")),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_response_has_request_id(kind, alices_browser, restricted, log):
    status, ask = ANSWERS[kind]
    response = ask(alice=alices_browser, key=restricted.client)
    b"".join(response)  # Reading all of it closes the static file.
    assert response.status_code == status
    assert ID.fullmatch(response["X-Request-Id"])
    assert log.request()["request_id"] == response["X-Request-Id"]


def test_request_ids_differ(db):
    client = Client()
    assert len({client.get("/v2/health")["X-Request-Id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("name", ["X-Request-Id", "Request-Id", "X-Correlation-Id", "Traceparent"])
def test_client_request_id_is_ignored(db, name, log):
    forged = "0123456789abcdef" * 2
    response = Client().get("/v2/health", headers={name: forged})
    assert response["X-Request-Id"] != forged
    assert forged not in log.everything()


def test_request_id_of_view_is_replaced():
    response = RequestLogMiddleware(lambda _: HttpResponse(headers={"X-Request-Id": "x"}))(RequestFactory().get("/"))
    assert ID.fullmatch(response["X-Request-Id"])


def test_error_lines_have_request_id(restricted, log, monkeypatch):
    monkeypatch.setattr("accounts_app.api.views.MeView.get", lambda *_: 1 / 0)
    response = restricted.client.get("/v2/me")
    assert response.status_code == 500
    lines = log.lines()
    assert {line["logger"] for line in lines} >= {"accounts_app.api.errors", "django.request", "finta.request"}
    assert {line["request_id"] for line in lines} == {response["X-Request-Id"]}
    assert "ZeroDivisionError" in log.lines("accounts_app.api.errors")[0]["exception"]
    assert f"[{response['X-Request-Id']}]" in log.text()


# Configuration


@pytest.mark.slow
def test_production_logs_json_to_stderr(tmp_path):
    code = (
        "import django; django.setup(); import logging;logging.getLogger('django.x').warning('%s', 'finta_' + 'a' * 54)"
    )
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    line = json.loads(result.stderr)
    assert (line["logger"], line["level"], line["message"]) == ("django.x", "WARNING", "finta_aaaa…aaaa")
    assert result.stdout == ""


@pytest.mark.slow
def test_debug_logs_plain_lines(tmp_path):
    code = "import django; django.setup(); import logging; logging.getLogger('x').info('hello')"
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", DEBUG="true", **GOOD)
    assert re.fullmatch(r"\S+Z INFO x: hello\n", result.stderr)


@pytest.mark.slow
def test_log_level_is_configurable(tmp_path):
    code = "import django; django.setup(); import logging; [logging.getLogger(n).info(n) for n in ('x', 'django')]"
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "warning", **GOOD}
    assert start(tmp_path, ["-c", code], **environment).stderr == ""


def test_invalid_log_level_stops_start(tmp_path):
    result = start(tmp_path, ["manage.py", "check"], LOG_LEVEL="loud", **GOOD)
    assert result.returncode != 0
    assert result.stderr.strip() == "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."


def test_head_request_under_gunicorn_logs_no_warning(log):
    request = mock.Mock(method="HEAD", version=(1, 1))
    response = GunicornResponse(request, mock.Mock(), Config())
    response.start_response("200 OK", [("Content-Length", "2")])
    response.write(b"{}")
    assert response._omits_body_warned  # gunicorn has removed the body
    assert log.lines("gunicorn.http.wsgi") == []
