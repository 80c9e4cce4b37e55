"""Recording the last use of a key."""

import datetime as dt
import gc
import sqlite3
import weakref
from unittest import mock

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import request_finished
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.test import Client, RequestFactory
from django.utils.datastructures import MultiValueDict

from accounts_app.models import Account, User
from finta_keys import secret, usage
from finta_keys.models import ApiKey, CreateNonce, KeyAccountScope, RetiredSecret
from finta_keys.testing import make_key
from tests.factories import UserFactory
from tests.finta_keys.snapshots import changed, columns

NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _reset_failures(monkeypatch):
    monkeypatch.setattr(usage, "failures", 0)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def get(path, presented):
    return Client(raise_request_exception=False).get(path, HTTP_AUTHORIZATION=f"Bearer {presented}")


def last_used(key):
    return columns(key)["last_used_at"]


def test_unused_key_has_no_last_use(restricted):
    assert last_used(restricted.key) is None


@pytest.mark.rule("T3")
def test_use_changes_last_used_at_only(restricted, unrestricted, clock):
    before, other = columns(restricted.key), columns(unrestricted.key)
    assert get("/v2/accounts", restricted.secret).status_code == 200
    assert changed(before, columns(restricted.key)) == {"last_used_at"}
    assert last_used(restricted.key) == NOON
    assert columns(unrestricted.key) == other


@pytest.mark.rule("T3")
def test_use_is_recorded_after_the_response(restricted, clock):
    """Recorded when the server closes the response."""
    events = []

    def watch(**kwargs):
        events.append(last_used(restricted.key))

    with mock.patch.object(usage, "record", side_effect=lambda key: events.append("record")) as record:
        request_finished.connect(watch)
        try:
            get("/v2/accounts", restricted.secret)
        finally:
            request_finished.disconnect(watch)
    assert record.call_count == 1
    assert events == ["record", None]


@pytest.mark.rule("T3")
def test_use_is_recorded_once_a_minute(restricted, clock, django_assert_num_queries):
    for seconds, expected in [(0, 0), (59, 0), (1, 0), (1, 61), (60, 61), (1, 122)]:
        clock.shift(seconds)
        get("/v2/accounts", restricted.secret)
        assert last_used(restricted.key) == NOON + dt.timedelta(seconds=expected)
    key = ApiKey.objects.authenticate(restricted.secret)
    with django_assert_num_queries(0):
        usage.record(key)


@pytest.mark.rule("T3")
def test_first_use_after_rotation_is_recorded_immediately(restricted, clock):
    assert get("/v2/me", restricted.secret).status_code == 200
    clock.shift(MINUTE / 6)
    new_secret = restricted.key.rotate()
    clock.shift(MINUTE / 6)
    assert get("/v2/me", new_secret).status_code == 200
    assert last_used(restricted.key) == NOON + MINUTE / 3


def test_late_use_of_old_secret_is_not_recorded(restricted, clock):
    key = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.rotate()
    clock.shift(MINUTE)
    usage.record(key)
    assert last_used(restricted.key) is None


def test_one_of_two_processes_writes(restricted, clock):
    one, other = (ApiKey.objects.authenticate(restricted.secret) for _ in range(2))
    usage.record(one)
    clock.shift(MINUTE - dt.timedelta(seconds=1))
    usage.record(other)
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_later_use_is_not_overwritten(restricted, clock):
    slow = ApiKey.objects.authenticate(restricted.secret)
    ApiKey.objects.filter(pk=restricted.key.pk).update(last_used_at=NOON + 5 * MINUTE)
    usage.record(slow)
    assert last_used(restricted.key) == NOON + 5 * MINUTE


@pytest.mark.rule("T3")
def test_wrong_clock_does_not_stop_recording(restricted, clock):
    clock.shift(dt.timedelta(days=1000))
    get("/v2/accounts", restricted.secret)
    clock.move_to(NOON)
    get("/v2/accounts", restricted.secret)
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_deleted_key_is_not_written(restricted):
    used = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.delete()
    usage.record(used)
    assert usage.failures == 0
    assert not ApiKey.objects.exists()


@pytest.mark.rule("T3")
def test_invalid_secret_is_not_a_use(alice, restricted, unrestricted, clock):
    dead = restricted.secret
    restricted.key.rotate()
    _, of_deactivated = make_key(other := UserFactory())
    User.objects.filter(pk=other.pk).update(is_active=False)
    for presented in (dead, secret.generate(), "finta_x", unrestricted.secret[:-1], of_deactivated):
        assert get("/v2/accounts", presented).status_code == 401
    assert set(ApiKey.objects.values_list("last_used_at", flat=True)) == {None}


@pytest.mark.rule("T3")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/v2/me", 200),
        ("get", "/v2/accounts/unknown", 404),
        ("get", "/v2/unknown", 404),
        ("put", "/v2/accounts", 405),
        ("get", "/v2/accounts?status=x", 400),
        ("options", "/v2/accounts", 405),
    ],
)
def test_every_response_to_a_key_is_a_use(restricted, clock, method, path, status):
    response = getattr(Client(), method)(path, HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code == status
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_response_403_is_a_use(restricted, clock):
    User.objects.update(storage_mode=False)
    assert get("/v2/accounts", restricted.secret).status_code == 403
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_response_429_is_a_use(settings, restricted, clock):
    settings.API_RATE_LIMIT = "1/minute"
    get("/v2/accounts", restricted.secret)
    ApiKey.objects.update(last_used_at=None)
    assert get("/v2/accounts", restricted.secret).status_code == 429
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
@pytest.mark.urls("tests.finta_keys.urls_example")
@pytest.mark.parametrize(("path", "status"), [("/refuses", 403), ("/throttled", 429), ("/who-calls", 200)])
def test_responses_of_other_projects_are_uses(restricted, clock, path, status):
    assert get(path, restricted.secret).status_code == status
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_response_500_is_a_use(restricted, clock):
    with mock.patch("finta_keys.account_paths.limit_to_key", side_effect=RuntimeError("for the test")):
        assert get("/v2/accounts", restricted.secret).status_code == 500
    assert last_used(restricted.key) == NOON


@pytest.mark.rule("T3")
def test_request_without_key_writes_nothing(restricted):
    assert Client().get("/v2/accounts").status_code == 401
    assert Client().get("/v2/health").status_code == 200
    assert last_used(restricted.key) is None


@pytest.mark.rule("T3")
def test_use_is_recorded_once_when_the_request_closes(restricted, clock):
    upload = SimpleUploadedFile("statement.csv", b"1")
    request = RequestFactory().get("/")
    request._files = MultiValueDict({"file": [upload]})
    usage.record_after_response(restricted.key, request)
    assert last_used(restricted.key) is None
    request.close()
    assert last_used(restricted.key) == NOON
    assert upload.closed
    ApiKey.objects.update(last_used_at=None)
    request.close()
    assert last_used(restricted.key) is None


@pytest.mark.rule("T3")
def test_closed_request_is_freed_at_once(restricted):
    request = RequestFactory().get("/")
    gone = weakref.ref(request)
    usage.record_after_response(restricted.key, request)
    gc.disable()
    try:
        request.close()
        del request
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.rule("T3")
@pytest.mark.parametrize("error", [DatabaseError, OperationalError, InterfaceError])
def test_failed_write_is_counted(restricted, caplog, error):
    caplog.set_level("DEBUG", "finta_keys.usage")
    with mock.patch.object(usage, "_update_last_used", side_effect=error("for the test")):
        assert get("/v2/accounts", restricted.secret).status_code == 200
        assert get("/v2/accounts", restricted.secret).status_code == 200
    assert usage.failures == 2
    assert [record.levelname for record in caplog.records if record.name == "finta_keys.usage"] == ["DEBUG"] * 2
    assert restricted.secret[10:-4] not in caplog.text


@pytest.mark.rule("T3")
def test_other_errors_are_raised(restricted):
    with mock.patch.object(usage, "_update_last_used", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        usage.record(restricted.key)
    assert usage.failures == 0


# --- SQLite: two connections to a database file ------------------------------------------------------------------


@pytest.fixture
def file_database(django_db_blocker, tmp_path, settings):
    """A database file with a key. Yields its connection, its path, the key and its secret.

    Not with the ``db`` fixture, which allows only the databases of the settings.
    """
    path = tmp_path / "keys.sqlite3"
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": {}}
    connections.settings["file"] = {**connections.settings["default"], **sqlite}
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.WritesToFile"]
    connection = connections["file"]
    with django_db_blocker.unblock():
        presented = fill(connection)
        yield connection, path, ApiKey.objects.authenticate(presented), presented
        connection.close()
    del connections["file"]
    del connections.settings["file"]


def fill(connection):
    """Create the tables and a key. Return its secret."""
    with connection.schema_editor() as editor:
        for model in (User, Account, ApiKey, KeyAccountScope, CreateNonce, RetiredSecret):
            editor.create_model(model)
    owner = User.objects.using("file").create(email="alice@example.com")
    presented = secret.generate()
    columns = {"name": "Key", "name_key": "key", "digest": secret.digest(presented, b"\x11" * 32)}
    ApiKey.objects.using("file").bulk_create([ApiKey(owner=owner, **columns)])
    return presented


@pytest.fixture
def locked(file_database):
    """Another connection, which holds the write lock of the file."""
    other = sqlite3.connect(file_database[1], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def busy_timeout(connection):
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA busy_timeout").fetchone()[0]


def stored(file_database):
    return ApiKey.objects.using("file").values_list("last_used_at", flat=True).get()


@pytest.mark.rule("T3")
def test_locked_database_is_not_waited_for(file_database, locked):
    connection, _, key, _ = file_database
    timeout = busy_timeout(connection)
    assert timeout > 0
    timeouts = []

    def watch(execute, sql, params, many, context):
        if "PRAGMA" not in sql:
            timeouts.append(busy_timeout(connection))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        usage.record(key)
    assert set(timeouts) == {0}
    assert usage.failures == 1
    assert busy_timeout(connection) == timeout
    assert stored(file_database) is None
    assert not connection.in_atomic_block


@pytest.mark.rule("T3")
def test_next_use_after_a_lock_is_written(file_database, locked):
    _, _, key, presented = file_database
    usage.record(key)
    locked.execute("COMMIT")
    usage.record(ApiKey.objects.authenticate(presented))
    assert usage.failures == 1
    assert stored(file_database) is not None


@pytest.mark.rule("T3")
@pytest.mark.rule("X3")
def test_move_to_first_pepper_waits_for_no_lock(settings, file_database, locked):
    settings.FINTA_KEYS_PEPPERS = ["aa" * 32, "11" * 32]
    connection, _, _, presented = file_database
    usage.record(ApiKey.objects.authenticate(presented))
    assert usage.failures == 1
    assert busy_timeout(connection) > 0
    assert ApiKey.objects.authenticate(presented)


@pytest.mark.rule("T3")
def test_timeout_is_restored_after_a_write(file_database):
    connection, _, key, _ = file_database
    timeout = busy_timeout(connection)
    usage.record(key)
    assert busy_timeout(connection) == timeout
    assert stored(file_database) is not None


@pytest.mark.rule("T3")
def test_timeout_is_restored_after_an_error(file_database):
    connection, _, key, _ = file_database
    timeout = busy_timeout(connection)
    failing = mock.patch("django.db.models.QuerySet.update", side_effect=ZeroDivisionError)
    with failing, pytest.raises(ZeroDivisionError):
        usage.record(key)
    assert busy_timeout(connection) == timeout


@pytest.mark.rule("T3")
def test_other_databases_keep_their_timeout(restricted, monkeypatch, django_assert_num_queries):
    connection = connections["default"]
    monkeypatch.setattr(type(connection), "vendor", "other")
    with django_assert_num_queries(0), usage._no_waiting("default"):
        pass


@pytest.mark.rule("T3")
def test_interval_is_a_setting(settings, clock, restricted):
    settings.FINTA_KEYS_LAST_USED_INTERVAL = 600
    get("/v2/me", restricted.secret)
    for minutes, written in ((9, 0), (11, 11)):
        clock.move_to(NOON + minutes * MINUTE)
        get("/v2/me", restricted.secret)
        assert last_used(restricted.key) == NOON + written * MINUTE


@pytest.mark.rule("T3")
def test_use_does_not_wait_for_a_standby(restricted, monkeypatch):
    """``tests/faults`` has the same test with a real PostgreSQL whose standby is away."""
    connection = connections["default"]
    statements = []

    def run(execute, sql, params, many, context):
        statements.append(sql)
        return None if sql.startswith("SET LOCAL") else execute(sql, params, many, context)

    key = ApiKey.objects.authenticate(restricted.secret)
    monkeypatch.setattr(connection, "vendor", "postgresql")
    with connection.execute_wrapper(run):
        usage.record(key)
    kinds = [sql.partition(" ")[0] for sql in statements if "SAVEPOINT" not in sql]
    assert kinds == ["SET", "SELECT", "UPDATE"]
    assert "SET LOCAL synchronous_commit TO 'local'" in statements
