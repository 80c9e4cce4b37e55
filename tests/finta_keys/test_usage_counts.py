"""Counting the use of keys, and saving the counts (rule H2)."""

import datetime as dt
import os
import threading
from multiprocessing import util
from unittest import mock
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import OperationalError, connections
from django.test import Client, RequestFactory

from accounts_app.models import Account, User
from finta_keys import scoping, secret, usage_counts, usage_store
from finta_keys.authentication import get_key
from finta_keys.models import AccountUsage, ApiKey, KeyUsage
from finta_keys.request_state import state_of
from finta_keys.testing import count_usage
from tests.accounts_app.api_assertions import account_url, count_queries
from tests.conftest import ApiClient
from tests.factories import TransactionFactory

pytestmark = pytest.mark.rule("H2")

NOON = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
NEW_ACCOUNT = {"name": "New", "type": "other", "currency": "USD", "currentBalance": 1}
NUMBERS = ("requests", "reads", "writes", "refused")


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def call(restricted):
    """Send a request and save its counts. Returns the status."""

    def call(method, path, data=None, **extra):
        with count_usage():
            return restricted.client.send(method, path, data, **extra).status_code

    return call


def numbers(key):
    """Return the requests, reads, writes and refused requests of a key."""
    rows = KeyUsage.objects.filter(key_id=key.pk).values_list(*NUMBERS)
    return tuple(map(sum, zip(*rows, strict=True))) or (0, 0, 0, 0)


def shown(key):
    """Return how many responses showed each account."""
    rows = AccountUsage.objects.filter(key_id=key.pk)
    return {account: rows.filter(account_id=account).count() and sum_of(rows, account) for account in ids(rows)}


def ids(rows):
    return set(rows.values_list("account_id", flat=True))


def sum_of(rows, account):
    return sum(rows.filter(account_id=account).values_list("responses", flat=True))


# --- What is counted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "counted"),
    [
        ("GET", "/v2/me", None, 200, (1, 1, 0, 0)),
        ("HEAD", "/v2/accounts", None, 200, (1, 1, 0, 0)),
        ("POST", "/v2/accounts", NEW_ACCOUNT, 201, (1, 0, 1, 0)),
        ("POST", "/v2/accounts", {}, 400, (1, 0, 0, 1)),
        ("GET", "/v2/accounts/unknown", None, 404, (1, 0, 0, 1)),
        ("PUT", "/v2/accounts", {}, 405, (1, 0, 0, 1)),
        ("OPTIONS", "/v2/accounts", None, 405, (1, 0, 0, 1)),
    ],
)
def test_request_is_counted_by_its_response(call, restricted, method, path, data, status, counted):
    assert call(method, path, data) == status
    assert numbers(restricted.key) == counted


def test_denials_count_as_refused(call, restricted, settings):
    settings.API_RATE_LIMIT = "1/minute"
    assert call("GET", "/v2/me") == 200
    assert call("GET", "/v2/me") == 429
    settings.API_RATE_LIMIT = "100/minute"
    restricted.key.edit_scope(read_only=True)
    assert call("POST", "/v2/accounts", {}) == 403
    User.objects.update(storage_mode=False)
    assert call("GET", "/v2/me") == 403
    assert numbers(restricted.key) == (4, 1, 0, 3)


def test_failed_requests_are_requests_only(call, restricted):
    with mock.patch("finta_keys.account_paths.limit_to_key", side_effect=RuntimeError("for the test")):
        assert call("GET", "/v2/accounts") == 500
    assert numbers(restricted.key) == (1, 0, 0, 0)
    assert shown(restricted.key) == {}


@pytest.mark.urls("tests.finta_keys.urls_example")
def test_unhandled_errors_are_requests_only(call, restricted):
    """Django REST framework makes no response of them."""
    with mock.patch("tests.finta_keys.urls_example.WhoCalls.get", side_effect=RuntimeError, __name__="get"):
        assert call("GET", "/who-calls") == 500
    assert numbers(restricted.key) == (1, 0, 0, 0)


def test_invalid_secrets_count_for_no_key(restricted):
    dead = restricted.secret
    restricted.key.rotate()
    with count_usage():
        for presented in (dead, secret.generate(), "finta_x"):
            assert ApiClient(presented).get("/v2/me").status_code == 401
        Client().get("/v2/me")
    assert not KeyUsage.objects.exists()


@pytest.mark.urls("tests.finta_keys.urls_example")
@pytest.mark.parametrize(("path", "counted"), [("/refuses", (1, 0, 0, 1)), ("/who-calls", (1, 1, 0, 0))])
def test_views_of_other_projects_are_counted(call, restricted, path, counted):
    call("GET", path)
    assert numbers(restricted.key) == counted


@pytest.mark.parametrize(
    ("method", "only_reads", "counted"),
    [
        ("GET", False, (1, 1, 0, 0)),
        ("POST", False, (1, 0, 1, 0)),
        ("POST", True, (1, 1, 0, 0)),
    ],
)
def test_key_of_plain_view_is_counted(restricted, method, only_reads, counted):
    close(restricted.secret, method, only_reads=only_reads)
    assert numbers(restricted.key) == counted


def test_read_only_key_of_plain_view_is_refused(restricted):
    restricted.key.edit_scope(read_only=True)
    assert close(restricted.secret, "POST") is None
    assert numbers(restricted.key) == (1, 0, 0, 1)


def close(presented, method, *, only_reads=False, accounts=()):
    """Find the key of a plain request, and end the request."""
    request = RequestFactory().generic(method, "/", headers={"authorization": f"Bearer {presented}"})
    with count_usage():
        key = get_key(request, only_reads=only_reads)
        scoping.record_shown(request, accounts)
        request.close()
    return key


# --- Which accounts were shown -------------------------------------------------------------------------------------


def test_lists_show_all_their_accounts(unrestricted, accounts, clock):
    with count_usage():
        for _ in range(2):
            unrestricted.client.get("/v2/accounts")
        unrestricted.client.get("/v2/accounts?type=credit")
    assert shown(unrestricted.key) == {str(account.pk): 2 for account in vars(accounts).values()}


def test_response_shows_account_in_its_url(call, restricted, accounts):
    url = account_url(accounts.checking.pk)
    assert call("GET", url) == 200
    assert shown(restricted.key) == {str(accounts.checking.pk): 1}
    for method, status in (("PUT", 405), ("PATCH", 400)):  # It is not a manual account.
        assert call(method, url, {"name": "Savings"}) == status
    assert call("GET", account_url(accounts.savings.pk)) == 404
    assert shown(restricted.key) == {str(accounts.checking.pk): 1}


def test_writes_show_their_account(unrestricted, accounts):
    url = account_url(accounts.cash.pk)
    with count_usage():
        created = unrestricted.client.send("POST", "/v2/accounts", NEW_ACCOUNT).json()["account"]["id"]
        unrestricted.client.send("PATCH", url, {"name": "Cash 2"})
        unrestricted.client.send("DELETE", url)
    assert shown(unrestricted.key) == {created: 1, str(accounts.cash.pk): 2}


def test_transactions_show_their_accounts(unrestricted, accounts):
    TransactionFactory.create_batch(3, account=accounts.checking)
    TransactionFactory(account=accounts.savings)
    with count_usage():
        unrestricted.client.get("/v2/transactions?status=all")
        unrestricted.client.get(f"/v2/transactions?bankAccountId={accounts.cash.pk}")
    ids = (accounts.checking.pk, accounts.savings.pk, accounts.cash.pk)
    assert shown(unrestricted.key) == {str(pk): 1 for pk in ids}


def test_project_records_accounts_in_any_form(restricted, accounts):
    pk = accounts.checking.pk
    close(restricted.secret, "GET", accounts=[accounts.checking, pk, str(pk), str(pk).upper()])
    assert shown(restricted.key) == {str(pk): 3}  # an account, and the forms of its text
    close(restricted.secret, "GET", accounts=["no account"])
    assert shown(restricted.key)["no account"] == 1


def test_refused_response_shows_nothing(restricted, accounts):
    restricted.key.edit_scope(read_only=True)
    close(restricted.secret, "POST", accounts=[accounts.checking])
    assert shown(restricted.key) == {}


# --- Saving --------------------------------------------------------------------------------------------------------


def add(key_id, number=1, *, source="192.0.2.0/24", agent="curl", at=NOON, account=None):
    """Count and save requests like a process of its own."""
    process = usage_counts.Pending()
    with mock.patch("finta_keys.usage_counts.timezone.now", return_value=at):
        for _ in range(number):
            request = RequestFactory().get("/")
            scoping.record_shown(request, [] if account is None else [account])
            process.add(key_id, state_of(request), "GET", (source, agent))
    usage_store.save(process.keys, process.accounts)
    assert not len(process)


@pytest.mark.django_db
def test_processes_add_to_one_row():
    key_id, account = uuid4(), uuid4()
    for number, hour in ((3, 0), (4, 2), (5, -1)):
        add(key_id, number, at=NOON + hour * HOUR, account=account)
    row = KeyUsage.objects.get()
    assert (row.requests, row.reads, row.first_at, row.last_at) == (12, 12, NOON - HOUR, NOON + 2 * HOUR)
    of_account = AccountUsage.objects.get()
    assert (of_account.responses, of_account.first_at, of_account.last_at) == (12, NOON - HOUR, NOON + 2 * HOUR)


@pytest.mark.django_db
def test_times_of_first_and_last_request():
    key_id, account = uuid4(), uuid4()
    process, later = usage_counts.Pending(), usage_counts.Pending()
    for pending, hour in ((process, 0), (process, 1), (later, 2), (later, 3)):
        with mock.patch("finta_keys.usage_counts.timezone.now", return_value=NOON + hour * HOUR):
            request = RequestFactory().get("/")
            scoping.record_shown(request, [account])
            pending.add(key_id, state_of(request), "GET", ("192.0.2.0/24", "curl"))
    later.merge(process)  # as after a failed attempt to save
    usage_store.save(later.keys, later.accounts)
    for row in (KeyUsage.objects.get(), AccountUsage.objects.get()):
        assert (row.first_at, row.last_at) == (NOON, NOON + 3 * HOUR)


def test_clock_over_midnight_counts_both_days(restricted, clock):
    with count_usage():
        for hours in (0, 12, -1, 25, -24):
            clock.move_to(NOON + hours * HOUR)
            restricted.client.get("/v2/accounts")
    for model in (KeyUsage, AccountUsage):
        days = dict(model.objects.values_list("day", "requests" if model is KeyUsage else "responses"))
        assert days == {dt.date(2027, 2, 28): 1, dt.date(2027, 3, 1): 2, dt.date(2027, 3, 2): 2}


@pytest.mark.django_db
def test_thousand_sources_are_capped(clock):
    key_id = uuid4()
    process, state = usage_counts.Pending(), state_of(RequestFactory().get("/"))
    for number in range(1000):
        process.add(key_id, state, "GET", (f"10.{number // 256}.{number % 256}.0/24", "curl"))
    assert len(process) == usage_store.MAX_SOURCES + 1  # the process keeps no more either
    usage_store.save(process.keys, process.accounts)
    for number in range(20):  # later, from others
        add(key_id, source=f"192.0.{number}.0/24")
    add(key_id, 7, source="10.0.0.0/24")  # a known source
    rows = {row.source: row.requests for row in KeyUsage.objects.all()}
    assert len(rows) == usage_store.MAX_SOURCES + 1
    assert sum(rows.values()) == 1027
    assert rows["other"] == 1020 - usage_store.MAX_SOURCES
    assert rows["10.0.0.0/24"] == 8


@pytest.mark.django_db
def test_agents_of_a_source_are_capped():
    key_id = uuid4()
    for number in range(30):
        add(key_id, agent=f"agent-{number}")
    add(key_id, source="10.0.0.0/24", agent="agent-29")
    rows = {(row.source, row.agent): row.requests for row in KeyUsage.objects.all()}
    assert rows["192.0.2.0/24", "other"] == 30 - usage_store.MAX_AGENTS
    assert rows["10.0.0.0/24", "agent-29"] == 1


@pytest.mark.django_db
def test_caps_are_per_key_and_day(monkeypatch):
    monkeypatch.setattr(usage_store, "MAX_SOURCES", 1)
    for key_id in (uuid4(), uuid4()):
        for day in range(2):
            add(key_id, at=NOON + 24 * day * HOUR)
    assert not KeyUsage.objects.filter(source="other").exists()


@pytest.mark.django_db
def test_accounts_are_never_capped():
    process, request, key_id = usage_counts.Pending(), RequestFactory().get("/"), uuid4()
    scoping.record_shown(request, range(2000))
    process.add(key_id, state_of(request), "GET", ("192.0.2.0/24", "curl"))
    usage_store.save(process.keys, process.accounts)
    assert AccountUsage.objects.filter(key_id=key_id).count() == 2000


@pytest.mark.django_db
def test_rows_are_saved_in_one_order(monkeypatch):
    saved = []
    monkeypatch.setattr(usage_store, "_add", lambda model, columns, rows: saved.extend(rows))
    monkeypatch.setattr(usage_store, "BATCH", 3)
    keys = [UUID(int=number) for number in (5, 3, 9, 1, 7)]
    process = usage_counts.Pending()
    for key_id in keys:
        process.add(key_id, state_of(RequestFactory().get("/")), "GET", ("192.0.2.0/24", "curl"))
    usage_store.save(process.keys, process.accounts)
    assert [row[0] for row in saved] == sorted(keys)


def test_deleted_key_and_account_keep_their_counts(call, restricted, accounts):
    call("GET", "/v2/accounts")
    key_id, account_id = restricted.key.pk, str(accounts.checking.pk)
    restricted.key.delete()
    Account.objects.all().delete()
    assert KeyUsage.objects.get().key_id == key_id
    assert AccountUsage.objects.get().account_id == account_id
    ApiKey.objects.all().delete()
    User.objects.all().delete()
    assert KeyUsage.objects.exists()


def test_failed_save_keeps_the_counts(restricted, caplog):
    usage_counts.is_counting_in_tests = True
    try:
        restricted.client.get("/v2/accounts")
        failing = mock.patch.object(usage_store, "_add", side_effect=OperationalError("away"))
        with failing:
            usage_counts.save()
        assert "Could not save how often keys were used: away" in caplog.text
        assert restricted.secret[10:-4] not in caplog.text
        restricted.client.get("/v2/accounts")
        assert numbers(restricted.key) == (0, 0, 0, 0)
        usage_counts.save()
    finally:
        usage_counts.is_counting_in_tests = False
    assert numbers(restricted.key) == (2, 2, 0, 0)
    assert set(shown(restricted.key).values()) == {2}


def test_saved_rows_are_not_saved_again(restricted, monkeypatch):
    """The second statement fails."""
    with count_usage():
        restricted.client.get("/v2/accounts")
        real = usage_store._add

        def fail_for_accounts(model, *rows):
            if model is AccountUsage:
                raise OperationalError
            real(model, *rows)

        with mock.patch.object(usage_store, "_add", side_effect=fail_for_accounts):
            usage_counts.save()
        usage_counts.save()
    assert numbers(restricted.key) == (1, 1, 0, 0)
    assert set(shown(restricted.key).values()) == {1}


def test_too_many_unsaved_counts_are_dropped(monkeypatch, caplog):
    monkeypatch.setattr(usage_counts, "MAX_PENDING", 0)
    monkeypatch.setattr(usage_counts, "_pending", usage_counts.Pending())
    unsaved = usage_counts.Pending()
    unsaved.add(uuid4(), state_of(RequestFactory().get("/")), "GET", ("", ""))
    usage_counts._keep(unsaved)
    assert not usage_counts._pending
    assert "Lost 1 counts" in caplog.text


def test_counting_costs_no_query(restricted, accounts):
    restricted.client.get("/v2/me")  # updates last_used_at
    unknown = ApiClient(secret.generate())
    expected = {("/v2/me", 1, restricted.client), ("/v2/me", 1, unknown), ("/v2/me", 0, ApiClient("finta_x"))}
    with count_usage():
        for url, queries, client in expected:
            assert count_queries(client, "GET", url)[1] == queries


def test_save_does_not_wait_for_a_standby(monkeypatch):
    statements = []
    connection, cursor = connections["default"], mock.MagicMock()
    cursor.__enter__.return_value.execute = lambda sql, *values: statements.append(sql)
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setattr(connection, "cursor", lambda: cursor)
    with mock.patch("finta_keys.transactions.atomic", mock.MagicMock()):
        usage_store._add(AccountUsage, ("key_id", "account_id", "day"), [(uuid4(), "1", NOON.date(), 1, NOON, NOON)])
    assert statements[0] == "SET LOCAL synchronous_commit TO 'local'"
    assert statements[1].startswith("INSERT INTO")


# --- The thread and the exit ---------------------------------------------------------------------------------------


@pytest.fixture
def process(monkeypatch):
    """This process as it is outside tests, without a database. Yields the lists of saved rows."""
    saved = []

    def save(keys, accounts):
        saved.append(dict(keys))
        keys.clear()
        accounts.clear()

    monkeypatch.setattr(usage_counts, "is_in_test", lambda: False)
    monkeypatch.setattr(usage_counts, "SAVE_AFTER", 0.02)
    monkeypatch.setattr(usage_store, "save", save)
    yield saved
    join()
    usage_counts.discard()
    usage_counts._thread = None


def join():
    for thread in threading.enumerate():
        if thread.name == "finta_keys usage":
            thread.join(10)


def count_one():
    usage_counts.count(ApiKey(pk=UUID(int=1)), RequestFactory().get("/"))


def test_thread_saves_idle_counts_and_ends(process):
    for number in (1, 2):
        count_one()
        assert usage_counts._thread.daemon
        join()
        assert len(process) == number
        assert usage_counts._thread is None


def test_one_thread_saves_all_counts(process, monkeypatch):
    monkeypatch.setattr(usage_counts, "SAVE_AFTER", 0.2)
    for _ in range(5):
        count_one()
    assert [thread.name for thread in threading.enumerate()].count("finta_keys usage") == 1
    join()
    assert [[counts[0] for counts in rows.values()] for rows in process] == [[5]]


def test_thread_closes_connections_after_saving(process):
    with mock.patch.object(usage_counts.connections, "close_all") as close_all:
        count_one()
        join()
    assert close_all.call_count == 1


def test_thread_tries_again_after_an_error(process, monkeypatch):
    save = usage_store.save
    outcomes = [OperationalError("away"), ZeroDivisionError(), None]

    def fail_twice(keys, accounts):
        if error := outcomes.pop(0):
            raise error
        save(keys, accounts)

    monkeypatch.setattr(usage_store, "save", fail_twice)
    count_one()
    join()
    assert [[counts[0] for counts in rows.values()] for rows in process] == [[1]]


def test_counts_survive_a_thread_that_cannot_start(process):
    with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
        count_one()
    assert usage_counts._thread is None
    assert process == []
    count_one()
    join()
    assert [[counts[0] for counts in rows.values()] for rows in process] == [[2]]


def test_exit_saves_the_rest(process, monkeypatch):
    monkeypatch.setattr(usage_counts, "SAVE_AFTER", 0.5)
    count_one()
    usage_counts._save_at_exit()
    assert len(process) == 1
    usage_counts._save_at_exit()  # Nothing is left.
    assert len(process) == 1


def test_exit_of_a_multiprocessing_worker_saves(process):
    exits = [finalizer._callback for finalizer in util._finalizer_registry.values()]
    assert usage_counts._save_at_exit in exits


def test_exit_waits_for_a_thread_that_saves(process, monkeypatch):
    monkeypatch.setattr(usage_counts, "EXIT_TIMEOUT", 0.01)
    monkeypatch.setattr(usage_counts, "SAVE_AFTER", 0.3)
    count_one()
    with usage_counts._save_lock:
        usage_counts._save_at_exit()  # does not hang
    assert process == []


def test_child_process_begins_without_counts(process, monkeypatch):
    """Another thread of the parent held the lock, and the thread that saves is not in the child."""
    unsaved = usage_counts.Pending()
    unsaved.keys["row"] = [1]
    held = threading.Lock()
    held.acquire()
    for name, value in {"_lock": held, "_save_lock": held, "_pending": unsaved, "_thread": object()}.items():
        monkeypatch.setattr(usage_counts, name, value)
    usage_counts._reset_after_fork()
    count_one()
    join()
    assert [[counts[0] for counts in rows.values()] for rows in process] == [[1]]


def test_fork_is_noticed():
    """The hook is registered: a child that is forked with counts has none."""
    usage_counts._pending.keys["row"] = [1]
    try:
        child = os.fork()
        if not child:
            os._exit(len(usage_counts._pending))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        usage_counts.discard()


@pytest.mark.django_db
def test_busiest_sources_are_kept(monkeypatch):
    monkeypatch.setattr(usage_store, "MAX_SOURCES", 1)
    key_id, day = UUID(int=1), NOON.date()
    counts = {(key_id, day, f"192.0.{number}.0/24", "curl"): [number, 0, 0, 0, NOON, NOON] for number in (1, 5, 2)}
    usage_store.save(counts, {})
    assert dict(KeyUsage.objects.values_list("source", "requests")) == {"192.0.5.0/24": 5, "other": 3}


def test_tests_count_nothing_by_themselves(restricted):
    assert restricted.client.get("/v2/me").status_code == 200
    assert not usage_counts._pending
    assert usage_counts._thread is None
    usage_counts._save_at_exit()


def test_test_database_is_noticed(settings):
    """Django's test runners change the name of each database, and restore it at their end."""
    usage_counts.remember_databases()  # A second call changes nothing.
    assert usage_counts.is_in_test()
    names = {
        alias: {**database, "NAME": usage_counts._databases[alias]} for alias, database in settings.DATABASES.items()
    }
    with mock.patch.object(usage_counts.settings, "DATABASES", names):
        assert not usage_counts.is_in_test()


def test_no_thread_starts_inside_count_usage(restricted):
    with count_usage():
        restricted.client.get("/v2/me")
        assert usage_counts._pending
        assert usage_counts._thread is None


def test_rows_have_short_names():
    key_id, day = UUID(int=1), NOON.date()
    assert str(KeyUsage(key_id=key_id, day=day, source="192.0.2.0/24")) == f"{key_id} 2027-03-01 192.0.2.0/24"
    assert str(AccountUsage(key_id=key_id, day=day, account_id="7")) == f"{key_id} showed 7 on 2027-03-01"
