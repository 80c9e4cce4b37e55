"""The request log, request ids, and redaction of logs and error reports."""

from __future__ import annotations

import io
import json
import logging
import re
from contextlib import suppress
from functools import wraps
from types import SimpleNamespace
from urllib.parse import quote

import django
import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLResolver, get_resolver
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.log import RequireDebugFalse

from config.error_reports import RedactedRepr, RedactingAdminEmailHandler
from config.log_formatters import JsonFormatter, LineFormatter
from config.request_log import RequestLogMiddleware
from finta_keys import secret as format_of_secrets
from finta_keys.redaction import redact
from tests.conftest import ApiClient
from tests.factories import PASSWORD, UserFactory
from tests.finta_keys.pages import hidden_fields, url
from tests.test_settings import GOOD, start

ID = re.compile("[0-9a-f]{32}")
# Fixed, because test ids contain it.
SECRET = "finta_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0sa1ru"
HINT = "finta_0123…a1ru"
PEPPER = "11" * 32  # of tests/settings.py


@pytest.fixture
def log(settings):
    """Everything that is logged, in both formats and by mail, with the production loggers."""
    operator = "operator@example.com"
    settings.ADMINS = [("Operator", operator)] if django.VERSION < (6, 0) else [operator]
    machine, person = (logging.StreamHandler(io.StringIO()) for _ in range(2))
    machine.setFormatter(JsonFormatter())
    person.setFormatter(LineFormatter())
    by_mail = RedactingAdminEmailHandler(include_html=True)
    by_mail.setLevel(logging.ERROR)
    by_mail.addFilter(RequireDebugFalse())
    by_mail.setFormatter(LineFormatter())
    root, handlers = logging.getLogger(), (machine, person, by_mail)
    level = root.level
    root.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    yield Log(machine.stream, person.stream)
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


class Log:
    def __init__(self, machine, person):
        self._machine, self._person = machine, person

    def lines(self, *loggers):
        matches = [json.loads(line) for line in self._machine.getvalue().splitlines()]
        return [line for line in matches if not loggers or line["logger"] in loggers]

    def request(self):
        """The fields of the last request."""
        return self.lines("finta.request")[-1]

    def text(self):
        return self._person.getvalue()

    def everything(self):
        mails = [
            part
            for message in mail.outbox
            for part in (message.subject, message.body, *(a[0] for a in message.alternatives))
        ]
        return "\n".join((self._machine.getvalue(), self._person.getvalue(), *mails))


def traces(secret):
    """Return text that must not appear: parts of the secret, its digest, the pepper."""
    digest = format_of_secrets.digest(secret, bytes.fromhex(PEPPER)).hex()
    return [*(str(secret[begin : begin + 12]) for begin in (10, 22, 34)), digest, PEPPER]


def assert_nowhere(text, *forbidden):
    # A plain "in" would print a megabyte on failure.
    matches = [word for word in forbidden if word in text]
    assert not matches, [text[max(0, text.index(row) - 200) :][:300] for row in matches]


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


# Redaction


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


# Reports of errors


def routes(entries, prefix="/"):
    """Return the URL pattern of every view by a URL that leads to it."""
    matches = {}
    for entry in entries:
        route = prefix + str(entry.pattern)
        below = routes(entry.url_patterns, route) if isinstance(entry, URLResolver) else {address(route): entry}
        matches = below | matches  # The first match wins.
    return matches


def address(route):
    """Return a URL for a route, with invented values for its parameters."""
    for pattern, made_up in ((r"\^\(\?:/\|\\Z\)", "/nowhere"), (r"\^?\(\?P<app_label>.*\)", "finta_keys")):
        route = re.sub(pattern, made_up, route)
    route = re.sub(r"\(\?P<\w+>\.\*\)", "nowhere", route).replace("$", "")
    return re.sub(r"<int:\w+>", "1", re.sub(r"<(str:|path:)?\w+>", "x", route))


def failing(view):
    """Return a view that calls ``view`` and then raises with everything it knows in the message."""

    @wraps(view)
    def fails(request, *args, **kwargs):
        in_bytes = request.body  # noqa: F841  # for the report
        with suppress(Exception):
            view(request, *args, **kwargs)
        presented = request.META["HTTP_AUTHORIZATION"]
        nested = {"headers": [(b"authorization", b" " * 50 + presented.encode())], "long": "x" * 4000 + presented}  # noqa: F841
        raise RuntimeError(f"{presented} failed under {PEPPER} at {request.get_full_path()}")

    return fails


@pytest.mark.rule("K2")
@pytest.mark.parametrize(("method", "debug"), [("get", False), ("post", True)])
@pytest.mark.slow
def test_report_of_failing_view_has_no_secret(restricted, log, settings, monkeypatch, method, debug):
    settings.DEBUG = debug
    operator = UserFactory(is_staff=True, is_superuser=True)
    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    matches = routes(get_resolver().url_patterns)
    assert len(matches) > 50
    secret = restricted.secret
    for path, entry in matches.items():
        with monkeypatch.context() as patched:
            patched.setattr(entry, "callback", failing(entry.callback))
            response = getattr(browser, method)(
                f"{path}?search={secret}",
                {"x": str(secret), "password": PASSWORD} if method == "post" else None,
                headers={"authorization": f"Bearer {secret}"},
            )
            assert response.status_code == 500, path
        if method == "post":
            browser.force_login(operator)  # one of the views signs out
        assert_nowhere(response.content.decode(), *traces(secret), *([PASSWORD] if method == "post" else []))
        assert ID.fullmatch(response["X-Request-Id"])
        if debug and not path.startswith("/v2"):
            assert "RuntimeError at" in response.content.decode(), path
    assert len(mail.outbox) == (0 if debug else len(matches))
    assert_nowhere(log.everything(), *traces(secret), PASSWORD)
    assert format_of_secrets.hint(secret) in log.everything()  # unredacted, it would be there


class FailOnce:
    """Makes the statement with this number fail."""

    def __init__(self, number):
        self.left = number

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if self.left == -1:
            raise DatabaseError("The database is gone.")
        return execute(sql, params, many, context)


def fail_everywhere(send):
    """Call ``send`` until no statement fails, each time failing a later one.

    Return the responses.
    """
    responses = []
    for number in range(80):
        failure = FailOnce(number)
        with connection.execute_wrapper(failure):
            responses.append(send())
        if failure.left >= 0:
            return responses
    raise AssertionError("It never came to an end.")


@pytest.fixture
def created_secrets(monkeypatch):
    """Collects every new secret."""
    secrets = []
    generate = format_of_secrets.generate

    def remember(*prefix):
        secrets.append(generate(*prefix))
        return secrets[-1]

    monkeypatch.setattr("finta_keys.secret.generate", remember)
    return secrets


@pytest.mark.rule("K2")
@pytest.mark.parametrize("debug", [False, True])
def test_reset_token_is_never_logged(alice, log, settings, monkeypatch, debug):
    settings.DEBUG = debug
    uid, token = urlsafe_base64_encode(force_bytes(alice.pk)), default_token_generator.make_token(alice)
    browser = Client(raise_request_exception=False)
    browser.get(f"/password/reset/{uid}/{token}")
    assert log.request()["status"] == 302
    monkeypatch.setattr("accounts_app.sign_in.views.SetPasswordView.dispatch", lambda *_, **__: 1 / 0)
    page = browser.get(f"/password/reset/{uid}/{token}")
    assert page.status_code == 500
    assert_nowhere(log.everything() + page.content.decode(), token)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_report_of_failing_creation_has_no_secret(
    verb, alice, alices_browser, restricted, created_secrets, log, settings, debug
):
    settings.DEBUG = debug
    alices_browser.raise_request_exception = False
    path = url("create") if verb == "create" else url("rotate", restricted.key)
    data = {"name": "Laptop", "share_all_accounts": "on"} if verb == "create" else {}
    form = SimpleNamespace(fields={})

    def send():
        return alices_browser.post(path, {**form.fields, **data})

    form.fields = hidden_fields(alices_browser.get(path))
    *failed, last = fail_everywhere(send)
    failed = [response for response in failed if response.status_code == 500]
    assert len(failed) > 3
    assert last.status_code in (200, 409)  # now, if it was not done before
    assert len(created_secrets) > 1
    for secret in created_secrets:
        assert_nowhere(log.everything(), *traces(secret))
        for response in failed:
            assert_nowhere(response.content.decode(), *traces(secret))
    assert debug == ("DatabaseError at" in failed[0].content.decode())


@pytest.mark.rule("K2")
@pytest.mark.parametrize("debug", [False, True])
def test_report_of_failing_lookup_has_no_secret(restricted, log, settings, debug, monkeypatch):
    settings.DEBUG = debug
    # lets Django report the error
    monkeypatch.setattr("accounts_app.api.errors._status", lambda _: 1 / 0)
    monkeypatch.setattr("config.middleware.is_api", lambda _: False)
    responses = fail_everywhere(lambda: restricted.client.post("/v2/accounts", {"name": str(restricted.secret)}))
    responses += fail_everywhere(lambda: restricted.client.get("/v2/accounts"))
    failed = [response for response in responses if response.status_code == 500]
    assert len(failed) > 1
    for response in failed:
        assert_nowhere(response.content.decode(), *traces(restricted.secret))
    assert bool(mail.outbox) != debug
    assert_nowhere(log.everything(), *traces(restricted.secret))


NEW = "a new, quite long password"


def sign_in(user):
    return lambda: Client(raise_request_exception=False).post("/login", {"username": user.email, "password": PASSWORD})


def change(user):
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return lambda: browser.post("/password/change", data)


def reset(user):
    browser = Client(raise_request_exception=False)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    page = browser.get(f"/password/reset/{uid}/{default_token_generator.make_token(user)}")
    return lambda: browser.post(page["Location"], {"new_password1": NEW, "new_password2": NEW})


def add_in_the_admin(user):
    browser = Client(raise_request_exception=False)
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    data = {"email": "new@example.com", "password1": NEW, "password2": NEW, "usable_password": "true"}
    return lambda: browser.post("/admin/accounts_app/user/add/", data)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("form", [sign_in, change, reset, add_in_the_admin])
def test_report_of_failing_form_has_no_password(form, alice, log, settings, debug):
    send = form(alice)
    settings.DEBUG = debug
    failed = [response for response in fail_everywhere(send) if response.status_code == 500]
    assert failed
    for response in failed:
        assert_nowhere(response.content.decode(), PASSWORD, NEW, quote(PASSWORD))
    assert bool(mail.outbox) != debug
    assert_nowhere(log.everything(), PASSWORD, NEW)


def test_report_before_url_resolution_has_no_password(alice, log, settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", lambda *_: 1 / 0)
    response = sign_in(alice)()
    assert "ZeroDivisionError at" in response.content.decode()
    assert_nowhere(response.content.decode() + log.everything(), PASSWORD)


def test_report_settings_have_no_password(db, settings, log, monkeypatch):
    settings.DEBUG = True
    password = "hunter" + "2" * 3  # split, because a report quotes the lines around the error
    settings.RATE_LIMIT_STORAGE = f"redis://finta:{password}@cache:6379"
    monkeypatch.setattr("accounts_app.views.AccountsView.dispatch", lambda *_: 1 / 0)
    report = Client(raise_request_exception=False).get("/accounts").content.decode()
    assert "RATE_LIMIT_STORAGE" in report
    assert_nowhere(report, password, PEPPER, settings.SECRET_KEY)


def test_redact_is_linear():
    """Redaction takes linear time, even if a pattern seems to begin many times."""
    for text in ("a.", "a:", "a://", "A ?", "bearer ", "finta_", "abcdef0123 "):
        assert len(redact(text * 200_000)) > 200_000


def test_repr_is_redacted_before_truncation():
    assert SECRET[6:20] not in repr(RedactedRepr({"body": b"x" * 70 + SECRET.encode()}))
    assert repr(RedactedRepr(["plain", 1])) == "['plain', 1]"


# Configuration


def test_production_logs_json_to_stderr(tmp_path):
    code = (
        "import django; django.setup(); import logging;logging.getLogger('django.x').warning('%s', 'finta_' + 'a' * 54)"
    )
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    line = json.loads(result.stderr)
    assert (line["logger"], line["level"], line["message"]) == ("django.x", "WARNING", "finta_aaaa…aaaa")
    assert result.stdout == ""


def test_debug_logs_plain_lines(tmp_path):
    code = "import django; django.setup(); import logging; logging.getLogger('x').info('hello')"
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", DEBUG="true", **GOOD)
    assert re.fullmatch(r"\S+Z INFO x: hello\n", result.stderr)


def test_log_level_is_configurable(tmp_path):
    code = "import django; django.setup(); import logging; [logging.getLogger(n).info(n) for n in ('x', 'django')]"
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "warning", **GOOD}
    assert start(tmp_path, ["-c", code], **environment).stderr == ""


def test_invalid_log_level_stops_start(tmp_path):
    result = start(tmp_path, ["manage.py", "check"], LOG_LEVEL="loud", **GOOD)
    assert result.returncode != 0
    assert result.stderr.strip() == "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."
