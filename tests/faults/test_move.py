"""The site moves to a promoted standby without a restart: no 500, and no request that hangs."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.test_failover import Pair, template  # noqa: F401  # a fixture
from tests.live import servers, site

TIMEOUT = 5.0  # seconds, connect_timeout, and query_wait_timeout of PgBouncer
OUTAGE = 3.0  # seconds without a primary
SLACK = 2.0  # seconds, for a busy machine

pytestmark = pytest.mark.live


class Load:
    """Reads, pages and changes in three threads. ``statuses`` counts the responses of each."""

    def __init__(self, served, person, secret):
        path = person.key_paths()[0]
        people = [served.sign_in(served.owner) for _ in range(2)]
        rename = people[1].form(f"{path}/rename")
        reader = served.connect()
        self.statuses = {"read": Counter(), "page": Counter(), "rename": Counter()}
        self.slowest, self._stop = 0.0, threading.Event()
        actions = {
            "read": lambda: reader.call(secret, "/v2/accounts"),
            "page": lambda: people[0].page("/settings/api"),
            "rename": lambda: people[1].post(f"{path}/rename", rename | {"name": f"Name {time.monotonic_ns()}"}),
        }
        self._threads = [threading.Thread(target=self._run, args=item) for item in actions.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind, action):
        while not self._stop.is_set():
            started = time.monotonic()
            self.statuses[kind][action().status] += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            time.sleep(0.02)


@pytest.fixture
def pair(template):  # noqa: F811  # the fixture
    network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}"
    with tempfile.TemporaryDirectory(prefix="finta-failover-") as name:
        pair = Pair(template, Path(name), 0.0, (f"{network}.1", f"{network}.2"))
        pair.hosts = f"{network}.2,{network}.1"  # the standby comes first
        pair.begin()
        try:
            yield pair
        finally:
            pair.end()
            pair.proxy.close()


@pytest.fixture
def pool(pair):
    with tempfile.TemporaryDirectory(prefix="finta-pool-") as name:
        pool = servers.PgBouncer(pair.primary, Path(name))
        pool.start()
        yield pool
        pool.stop()


def fail_over(pair, url, description, outage=OUTAGE, moved=lambda: None):
    env = site.environment(url, STANDBY_TIMEOUT="1")
    with site.serving(env, workers=2, threads=4) as served:
        served.owner = site.create_owner(env)
        person = served.sign_in(served.owner)
        secret = person.create("Before").secret
        with Load(served, person, secret) as load:
            time.sleep(1)
            pair.primary.kill()
            time.sleep(outage)
            assert load.statuses["read"][503] > 0
            pair.standby.promote()
            moved()
            started = time.monotonic()
            connections = [served.connect() for _ in range(8)]
            servers.wait_until(
                lambda: [connection.call(secret).status for connection in connections] == [200] * 8, "the site to move"
            )
            print(f"{description}: reads worked again {time.monotonic() - started:.2f} s after the promotion;")
            time.sleep(1)
        print(f"the slowest request took {load.slowest:.2f} s; { ({k: dict(v) for k, v in load.statuses.items()}) }")
        assert set().union(*load.statuses.values()) == {200, 302, 503}
        assert load.slowest < TIMEOUT + SLACK
        assert served.connect().call(person.create("After").secret).status == 200


def test_url_with_several_hosts(pair):
    """The standby is first: only ``target_session_attrs`` keeps the site from it."""
    fail_over(pair, f"postgres://finta@{pair.hosts}/postgres", "several hosts")


def test_pgbouncer_is_told_the_new_server(pair, pool):
    """The outage is longer than the time that it lets requests wait."""
    fail_over(pair, pool.url("postgres"), "PgBouncer", TIMEOUT + 3, lambda: pool.move_to(pair.standby))
