"""The rate limit counts exactly, over all processes and threads that share its storage."""

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
ASK = """
import sys
from tests.live.site import Connection
connection = Connection(int(sys.argv[1]))
print(*(connection.call(sys.argv[2]).status for _ in range(int(sys.argv[3]))))
"""

pytestmark = pytest.mark.live


def statuses_of(port: int, secret: str, processes: int, each: int) -> Counter[str]:
    """Return how often each status was answered to so many processes that ask at once."""
    command = [sys.executable, "-c", ASK, str(port), secret, str(each)]
    askers = [subprocess.Popen(command, cwd=site.ROOT, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return Counter(status for asker in askers for status in asker.communicate()[0].split())


def test_of_eight_processes_exactly_as_many_pass_as_may_on_redis(postgresql, redis):
    limits = {"API_RATE_LIMIT": f"{LIMIT}/hour", "RATE_LIMIT_STORAGE": redis.url}
    env = site.environment(postgresql.make("rate_limit"), **limits)
    with site.serving(env, workers=8) as served:
        owner = site.make_owner(env)
        secret = served.sign_in(owner).create("Limited").secret
        found = statuses_of(served.port, secret, processes=8, each=40)
        print(dict(found))
        assert found == {"200": LIMIT, "429": 8 * 40 - LIMIT}


def test_a_second_key_of_the_owner_has_no_allowance_of_its_own(postgresql, redis):
    limits = {"API_RATE_LIMIT": f"{LIMIT}/hour", "RATE_LIMIT_STORAGE": redis.url}
    env = site.environment(postgresql.make("rate_limit_of_two"), **limits)
    with site.serving(env, workers=4) as served:
        person = served.sign_in(site.make_owner(env))
        secrets = [person.create(name).secret for name in ("One", "Two")]
        with ThreadPoolExecutor(2) as pool:
            found = sum(pool.map(lambda secret: statuses_of(served.port, secret, 2, 40), secrets), Counter())
        assert found == {"200": LIMIT, "429": 4 * 40 - LIMIT}


def test_of_eight_threads_exactly_as_many_pass_as_may_in_one_process(postgresql):
    env = site.environment(postgresql.make("rate_limit_of_threads"), API_RATE_LIMIT=f"{LIMIT}/hour")
    with site.serving(env, workers=1, threads=8) as served:
        secret = served.sign_in(site.make_owner(env)).create("Limited").secret
        found = statuses_of(served.port, secret, processes=8, each=40)
        print(dict(found))
        assert found == {"200": LIMIT, "429": 8 * 40 - LIMIT}


@pytest.mark.parametrize("storage", ["redis", "memory"])
def test_the_window_moves_and_never_lets_more_through_at_its_edge(postgresql, redis, storage):
    """In any span of a window's length at most as many pass as may, however the requests are spread."""
    window, limit = 3.0, 20
    limits = {"API_RATE_LIMIT": f"{limit}/3 seconds"}
    if storage == "redis":
        limits["RATE_LIMIT_STORAGE"] = redis.url
    env = site.environment(postgresql.make(f"edge_{storage}"), **limits)
    with site.serving(env, workers=1 if storage == "memory" else 4) as served:
        secret = served.sign_in(site.make_owner(env)).create("Limited").secret
        passed: list[tuple[float, float]] = []  # when each was asked, and when it was answered
        until = time.monotonic() + 4 * window

        def ask() -> None:
            connection = served.connect()
            while time.monotonic() < until:
                begun = time.monotonic()
                if connection.call(secret).status == 200:
                    passed.append((begun, time.monotonic()))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{len(passed)} of at most {limit} a window passed in 4 windows")
    # Counted at some moment between asked and answered: those that lie in a window for certain.
    for start in {begun for begun, _ in passed}:
        inside = [1 for begun, answered in passed if begun >= start and answered < start + window]
        assert len(inside) <= limit
    assert len(passed) >= 3 * limit
