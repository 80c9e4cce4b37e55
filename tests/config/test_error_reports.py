"""Error reports contain no secrets."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import wraps
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import URLResolver, get_resolver, resolve
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from config.error_reports import RedactedRepr
from finta_keys import secret as format_of_secrets
from finta_keys.redaction import redact
from tests.config.log_helpers import ID, PEPPER, SECRET, assert_nowhere, traces
from tests.factories import PASSWORD, UserFactory
from tests.finta_keys.pages import hidden_fields, url


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
    # It would reject the header before the views can fail.
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("PagesRejectKeysMiddleware")]
    operator = UserFactory(is_staff=True, is_superuser=True)
    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    matches = routes(get_resolver().url_patterns)
    # The site's own URLs hide some of the admin.
    matches = {path: entry for path, entry in matches.items() if resolve(path).func is entry.callback}
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_redact_is_linear():
    """Redaction takes linear time, even if a pattern seems to begin many times."""
    for text in ("a.", "a:", "a://", "A ?", "bearer ", "finta_", "abcdef0123 "):
        assert len(redact(text * 200_000)) > 200_000


def test_repr_is_redacted_before_truncation():
    assert SECRET[6:20] not in repr(RedactedRepr({"body": b"x" * 70 + SECRET.encode()}))
    assert repr(RedactedRepr(["plain", 1])) == "['plain', 1]"
