"""The log: a line for each request, its id in the answer, and no secret anywhere, whatever fails."""

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
SECRET = "finta_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL0sa1ru"  # fixed, as it stands in names of tests
HINT = "finta_0123…a1ru"
PEPPER = "11" * 32  # of tests/settings.py


@pytest.fixture
def log(settings):
    """All that is written, in both formats and by mail, with the loggers as they are set up in production."""
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
        found = [json.loads(line) for line in self._machine.getvalue().splitlines()]
        return [line for line in found if not loggers or line["logger"] in loggers]

    def request(self):
        """The fields of the last request."""
        return self.lines("finta.request")[-1]

    def text(self):
        return self._person.getvalue()

    def everything(self):
        mails = [part for each in mail.outbox for part in (each.subject, each.body, *(a[0] for a in each.alternatives))]
        return "\n".join((self._machine.getvalue(), self._person.getvalue(), *mails))


def traces(secret):
    """What must not be found: pieces of the secret beside its hint, its digest and the pepper."""
    digest = format_of_secrets.digest(secret, bytes.fromhex(PEPPER)).hex()
    return [*(str(secret[begin : begin + 12]) for begin in (10, 22, 34)), digest, PEPPER]


def assert_nowhere(text, *forbidden):
    # Not "in" alone: a failure would print a megabyte.
    found = [each for each in forbidden if each in text]
    assert not found, [text[max(0, text.index(each) - 200) :][:300] for each in found]


# The line


def test_a_call_with_a_key_is_one_line_with_key_and_owner(restricted, log):
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


def test_a_refused_call_still_tells_whose_key_it_was(restricted, log):
    restricted.client.get("/v2/accounts/x")
    assert (log.request()["status"], log.request()["key_id"]) == (404, str(restricted.key.pk))


@pytest.mark.parametrize("presented", [None, SECRET, "finta_x"])
def test_a_call_without_a_good_key_names_nobody(db, presented, log):
    ApiClient(presented).get("/v2/me")
    line = log.request()
    assert (line["status"], line["key_id"], line["owner_id"], line["user_id"]) == (401, None, None, None)


def test_a_page_tells_who_was_signed_in(alice, alices_browser, log):
    alices_browser.get("/settings/api")
    line = log.request()
    assert (line["user_id"], line["key_id"]) == (str(alice.pk), None)


def test_nobody_is_looked_up_for_the_log_alone(alices_browser, log, django_assert_num_queries):
    with django_assert_num_queries(0):
        alices_browser.get("/favicon.ico")
    assert log.request()["user_id"] is None


def test_a_line_costs_no_query(restricted, log, django_assert_num_queries):
    restricted.client.get("/v2/me")  # writes the first use
    with django_assert_num_queries(1):
        restricted.client.get("/v2/me")
    assert log.request()["key_id"]


def test_a_line_break_in_a_path_begins_no_line(db, log):
    Client().get("/nothing%0A2026-01-01T00:00:00.000Z INFO finta.request: forged%E2%80%A8x")
    assert log.request()["path"].startswith("/nothing\n2026")  # JSON has a way to write it
    assert "\n2026-01-01" not in log.text()
    assert "\u2028" not in log.text()


def test_an_error_that_no_other_middleware_has_made_an_answer_of_is_a_line_too(log):
    def fails(request):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        RequestLogMiddleware(fails)(RequestFactory().get("/x"))
    assert (log.request()["status"], log.request()["path"]) == (500, "/x")


# The id

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
def test_every_answer_has_an_id(kind, alices_browser, restricted, log):
    status, ask = ANSWERS[kind]
    answer = ask(alice=alices_browser, key=restricted.client)
    b"".join(answer)  # A static file is closed when it has been read to its end.
    assert answer.status_code == status
    assert ID.fullmatch(answer["X-Request-Id"])
    assert log.request()["request_id"] == answer["X-Request-Id"]


def test_two_requests_have_two_ids(db):
    client = Client()
    assert len({client.get("/v2/health")["X-Request-Id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("name", ["X-Request-Id", "Request-Id", "X-Correlation-Id", "Traceparent"])
def test_what_a_client_sends_as_an_id_is_not_taken(db, name, log):
    forged = "0123456789abcdef" * 2
    answer = Client().get("/v2/health", headers={name: forged})
    assert answer["X-Request-Id"] != forged
    assert forged not in log.everything()


def test_an_id_that_a_view_has_set_does_not_stay():
    answer = RequestLogMiddleware(lambda _: HttpResponse(headers={"X-Request-Id": "x"}))(RequestFactory().get("/"))
    assert ID.fullmatch(answer["X-Request-Id"])


def test_what_is_logged_of_an_error_has_the_id_of_its_answer(restricted, log, monkeypatch):
    monkeypatch.setattr("accounts_app.api.views.MeView.get", lambda *_: 1 / 0)
    answer = restricted.client.get("/v2/me")
    assert answer.status_code == 500
    lines = log.lines()
    assert {line["logger"] for line in lines} >= {"accounts_app.api.errors", "django.request", "finta.request"}
    assert {line["request_id"] for line in lines} == {answer["X-Request-Id"]}
    assert "ZeroDivisionError" in log.lines("accounts_app.api.errors")[0]["exception"]
    assert f"[{answer['X-Request-Id']}]" in log.text()


# What is taken out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {SECRET}.", f"key {HINT}."),
        (f"{SECRET} {SECRET}", f"{HINT} {HINT}"),
        (f"x{SECRET}_", f"x{HINT}_"),
        (f"{SECRET}0", "finta_…"),  # longer than a secret, but a secret may be its beginning
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
        ('"GET /v2/accounts?x=y&z HTTP/1.1" 200', '"GET /v2/accounts?… HTTP/1.1" 200'),
    ],
)
def test_what_must_not_be_read_is_taken_out(text, expected):
    assert redact(text) == expected
    assert redact(expected) == expected  # once more changes nothing


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
def test_all_else_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize("peppers", [[], ["zz" * 32], None, [1], "1"])
def test_bad_peppers_do_not_keep_a_line_from_being_written(settings, peppers, log):
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
def test_a_secret_in_a_call_of_the_log_is_nowhere(where, formatter, capsys):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    logger = logging.Logger("x")  # not one that others hear
    logger.manager = logging.Manager(logger)
    logger.addHandler(handler)
    LOGGED[where](logger)
    printed = capsys.readouterr()  # where the logging module itself tells of what failed in it
    assert stream.getvalue().strip()
    assert_nowhere(stream.getvalue() + printed.out + printed.err, *traces(SECRET))
    assert printed.err == ""
    if formatter is JsonFormatter:
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["level"] == "ERROR"


def test_a_record_with_an_exception_or_a_stack_is_one_object_on_one_line(log):
    logging.getLogger("x").error("two\nlines", exc_info=raised(), stack_info=True)
    (line,) = log.lines("x")
    assert line["message"] == "two\nlines"
    assert line["exception"].endswith(f"Failed: failed at {HINT}")
    assert line["stack"].startswith("Stack (most recent call last)")
    assert line["request_id"] is None or ID.fullmatch(line["request_id"])


def test_the_lines_of_runserver_have_no_query(log):
    arguments = (f"GET /settings/api?search={SECRET[:20]}&x=typed HTTP/1.1", "500", "145")
    logging.getLogger("django.server").error('"%s" %s %s', *arguments, extra={"status_code": 500})
    assert "GET /settings/api?… HTTP/1.1" in log.text()
    assert_nowhere(log.everything(), "typed", SECRET[:20])


def test_runserver_does_not_tell_everything_twice(log):
    logging.getLogger("django.server").info('"%s" %s %s', "GET /x HTTP/1.1", "200", "5")
    assert log.text() == ""


def test_values_of_queries_are_not_logged(restricted, log, settings):
    settings.DEBUG = True
    restricted.client.get("/v2/me")
    assert log.request()["status"] == 200
    assert not log.lines("django.db.backends")


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "OPTIONS"])
def test_a_secret_that_a_client_sends_anywhere_is_nowhere(restricted, alices_browser, log, method):
    """Good secrets and mistyped ones, in the address, the headers and the body, to pages and to the API."""
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
    """Return the entry of every view of the site by an address that leads to it."""
    found = {}
    for entry in entries:
        route = prefix + str(entry.pattern)
        below = routes(entry.url_patterns, route) if isinstance(entry, URLResolver) else {address(route): entry}
        found = below | found  # The first that fits is the one that answers.
    return found


def address(route):
    """Return an address below a route, with something made up for what varies in it."""
    for pattern, made_up in ((r"\^\(\?:/\|\\Z\)", "/nowhere"), (r"\^?\(\?P<app_label>.*\)", "finta_keys")):
        route = re.sub(pattern, made_up, route)
    route = re.sub(r"\(\?P<\w+>\.\*\)", "nowhere", route).replace("$", "")
    return re.sub(r"<int:\w+>", "1", re.sub(r"<(str:|path:)?\w+>", "x", route))


def failing(view):
    """Return a view that does what ``view`` does, and fails with all that it knows in its message."""

    @wraps(view)
    def fails(request, *args, **kwargs):
        in_bytes = request.body  # noqa: F841  # for the report, as is what is nested
        with suppress(Exception):
            view(request, *args, **kwargs)
        presented = request.META["HTTP_AUTHORIZATION"]
        nested = {"headers": [(b"authorization", b" " * 50 + presented.encode())], "long": "x" * 4000 + presented}  # noqa: F841
        raise RuntimeError(f"{presented} failed under {PEPPER} at {request.get_full_path()}")

    return fails


@pytest.mark.parametrize(("method", "debug"), [("get", False), ("post", True)])
@pytest.mark.slow
def test_whatever_view_fails_no_report_has_a_secret(restricted, log, settings, monkeypatch, method, debug):
    settings.DEBUG = debug
    operator = UserFactory(is_staff=True, is_superuser=True)
    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    found = routes(get_resolver().url_patterns)
    assert len(found) > 50
    secret = restricted.secret
    for path, entry in found.items():
        with monkeypatch.context() as patched:
            patched.setattr(entry, "callback", failing(entry.callback))
            answer = getattr(browser, method)(
                f"{path}?search={secret}",
                {"x": str(secret), "password": PASSWORD} if method == "post" else None,
                headers={"authorization": f"Bearer {secret}"},
            )
            assert answer.status_code == 500, path
        if method == "post":
            browser.force_login(operator)  # One of the views signs out.
        assert_nowhere(answer.content.decode(), *traces(secret), *([PASSWORD] if method == "post" else []))
        assert ID.fullmatch(answer["X-Request-Id"])
        if debug and not path.startswith("/v2"):
            assert "RuntimeError at" in answer.content.decode(), path
    assert len(mail.outbox) == (0 if debug else len(found))
    assert_nowhere(log.everything(), *traces(secret), PASSWORD)
    assert format_of_secrets.hint(secret) in log.everything()  # So it would have been there.


class FailOnce:
    """A database of which the statement of this number fails."""

    def __init__(self, number):
        self.left = number

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if self.left == -1:
            raise DatabaseError("The database is gone.")
        return execute(sql, params, many, context)


def fail_everywhere(send):
    """Call ``send`` again and again, each time with a later statement that fails, until none does.

    Return the answers.
    """
    answers = []
    for number in range(80):
        failure = FailOnce(number)
        with connection.execute_wrapper(failure):
            answers.append(send())
        if failure.left >= 0:
            return answers
    raise AssertionError("It never came to an end.")


@pytest.fixture
def made(monkeypatch):
    """Every secret that is made."""
    secrets = []
    generate = format_of_secrets.generate

    def remember(*prefix):
        secrets.append(generate(*prefix))
        return secrets[-1]

    monkeypatch.setattr("finta_keys.secret.generate", remember)
    return secrets


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_K2_wherever_making_a_secret_fails_no_report_has_it(
    verb, alice, alices_browser, restricted, made, log, settings, debug
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
    failed = [answer for answer in failed if answer.status_code == 500]
    assert len(failed) > 3
    assert last.status_code in (200, 409)  # It was done by then, or is now.
    assert len(made) > 1
    for secret in made:
        assert_nowhere(log.everything(), *traces(secret))
        for answer in failed:
            assert_nowhere(answer.content.decode(), *traces(secret))
    assert debug == ("DatabaseError at" in failed[0].content.decode())


@pytest.mark.parametrize("debug", [False, True])
def test_wherever_a_look_up_fails_no_report_has_the_secret(restricted, log, settings, debug, monkeypatch):
    settings.DEBUG = debug
    # As if the handler of errors failed too: so Django reports.
    monkeypatch.setattr("accounts_app.api.errors._status", lambda _: 1 / 0)
    monkeypatch.setattr("config.middleware.is_api", lambda _: False)
    answers = fail_everywhere(lambda: restricted.client.post("/v2/accounts", {"name": str(restricted.secret)}))
    answers += fail_everywhere(lambda: restricted.client.get("/v2/accounts"))
    failed = [answer for answer in answers if answer.status_code == 500]
    assert len(failed) > 1
    for answer in failed:
        assert_nowhere(answer.content.decode(), *traces(restricted.secret))
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
def test_wherever_a_form_with_a_password_fails_no_report_has_it(form, alice, log, settings, debug):
    send = form(alice)
    settings.DEBUG = debug
    failed = [answer for answer in fail_everywhere(send) if answer.status_code == 500]
    assert failed
    for answer in failed:
        assert_nowhere(answer.content.decode(), PASSWORD, NEW, quote(PASSWORD))
    assert bool(mail.outbox) != debug
    assert_nowhere(log.everything(), PASSWORD, NEW)


def test_a_password_is_hidden_where_no_view_was_found_yet(alice, log, settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", lambda *_: 1 / 0)
    answer = sign_in(alice)()
    assert "ZeroDivisionError at" in answer.content.decode()
    assert_nowhere(answer.content.decode() + log.everything(), PASSWORD)


def test_settings_in_a_report_have_no_password(db, settings, log, monkeypatch):
    settings.DEBUG = True
    password = "hunter" + "2" * 3  # in parts, as a report quotes the lines around the error
    settings.RATE_LIMIT_STORAGE = f"redis://finta:{password}@cache:6379"
    monkeypatch.setattr("accounts_app.views.AccountsView.dispatch", lambda *_: 1 / 0)
    report = Client(raise_request_exception=False).get("/accounts").content.decode()
    assert "RATE_LIMIT_STORAGE" in report
    assert_nowhere(report, password, PEPPER, settings.SECRET_KEY)


def test_no_text_keeps_the_log_busy():
    """What a client sends is looked at in one go, however often a pattern seems to begin in it."""
    for text in ("a.", "a:", "a://", "A ?", "bearer ", "finta_", "abcdef0123 "):
        assert len(redact(text * 200_000)) > 200_000


def test_a_value_is_redacted_before_a_report_breaks_or_cuts_it():
    assert SECRET[6:20] not in repr(RedactedRepr({"body": b"x" * 70 + SECRET.encode()}))
    assert repr(RedactedRepr(["plain", 1])) == "['plain', 1]"


# Set-up


def test_in_production_lines_are_json_and_go_to_standard_error(tmp_path):
    code = (
        "import django; django.setup(); import logging;logging.getLogger('django.x').warning('%s', 'finta_' + 'a' * 54)"
    )
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    line = json.loads(result.stderr)
    assert (line["logger"], line["level"], line["message"]) == ("django.x", "WARNING", "finta_aaaa…aaaa")
    assert result.stdout == ""


def test_where_debug_is_on_lines_are_for_people(tmp_path):
    code = "import django; django.setup(); import logging; logging.getLogger('x').info('hello')"
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", DEBUG="true", **GOOD)
    assert re.fullmatch(r"\S+Z INFO x: hello\n", result.stderr)


def test_the_level_of_the_log_is_set_by_the_environment(tmp_path):
    code = "import django; django.setup(); import logging; [logging.getLogger(n).info(n) for n in ('x', 'django')]"
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "warning", **GOOD}
    assert start(tmp_path, ["-c", code], **environment).stderr == ""


def test_a_level_that_does_not_exist_is_refused_at_the_start(tmp_path):
    result = start(tmp_path, ["manage.py", "check"], LOG_LEVEL="loud", **GOOD)
    assert result.returncode != 0
    assert result.stderr.strip() == "LOG_LEVEL is 'LOUD'. Set it to one of DEBUG, INFO, WARNING, ERROR, CRITICAL."
