"""Transactions of the model begin IMMEDIATE on SQLite with any settings."""

import sqlite3
from contextlib import suppress
from unittest import mock

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from finta_keys import nonces, usage
from finta_keys.models import ApiKey
from finta_keys.transactions import atomic
from tests.factories import AccountFactory, UserFactory

pytestmark = pytest.mark.rule("T1a")


@pytest.fixture
def file_database(django_db_blocker, tmp_path, settings):
    """Route keys to a database file with Django's default options. Yields its connection and its path."""
    path = tmp_path / "keys.sqlite3"
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": {}}
    connections.settings["file"] = {**connections.settings["default"], **sqlite}
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.WritesToFile"]
    with django_db_blocker.unblock():
        yield connections["file"], path
        connections["file"].close()
    del connections["file"]
    del connections.settings["file"]


def is_locked(path):
    """Return True if another connection could not write to the file now."""
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


def test_atomic_takes_the_write_lock_first(file_database):
    _, path = file_database
    for _ in range(2):  # before and after the connection is open
        with atomic():
            assert is_locked(path)
        assert not is_locked(path)


@pytest.mark.parametrize("configured", [None, "DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
def test_atomic_restores_the_mode_at_once(file_database, configured):
    database, _ = file_database
    database.ensure_connection()
    database.transaction_mode = configured
    with CaptureQueriesContext(database) as queries, atomic():
        assert database.transaction_mode == configured
    assert database.transaction_mode == configured
    assert queries[0]["sql"] == ("BEGIN EXCLUSIVE" if configured == "EXCLUSIVE" else "BEGIN IMMEDIATE")


def test_atomic_rolls_back_if_the_block_raises(file_database):
    database, path = file_database
    with suppress(ZeroDivisionError), atomic():
        database.cursor().execute("CREATE TABLE example (id integer)")
        raise ZeroDivisionError
    assert database.introspection.table_names() == []
    assert not is_locked(path)


def test_nested_atomic_is_a_savepoint(file_database):
    database, _ = file_database
    with CaptureQueriesContext(database) as queries, atomic(), atomic():
        pass
    statements = [query["sql"].split(" ")[0] for query in queries]
    assert statements == ["BEGIN", "SAVEPOINT", "RELEASE", "COMMIT"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Other databases have no such modes.")
@pytest.mark.django_db(transaction=True)
def test_actions_on_keys_begin_immediate():
    alice = UserFactory()
    account = AccountFactory(owner=alice)
    database = connections["default"]
    default_mode = mock.patch.object(database, "transaction_mode", None)
    with default_mode, CaptureQueriesContext(database) as queries:
        nonce = nonces.read(nonces.make(alice.pk), alice.pk)
        key, secret = ApiKey.objects.create_key(owner=alice, name="Production", nonce=nonce)
        key.rename("Laptop")
        key.restrict_to([account])
        key.share_all()
        usage.record(ApiKey.objects.authenticate(secret))
        key.rotate()
        key.delete()
    transactions = [query["sql"] for query in queries if query["sql"].startswith("BEGIN")]
    assert transactions == ["BEGIN IMMEDIATE"] * 7
