"""Each flow shows the secret in one response and leaves it nowhere else (K2)."""

import io
import logging

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.views.debug import ExceptionReporter

from finta_keys.models import ApiKey, KeyEvent, RetiredSecret
from finta_keys.testing import count_usage
from tests.conftest import ApiClient
from tests.factories import UserFactory
from tests.finta_keys.pages import create, hidden_fields, shown_secret, submit, url


@pytest.fixture
def everything_logged():
    """The output of all loggers at all levels."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield stream
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


def dump_of_all_tables():
    """Return every value of every table, with bytes also in hex."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # our own tables
            for row in cursor.fetchall():
                for value in row:
                    yield bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def assert_nowhere(secret, log, *browsers):
    for part in (secret, secret[6:], secret[6:54]):
        assert not any(part in value for value in dump_of_all_tables()), "in a table"
        assert part not in log.getvalue(), "in a log"
        assert part not in repr(getattr(cache, "_cache", {})), "in the cache"
        for browser in browsers:
            assert part not in str(browser.cookies), "in a cookie"
            assert part not in str(dict(browser.session)), "in the session"


def use(secret):
    """Make valid and invalid requests with a secret, which is also in the headers that are counted."""
    client = ApiClient(secret)
    with count_usage():
        for path in ("me", "accounts", "accounts/x", "transactions?cursor=x", "nothing"):
            client.get(f"/v2/{path}", HTTP_USER_AGENT=f"{secret}/1.0", REMOTE_ADDR=secret)
        client.post("/v2/accounts", "{", content_type="application/json", HTTP_X_FORWARDED_FOR=secret)


@pytest.mark.rule("K2")
def test_pages_leave_no_secret(alice, alices_browser, accounts, everything_logged):
    created = create(alices_browser)
    secrets = [shown_secret(created)]
    use(secrets[0])
    key = ApiKey.objects.get()
    rotated = submit(alices_browser, url("rotate", key))
    secrets.append(shown_secret(rotated))
    use(secrets[1])
    use(secrets[0])  # which was retired
    assert RetiredSecret.objects.get().tries
    submit(alices_browser, url("rename", key), name="Laptop")
    submit(alices_browser, url("edit_scope", key), accounts=[accounts.cash.pk])
    pages = (
        url("list"),
        url("key", key),
        "/accounts",
        "/settings/data",
        url("rename", key),
        url("report", key),
        url("report_file", key),
    )
    later = [alices_browser.get(item) for item in pages]
    assert {response.status_code for response in later} == {200}
    for secret in secrets:
        assert not any(secret in response.content.decode() for response in later)
        assert not any(secret in value for response in (created, rotated) for value in response.headers.values())
        assert_nowhere(secret, everything_logged, alices_browser)


@pytest.mark.rule("K2")
def test_admin_leaves_no_secret(alice, accounts, everything_logged):
    operator = UserFactory(email="op@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    add = f"/admin/finta_keys/apikey/add/{alice.pk}/"
    secrets = [shown_secret(submit(browser, add, name="Laptop", share_all_accounts="on"))]
    key = ApiKey.objects.get()
    address = f"/admin/finta_keys/apikey/{key.pk}/"
    secrets.append(shown_secret(submit(browser, f"{address}rotate/")))
    later = [
        browser.get(item)
        for item in (
            *("/admin/finta_keys/apikey/", f"{address}change/", f"{address}history/", "/admin/"),
            *("/admin/finta_keys/keyevent/", f"/admin/finta_keys/keyevent/{KeyEvent.objects.latest('pk').pk}/change/"),
        )
    ]
    assert {response.status_code for response in later} == {200}
    for secret in secrets:
        use(secret)
        assert not any(secret in response.content.decode() for response in later)
        assert_nowhere(secret, everything_logged, browser)


@pytest.mark.rule("K2")
def test_command_leaves_no_secret(alice, accounts, everything_logged, capsys):
    call_command("createkey", user=alice.email, name="Laptop")
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert secret not in printed.err
    use(secret)
    for options in ({}, {"csv": True}, {"json": True}):
        call_command("keyreport", str(ApiKey.objects.get().pk), **options)
        assert secret[6:] not in "".join(capsys.readouterr())
    assert_nowhere(secret, everything_logged)


@pytest.mark.rule("K2")
def test_error_during_creation_reports_no_secret(alice, alices_browser, accounts, monkeypatch):
    """A receiver fails after the secret was created."""
    created = []
    from finta_keys import secret as format_of_secrets

    generate = format_of_secrets.generate

    def remember(*prefix):
        created.append(generate(*prefix))
        return created[-1]

    monkeypatch.setattr("finta_keys.secret.generate", remember)
    monkeypatch.setattr("accounts_app.storage_mode._save", lambda *_: 1 / 0)
    data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
    with pytest.raises(ZeroDivisionError) as caught:
        alices_browser.post(url("create"), data)
    reporter = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    # The frames of this test contain the secret. Those of the product must not.
    for report in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert str(created[0]) not in report
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K2")
def test_error_during_lookup_reports_no_secret(restricted, monkeypatch, settings):
    from django.test import RequestFactory

    from accounts_app.api.views import MeView

    monkeypatch.setattr("finta_keys.secret.digest", lambda *_: 1 / 0)
    monkeypatch.setattr("accounts_app.api.base.JsonView.get_exception_handler", lambda _: lambda *_: None)
    request = RequestFactory().get("/v2/me", headers={"authorization": f"Bearer {restricted.secret}"})
    with pytest.raises(ZeroDivisionError) as caught:
        MeView.as_view()(request)
    secret = str(restricted.secret)
    own_frames = caught.traceback[1:]  # the first belongs to this test
    reporter = ExceptionReporter(request, caught.type, caught.value, own_frames[0]._rawentry)
    assert secret not in reporter.get_traceback_text()
    assert secret not in reporter.get_traceback_html()
