"""Redaction of log lines."""

from __future__ import annotations

import io
import json
import logging

import pytest
from django.test import Client

from config.log_formatters import JsonFormatter, LineFormatter
from finta_keys.redaction import redact
from tests.config.log_helpers import HINT, ID, PEPPER, SECRET, assert_nowhere, traces
from tests.conftest import ApiClient


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {SECRET}.", f"key {HINT}."),
        (f"{SECRET} {SECRET}", f"{HINT} {HINT}"),
        (f"x{SECRET}_", f"x{HINT}_"),
        (f"{SECRET}0", "finta_…"),  # longer than a secret, which may be its beginning
        (SECRET[:-6], "finta_…"),  # without its checksum
        (f"'{SECRET[:30]}… <trimmed", "'finta_…… <trimmed"),
        (f"Authorization: Bearer {SECRET}", f"Authorization: Bearer {HINT}"),
        ("Authorization: Bearer abc.DEF-ghi_jkl~m+/==", "Authorization: Bearer …"),
        ("'authorization': 'bearer\\tabcdefghijkl'", "'authorization': 'bearer\\t…'"),
        (f"pepper {PEPPER}", "pepper …"),
        (f"API_KEY_PEPPERS={'AB' * 32},{'cd' * 32}", "API_KEY_PEPPERS=…,…"),
        (repr({"pepper": bytes.fromhex(PEPPER)}), "{'pepper': b'…'}"),
        (repr(repr(bytes.fromhex(PEPPER))), "\"b'…'\""),
        ("postgres://finta:s3cret@db:5432/finta", "postgres://finta:…@db:5432/finta"),
        ("redis://:s3cret@cache:6379/0", "redis://:…@cache:6379/0"),
        (f"/password/reset/MQ/d0c3bz-{'0f' * 16}", "/password/reset/MQ/…"),
        ('"GET /v2/accounts?x=y&z HTTP/1.1" 200', '"GET /v2/accounts?… HTTP/1.1" 200'),
    ],
)
def test_redact_removes_secrets(text, expected):
    assert redact(text) == expected
    assert redact(expected) == expected  # redacting twice changes nothing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "from finta_keys.models import ApiKey",
        "finta_keys_keyaccountscope",
        HINT,
        "WWW-Authenticate: Bearer",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "0123456789abcdef0123456789abcdef",
        "http://127.0.0.1:8000/settings/api",
        "GET /login 200 in 3.1 ms",
    ],
)
def test_redact_keeps_other_text(text):
    assert redact(text) == text


@pytest.mark.parametrize("peppers", [[], ["zz" * 32], None, [1], "1"])
def test_redact_works_with_invalid_peppers(settings, peppers, log):
    settings.FINTA_KEYS_PEPPERS = peppers
    logging.getLogger("x").warning("written, without %s", SECRET)
    assert f"written, without {HINT}" in log.text()


class Unspeakable:
    def __str__(self):
        raise ValueError(SECRET)

    __repr__ = __str__


class Failed(Exception):
    def __str__(self):
        return f"failed at {SECRET}"


def raised():
    try:
        raise Failed
    except Failed as error:
        return error


LOGGED = {
    "the message": lambda logger: logger.error(SECRET),
    "an argument": lambda logger: logger.error("with %s", SECRET),
    "an object's repr": lambda logger: logger.error("with %r", {"secret": [SECRET]}),
    "bytes": lambda logger: logger.error("with %r", SECRET.encode()),
    "a named argument": lambda logger: logger.error("with %(secret)s", {"secret": SECRET}),
    "a field": lambda logger: logger.error("with", extra={"secret": SECRET}),
    "the name of a field": lambda logger: logger.error("with", extra={SECRET: 1}),
    "the name of the logger": lambda logger: logger.getChild(SECRET).error("with"),
    "an exception": lambda logger: logger.error("with", exc_info=raised()),
    "the stack": lambda logger: (lambda finta: logger.error("with", stack_info=True))(SECRET),
    "too many arguments": lambda logger: logger.error("with %s", SECRET, SECRET),
    "too few arguments": lambda logger: logger.error("with %s %s", SECRET),
    "an argument of the wrong type": lambda logger: logger.error("with %d", SECRET),
    "an argument that cannot be shown": lambda logger: logger.error("with %s", Unspeakable()),
    "a message that cannot be shown": lambda logger: logger.error(Unspeakable()),
}


@pytest.mark.parametrize("where", LOGGED)
@pytest.mark.parametrize("formatter", [LineFormatter, JsonFormatter])
def test_logged_secret_is_redacted(where, formatter, capsys):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    logger = logging.Logger("x")  # without parent loggers
    logger.manager = logging.Manager(logger)
    logger.addHandler(handler)
    LOGGED[where](logger)
    printed = capsys.readouterr()  # logging reports its own failures there
    assert stream.getvalue().strip()
    assert_nowhere(stream.getvalue() + printed.out + printed.err, *traces(SECRET))
    assert printed.err == ""
    if formatter is JsonFormatter:
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["level"] == "ERROR"


def test_traceback_stays_on_one_json_line(log):
    logging.getLogger("x").error("two\nlines", exc_info=raised(), stack_info=True)
    (line,) = log.lines("x")
    assert line["message"] == "two\nlines"
    assert line["exception"].endswith(f"Failed: failed at {HINT}")
    assert line["stack"].startswith("Stack (most recent call last)")
    assert line["request_id"] is None or ID.fullmatch(line["request_id"])


def test_runserver_lines_have_no_query(log):
    arguments = (f"GET /settings/api?search={SECRET[:20]}&x=typed HTTP/1.1", "500", "145")
    logging.getLogger("django.server").error('"%s" %s %s', *arguments, extra={"status_code": 500})
    assert "GET /settings/api?… HTTP/1.1" in log.text()
    assert_nowhere(log.everything(), "typed", SECRET[:20])


def test_runserver_lines_are_not_duplicated(log):
    logging.getLogger("django.server").info('"%s" %s %s', "GET /x HTTP/1.1", "200", "5")
    assert log.text() == ""


def test_query_parameters_are_not_logged(restricted, log, settings):
    settings.DEBUG = True
    restricted.client.get("/v2/me")
    assert log.request()["status"] == 200
    assert not log.lines("django.db.backends")


@pytest.mark.thorough
@pytest.mark.rule("K2")
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "OPTIONS"])
def test_sent_secret_is_never_logged(restricted, alices_browser, log, method):
    """Valid and mistyped secrets in URLs, headers and bodies, to pages and to the API."""
    for secret in (str(restricted.secret), SECRET, SECRET[:-1]):
        browser = {"headers": {"authorization": f"Bearer {secret}", "x-api-key": secret, "referer": f"/?key={secret}"}}
        body = json.dumps({secret: secret})
        for path in ("/v2/accounts", "/v2/", "/settings/api/keys/", "/accounts/", "/", "/static/"):
            for client in (alices_browser, ApiClient(secret), Client(raise_request_exception=False)):
                address = f"{path}{secret}/rename?cursor={secret}&search={secret}"
                client.generic(method, address, body, content_type="application/json", **browser)
        assert_nowhere(log.everything(), *traces(secret))
    assert len(log.lines("finta.request")) == 3 * 6 * 3
