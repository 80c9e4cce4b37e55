"""The synchronous standby is away: changes are in effect at once, wait a limited time, and hold no lock."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.faults.test_failover import Pair, template  # noqa: F401  # a fixture
from tests.live import servers, site

TIMEOUT = 8  # seconds, STANDBY_TIMEOUT
SLACK = 4.0  # seconds, for a busy machine
DELETIONS = 20
SENTENCE = "not yet safe against the loss of the database server"
IS_SOAK = "SOAK_FAILOVERS" in os.environ

pytestmark = pytest.mark.live

WAITING = """
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM pg_locks WHERE pg_locks.pid = activity.pid AND relation IS NOT NULL))
FROM pg_stat_activity AS activity WHERE wait_event = 'SyncRep'
"""
LOCK_OWNERS = "SELECT 1 FROM accounts_app_user FOR UPDATE NOWAIT"


@pytest.fixture(scope="module")
def server():
    names = {"synchronous_commit": "local", "synchronous_standby_names": "away"}
    with servers.postgresql(**names) as server:
        yield server


@pytest.fixture(scope="module")
def served(server):
    env = site.environment(server.url(), STANDBY_TIMEOUT=str(TIMEOUT))
    with site.serving(env, workers=2, threads=8) as served:
        served.owner = site.create_owner(env)
        served.person = served.sign_in(served.owner)
        yield served


def timed(action):
    started = time.monotonic()
    return action(), time.monotonic() - started


class Watch:
    """Calls the API and looks at the server all the time, in another thread."""

    def __init__(self, served, server, secret):
        self.served, self.server, self.secret = served, server, secret
        self.slowest, self.statuses, self.with_locks, self.waiting = 0.0, [], 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *args):
        self._stop.set()
        self._thread.join()

    def _run(self):
        connection = self.served.connect()
        with psycopg.connect(f"host={self.server.folder} user=finta dbname=postgres", autocommit=True) as database:
            while not self._stop.is_set():
                for path in ("/v2/health", "/v2/accounts"):
                    response, seconds = timed(lambda path=path: connection.call(self.secret, path))
                    self.statuses.append(response.status)
                    self.slowest = max(self.slowest, seconds)
                waiting, with_locks = database.execute(WAITING).fetchone()
                self.waiting, self.with_locks = max(self.waiting, waiting), self.with_locks + with_locks


@pytest.mark.rule("K4")
def test_deleted_key_is_dead_while_the_response_waits(served, server):
    secret = served.person.create("Deleted").secret
    path = served.person.key_paths()[0]
    fields = served.person.form(f"{path}/delete")
    time.sleep(0.3)
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(lambda: timed(lambda: served.person.post(f"{path}/delete", fields)))
        with psycopg.connect(f"host={server.folder} user=finta dbname=postgres", autocommit=True) as database:
            servers.wait_until(lambda: database.execute(WAITING).fetchone()[0], "the deletion to wait", timeout=5)
            assert served.connect().call(secret).status == 401
            assert database.execute(WAITING).fetchone()[1] == 0
            database.execute(LOCK_OWNERS)
        response, seconds = deletion.result()
    print(f"the response to a deletion took {seconds:.2f} s")
    assert response.status == 302
    assert seconds < TIMEOUT + SLACK
    assert SENTENCE in served.person.page("/settings/api").text


def test_rotated_secret_is_shown_with_the_sentence(served):
    served.person.create("Rotated")
    path = served.person.key_paths()[0]
    response = served.person.send(f"{path}/rotate", {})
    assert SENTENCE in response.text
    assert served.connect().call(response.secret).status == 200


def test_deletions_leave_reads_and_health_untouched(served, server):
    secret = served.person.create("Reader").secret
    for number in range(DELETIONS):
        served.person.create(f"Key {number}")
    paths = served.person.key_paths()[:DELETIONS]
    people = [served.sign_in(served.owner) for _ in range(4)]
    forms = [(path, served.person.form(f"{path}/delete")) for path in paths]
    with Watch(served, server, secret) as watch, ThreadPoolExecutor(DELETIONS) as pool:

        def delete(item):
            number, (path, fields) = item
            person = site.Person(served.port, served.owner.email)
            person._cookies = dict(people[number % 4]._cookies)
            fields = fields | {"csrfmiddlewaretoken": person.form(f"{path}/delete")["csrfmiddlewaretoken"]}
            result = timed(lambda: person.post(f"{path}/delete", fields))
            person.close()
            return result

        results = list(pool.map(delete, enumerate(forms)))
    slowest = max(seconds for _, seconds in results)
    print(f"{DELETIONS} deletions: {slowest:.2f} s at most; reads and health: {watch.slowest:.2f} s at most of")
    print(f"{len(watch.statuses)}; {watch.waiting} waited at once, {watch.with_locks} of them with a lock")
    assert {response.status for response, _ in results} == {302}
    assert set(watch.statuses) == {200}
    assert slowest < TIMEOUT + SLACK
    assert watch.slowest < SLACK
    assert watch.with_locks == 0
    assert len(served.person.key_paths()) <= 2 + 1


RENAME = """
from finta_keys import standby
from finta_keys.models import ApiKey
ApiKey.objects.first().rename("In a transaction that would wait")
print(standby.take_unconfirmed())
"""


def test_change_never_waits_inside_its_transaction(served):
    """Even if the server's synchronous_commit is on: the key's own commit would wait without a limit."""
    served.person.create("Renamed")
    env = served.env | {"PGOPTIONS": "-c synchronous_commit=on", "STANDBY_TIMEOUT": "1"}
    output, seconds = timed(lambda: site.manage(env, "shell", "--no-imports", "--command", RENAME, timeout=60))
    assert output == "True"
    print(f"a command waited for {seconds:.1f} s, its start included")


COST = """
import statistics, time
from accounts_app.models import User
from finta_keys import standby
from finta_keys.models import ApiKey
owner = User.objects.get()
def measure(action):
    times = []
    for number in range(40):
        key, _ = ApiKey.objects.create_key(owner=owner, name=f"Cost {number}")
        started = time.perf_counter()
        action(key, number)
        times.append(time.perf_counter() - started)
        assert not standby.take_unconfirmed()
        ApiKey.objects.delete_all(owner=owner)
    return f"{1000 * statistics.median(times):.1f}"
print(" ".join([
    measure(lambda key, number: ApiKey.objects.create_key(owner=owner, name=f"Other {number}")),
    measure(lambda key, number: key.rename(f"New {number}")),
    measure(lambda key, number: key.edit_scope(read_only=True)),
    measure(lambda key, number: key.rotate()),
    measure(lambda key, number: key.delete()),
    measure(lambda key, number: ApiKey.objects.get(pk=key.pk)),
]))
"""


@pytest.mark.skipif(not IS_SOAK, reason="It only measures.")
def test_cost_of_a_change(template):  # noqa: F811  # the fixture
    print("\n| standby | create | rename | edit scope | rotate | delete | read |")
    for delay, timeout in ((0.0, ""), (0.0, "5"), (0.001, "5"), (0.010, "5")):
        with tempfile.TemporaryDirectory(prefix="finta-failover-") as name:
            pair = Pair(template, Path(name), delay / 2)  # in each direction
            pair.begin()
            try:
                env = site.environment(pair.primary.url(), STANDBY_TIMEOUT=timeout)
                site.create_owner(env)
                times = site.manage(env, "shell", "--no-imports", "--command", COST).split()
            finally:
                pair.end()
                pair.proxy.close()
        print(f"| {delay * 1000:g} ms{'' if timeout else ', no barrier'} | {' | '.join(times)} |")
        assert statistics.median(map(float, times)) < 1000
