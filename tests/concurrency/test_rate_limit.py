"""The rate limit is exact across the processes and threads that share its storage."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live import site

LIMIT = 100
CLIENT = """
import sys
from tests.live.site import Connection
connection = Connection(int(sys.argv[1]))
print(*(connection.call(sys.argv[2]).status for _ in range(int(sys.argv[3]))))
"""

pytestmark = pytest.mark.live


def count_statuses(port: int, secret: str, processes: int, requests: int) -> Counter[str]:
    """Send requests from several processes at once and count the responses by status."""
    command = [sys.executable, "-c", CLIENT, str(port), secret, str(requests)]
    clients = [subprocess.Popen(command, cwd=site.ROOT, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return Counter(status for client in clients for status in client.communicate()[0].split())


def test_redis_limit_is_exact_for_eight_processes(postgresql, redis):
    limits = {"API_RATE_LIMIT": f"{LIMIT}/hour", "RATE_LIMIT_STORAGE": redis.url}
    env = site.environment(postgresql.create_database("rate_limit"), **limits)
    with site.serving(env, workers=8) as served:
        owner = site.create_owner(env)
        secret = served.sign_in(owner).create("Limited").secret
        statuses = count_statuses(served.port, secret, processes=8, requests=40)
        print(dict(statuses))
        assert statuses == {"200": LIMIT, "429": 8 * 40 - LIMIT}


def test_keys_of_one_owner_share_the_limit(postgresql, redis):
    limits = {"API_RATE_LIMIT": f"{LIMIT}/hour", "RATE_LIMIT_STORAGE": redis.url}
    env = site.environment(postgresql.create_database("rate_limit_of_two"), **limits)
    with site.serving(env, workers=4) as served:
        person = served.sign_in(site.create_owner(env))
        secrets = [person.create(name).secret for name in ("One", "Two")]
        with ThreadPoolExecutor(2) as pool:
            statuses = sum(pool.map(lambda secret: count_statuses(served.port, secret, 2, 40), secrets), Counter())
        assert statuses == {"200": LIMIT, "429": 4 * 40 - LIMIT}


def test_memory_limit_is_exact_for_eight_threads(postgresql):
    env = site.environment(postgresql.create_database("rate_limit_of_threads"), API_RATE_LIMIT=f"{LIMIT}/hour")
    with site.serving(env, workers=1, threads=8) as served:
        secret = served.sign_in(site.create_owner(env)).create("Limited").secret
        statuses = count_statuses(served.port, secret, processes=8, requests=40)
        print(dict(statuses))
        assert statuses == {"200": LIMIT, "429": 8 * 40 - LIMIT}


@pytest.mark.parametrize("storage", ["redis", "memory"])
def test_window_moves(postgresql, redis, storage):
    """No span as long as the window accepts more requests than the limit."""
    window, limit = 3.0, 20
    limits = {"API_RATE_LIMIT": f"{limit}/3 seconds"}
    if storage == "redis":
        limits["RATE_LIMIT_STORAGE"] = redis.url
    env = site.environment(postgresql.create_database(f"edge_{storage}"), **limits)
    with site.serving(env, workers=1 if storage == "memory" else 4) as served:
        secret = served.sign_in(site.create_owner(env)).create("Limited").secret
        accepted: list[tuple[float, float]] = []  # start and end of each accepted request
        until = time.monotonic() + 4 * window

        def send_requests() -> None:
            connection = served.connect()
            while time.monotonic() < until:
                start = time.monotonic()
                if connection.call(secret).status == 200:
                    accepted.append((start, time.monotonic()))

        threads = [threading.Thread(target=send_requests) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"accepted {len(accepted)} in 4 windows, limit {limit} per window")
    # A request is counted between its start and end, so check those that are entirely inside a window.
    for opening in {start for start, _ in accepted}:
        inside = [1 for start, end in accepted if start >= opening and end < opening + window]
        assert len(inside) <= limit
    assert len(accepted) >= 3 * limit
