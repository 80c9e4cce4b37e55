"""Redis or its sentinels are away or hang: the site works without limits, and few requests wait."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.live import servers, site
from tests.live.servers import wait_until

WORKERS, CALLERS = 2, 4
SECONDS = 2.0  # of requests
SLACK = 2.0  # seconds, for a busy machine
TIMEOUT = 1.0  # seconds; see accounts_app/limiter.py

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def keyed(postgresql):
    """A database with a key: its URL and the secret."""
    url = postgresql.create_database("limited")
    with site.serving(site.environment(url), workers=1) as served:
        owner = site.create_owner(served.env)
        return url, owner, served.sign_in(owner).create("Used").secret


@contextmanager
def limited_site(keyed, storage):
    url, owner, secret = keyed
    env = site.environment(url, API_RATE_LIMIT="5/hour", RATE_LIMIT_STORAGE=storage)
    with site.serving(env, workers=WORKERS) as served:
        served.owner, served.secret = owner, secret
        wait_for_workers(served)
        yield served


def wait_for_workers(served):
    """Wait until all workers have loaded the site. Requests with malformed keys need no Redis."""
    workers = set()
    connections = (served.connect() for _ in range(1000))
    wait_until(
        lambda: workers.add(next(connections).call("finta_x").headers["X-Worker"]) or len(workers) == WORKERS,
        "all workers",
    )


def statuses(served, number):
    connection = served.connect()
    return [connection.call(served.secret).status for _ in range(number)]


def is_limited(served):
    return 429 in statuses(served, 6)


def slowest_request(served, description):
    """Call the API on several connections. Return the time of the slowest request, in seconds."""

    def call(_):
        connection, times = served.connect(), []
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            started = time.monotonic()
            assert connection.call(served.secret).status == 200
            times.append(time.monotonic() - started)
        return times

    with ThreadPoolExecutor(CALLERS) as pool:
        times = [seconds for part in pool.map(call, range(CALLERS)) for seconds in part]
    waited = sum(seconds > TIMEOUT / 4 for seconds in times)
    print(f"{description}: {max(times):.2f} s at most of {len(times):,} requests; {waited} took more than 0.25 s")
    return max(times)


@pytest.fixture
def sentinels(tmp_path):
    """A master, a replica, and three sentinels that watch them."""
    master = servers.Redis()
    replica = servers.Redis("--replicaof", "127.0.0.1", str(master.port), folder=tmp_path)
    watchers = [servers.Sentinel(master, tmp_path) for _ in range(3)]
    running = [master, replica, *watchers]
    try:
        for server in running:
            server.start()
        yield master, watchers
    finally:
        for server in running:
            server.stop()


def url_of(watchers):
    return f"redis+sentinel://{','.join(f'127.0.0.1:{watcher.port}' for watcher in watchers)}/limits"


def test_site_works_without_limits_while_redis_is_away(keyed):
    with servers.redis() as redis, limited_site(keyed, redis.url) as served:
        assert statuses(served, 6) == [200] * 5 + [429]
        redis.stop()
        assert slowest_request(served, "Redis stopped") < SLACK
        assert served.sign_in(served.owner).page("/settings/api").status == 200
        assert served.connect().call("finta_x").status == 401
        redis.start()
        wait_until(lambda: is_limited(served), "the limit to count again")
        redis.pause()
        assert slowest_request(served, "Redis hangs") < TIMEOUT + SLACK
        assert served.sign_in(served.owner).page("/settings/api").status == 200
        redis.resume()
        wait_until(lambda: is_limited(served), "the limit to count again")


def test_hanging_sentinels_delay_few_requests(keyed, sentinels):
    """Of new workers, because the others are connected to the master."""
    _, watchers = sentinels
    with limited_site(keyed, url_of(watchers)) as served:
        assert statuses(served, 6) == [200] * 5 + [429]
        served.stop()
        watchers[0].pause()
        served.start()
        wait_for_workers(served)
        started = time.monotonic()
        assert set(statuses(served, 2 * WORKERS)) == {429}, "The other sentinels know the master."
        print(f"one of three sentinels hangs: {time.monotonic() - started:.2f} s for {2 * WORKERS} requests")
        assert time.monotonic() - started < WORKERS * TIMEOUT + SLACK
        served.stop()
        for watcher in watchers[1:]:
            watcher.pause()
        served.start()
        wait_for_workers(served)
        assert slowest_request(served, "all sentinels hang") < TIMEOUT + SLACK
        for watcher in watchers:
            watcher.stop()
        assert slowest_request(served, "all sentinels dead") < TIMEOUT + SLACK
        for watcher in watchers:
            watcher.start()
        wait_until(lambda: is_limited(served), "the limit to count again")


def test_limit_counts_after_the_master_is_replaced(keyed, sentinels):
    master, watchers = sentinels
    with limited_site(keyed, url_of(watchers)) as served:
        assert statuses(served, 6) == [200] * 5 + [429]
        master.stop()
        started = time.monotonic()
        wait_until(lambda: is_limited(served), "the limit to count on the replica")
        print(f"the limit counted again {time.monotonic() - started:.1f} s after the master was lost")


def test_cluster_is_refused(keyed, tmp_path):
    """A node behind the URL of a single server is like a Redis that is away."""
    # The default port of its bus, 10,000 above the other, may not exist.
    options = ("--cluster-enabled", "yes", "--cluster-port", str(servers.free_port()))
    with servers.redis(*options, folder=tmp_path) as node:
        env = site.environment(keyed[0], RATE_LIMIT_STORAGE=node.url.replace("redis:", "redis+cluster:"))
        process = subprocess.run(
            [sys.executable, "manage.py", "check"], cwd=site.ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert process.returncode == 1
        assert process.stderr.count("\n") == 1
        assert "not a Redis Cluster" in process.stderr
        with limited_site(keyed, node.url) as served:
            assert slowest_request(served, "a node of a cluster") < SLACK
