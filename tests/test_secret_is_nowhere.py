"""K2: after every flow the secret has been in one answer, and is nowhere else."""

import io
import logging

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.views.debug import ExceptionReporter

from finta_keys.models import ApiKey
from tests.conftest import ApiClient
from tests.factories import UserFactory
from tests.finta_keys.pages import create, hidden_fields, shown_secret, submit, url


@pytest.fixture
def everything_logged():
    """All that any logger says at any level, in one stream."""
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
    """Every value of every table, bytes as they are and as hex digits."""
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
    """Good and bad calls with a secret, each leaving what traces it leaves."""
    client = ApiClient(secret)
    for path in ("me", "accounts", "accounts/x", "transactions?cursor=x", "nothing"):
        client.get(f"/v2/{path}")
    client.post("/v2/accounts", "{", content_type="application/json")


def test_K2_after_the_pages(alice, alices_browser, accounts, everything_logged):
    made = create(alices_browser)
    secrets = [shown_secret(made)]
    use(secrets[0])
    key = ApiKey.objects.get()
    rotated = submit(alices_browser, url("rotate", key))
    secrets.append(shown_secret(rotated))
    use(secrets[1])
    submit(alices_browser, url("rename", key), name="Laptop")
    submit(alices_browser, url("edit_scope", key), accounts=[accounts.cash.pk])
    later = [alices_browser.get(each) for each in (url("list"), "/accounts", "/settings/data", url("rename", key))]
    for secret in secrets:
        assert not any(secret in answer.content.decode() for answer in later)
        assert not any(secret in value for answer in (made, rotated) for value in answer.headers.values())
        assert_nowhere(secret, everything_logged, alices_browser)


def test_K2_after_the_admin(alice, accounts, everything_logged):
    operator = UserFactory(email="op@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    add = f"/admin/finta_keys/apikey/add/{alice.pk}/"
    secrets = [shown_secret(submit(browser, add, name="Laptop", share_all_accounts="on"))]
    key = ApiKey.objects.get()
    address = f"/admin/finta_keys/apikey/{key.pk}/"
    secrets.append(shown_secret(submit(browser, f"{address}rotate/")))
    later = [
        browser.get(each)
        for each in ("/admin/finta_keys/apikey/", f"{address}change/", f"{address}history/", "/admin/")
    ]
    assert {answer.status_code for answer in later} == {200}
    for secret in secrets:
        use(secret)
        assert not any(secret in answer.content.decode() for answer in later)
        assert_nowhere(secret, everything_logged, browser)


def test_K2_after_the_command(alice, accounts, everything_logged, capsys):
    call_command("createkey", user=alice.email, name="Laptop")
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert secret not in printed.err
    use(secret)
    assert_nowhere(secret, everything_logged)


def test_K2_in_the_report_of_an_error_that_comes_while_a_secret_is_made(alice, alices_browser, accounts, monkeypatch):
    """The host's receiver fails when the secret exists already; the report of it must not quote the secret."""
    made = []
    from finta_keys import secret as format_of_secrets

    generate = format_of_secrets.generate

    def remember(*prefix):
        made.append(generate(*prefix))
        return made[-1]

    monkeypatch.setattr("finta_keys.secret.generate", remember)
    monkeypatch.setattr("accounts_app.storage_mode._write", lambda *_: 1 / 0)
    data = {**hidden_fields(alices_browser.get(url("create"))), "name": "Laptop", "share_all_accounts": "on"}
    with pytest.raises(ZeroDivisionError) as caught:
        alices_browser.post(url("create"), data)
    reporter = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    # The frames of this test hold the secret on purpose; those of the product must not.
    for report in (reporter.get_traceback_text(), reporter.get_traceback_html()):
        assert str(made[0]) not in report
    assert not ApiKey.objects.exists()


def test_K2_in_the_report_of_an_error_that_comes_while_a_secret_is_looked_up(restricted, monkeypatch, settings):
    from django.test import RequestFactory

    from accounts_app.api.views import MeView

    monkeypatch.setattr("finta_keys.secret.digest", lambda *_: 1 / 0)
    monkeypatch.setattr("accounts_app.api.base.JsonView.get_exception_handler", lambda _: lambda *_: None)
    request = RequestFactory().get("/v2/me", headers={"authorization": f"Bearer {restricted.secret}"})
    with pytest.raises(ZeroDivisionError) as caught:
        MeView.as_view()(request)
    secret = str(restricted.secret)
    own_frames = caught.traceback[1:]  # the first is this test's
    reporter = ExceptionReporter(request, caught.type, caught.value, own_frames[0]._rawentry)
    assert secret not in reporter.get_traceback_text()
    assert secret not in reporter.get_traceback_html()
