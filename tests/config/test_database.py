"""Timeouts of PostgreSQL connections."""

import socket
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.db import ConnectionHandler, OperationalError
from django.db import connection as django_connection
from django.db.backends.signals import connection_created

from tests.test_settings import GOOD, start


@pytest.fixture
def silent_server():
    """The port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def database(load, url):
    return load(**GOOD | {"DATABASE_URL": url}).DATABASES["default"]


@pytest.mark.slow
@pytest.mark.django_db
def test_silent_database_fails_fast(load, silent_server):
    settings = database(load, f"postgres://u:p@127.0.0.1:{silent_server}/n?connect_timeout=2")
    started = time.monotonic()
    with pytest.raises(OperationalError):
        ConnectionHandler({"default": settings})["default"].ensure_connection()
    assert time.monotonic() - started < 6


def test_default_timeouts(load):
    options = database(load, "postgres://u:p@h/n")["OPTIONS"]
    assert options["connect_timeout"] == 5
    assert options["tcp_user_timeout"] == 10_000
    assert options["target_session_attrs"] == "primary"  # A standby would accept deleted keys.


def test_timeouts_can_be_overridden(load):
    options = database(load, "postgres://u:p@h/n?connect_timeout=9&sslmode=require")["OPTIONS"]
    assert (options["connect_timeout"], options["sslmode"], options["tcp_user_timeout"]) == (9, "require", 10_000)


class RecordingConnection:
    vendor = "postgresql"

    def __init__(self):
        self.statements = []

    @contextmanager
    def cursor(self):
        yield SimpleNamespace(execute=lambda *arguments: self.statements.append(arguments))


def test_server_limits_statements():
    import config.wsgi  # noqa: F401  # registers the receiver

    connection = RecordingConnection()
    connection_created.send(sender=RecordingConnection, connection=connection)
    assert ("SET statement_timeout = 30000",) in connection.statements  # PostgreSQL accepts no parameters here


@pytest.mark.django_db
@pytest.mark.skipif(django_connection.vendor != "postgresql", reason="a setting of PostgreSQL")
def test_server_side_binding_works_from_the_first_statement():
    import config.wsgi  # noqa: F401  # registers the receiver

    settings = django_connection.settings_dict
    options = {**settings["OPTIONS"], "server_side_binding": True}
    bound = ConnectionHandler({"default": {**settings, "OPTIONS": options}})["default"]
    try:
        with bound.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("30s",)
    finally:
        bound.close()


@pytest.mark.slow
def test_commands_do_not_limit_statements(tmp_path):
    code = (
        "import django; django.setup(); from django.db.backends.signals import connection_created;"
        "print('database_timeouts' in repr(connection_created.receivers))"
    )
    result = start(tmp_path, ["-c", code], DJANGO_SETTINGS_MODULE="config.settings", **GOOD)
    assert result.stdout.strip() == "False", result.stderr
