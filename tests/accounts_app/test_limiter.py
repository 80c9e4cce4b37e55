"""Rate limits shared by threads."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client

from accounts_app import limiter
from tests.accounts_app.sign_in.helpers import attempt
from tests.factories import PASSWORD


@pytest.fixture
def silent_redis(settings, monkeypatch):
    """A server that accepts connections and packets and never responds. Yields its connections."""
    connections = []

    def accept():
        while True:
            try:
                connections.append(server.accept())
            except OSError:  # closed
                return

    monkeypatch.setattr(limiter, "TIMEOUT", 0.05)
    monkeypatch.setattr(limiter, "RETRY_INTERVAL", 1000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        settings.RATE_LIMIT_STORAGE = f"redis://127.0.0.1:{server.getsockname()[1]}"
        yield connections
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    for connection, _ in connections:
        connection.close()


def test_silent_redis_is_called_once(silent_redis, unrestricted):
    """Neither a retry nor the next requests wait for it."""
    assert [unrestricted.client.get("/v2/me").status_code for _ in range(5)] == [200] * 5
    assert len(silent_redis) == 1


def test_storage_failure_at_full_window_allows_request(settings, unrestricted, monkeypatch):
    """Between the rejected hit and the lookup of the time to wait."""

    def fail(*args):
        raise limiter.Unreachable(TimeoutError())

    settings.API_RATE_LIMIT = "1/minute"
    assert [unrestricted.client.get("/v2/me").status_code for _ in range(2)] == [200, 429]
    monkeypatch.setattr(limiter, "retry_after", fail)
    assert unrestricted.client.get("/v2/me").status_code == 200


def test_sign_in_calls_silent_redis_once(silent_redis, alice):
    """Counting a failure or clearing the count is a second call in the same request."""
    assert attempt().status_code == 200
    assert attempt(password=PASSWORD).status_code == 302
    assert Client().post("/password/reset", {"email": alice.email}).status_code == 302
    assert len(silent_redis) == 1


def test_one_call_after_the_interval_tries_again(silent_redis, monkeypatch):
    def hit():
        with pytest.raises(limiter.Unreachable):
            limiter.hit("5/minute", "x")

    hit()
    breaker = limiter._breaker(limiter.settings.RATE_LIMIT_STORAGE)
    breaker._retry_at = time.monotonic() - 1
    hit()
    hit()
    assert len(silent_redis) == 2


def test_limits_count_again_after_success(settings):
    breaker = limiter._breaker(settings.RATE_LIMIT_STORAGE)
    breaker.open()
    breaker._retry_at = time.monotonic() - 1
    assert [limiter.hit("2/minute", "x") for _ in range(3)] == [True, True, False]


def test_breaker_closes_after_success():
    breaker = limiter.Breaker()
    breaker.open()
    assert not breaker.allows_call()
    breaker._retry_at = time.monotonic() - 1
    assert [breaker.allows_call(), breaker.allows_call()] == [True, False]
    breaker.close()
    assert [breaker.allows_call(), breaker.allows_call()] == [True, True]


def test_concurrent_threads_share_one_storage(monkeypatch):
    """Two storages would count separately, and creating two at once can fail."""
    build, built = limiter.storage_from_string, []
    both = threading.Barrier(2)

    def slowly(*args, **options):
        built.append(build(*args, **options))
        time.sleep(0.05)  # lets the other thread arrive
        return built[-1]

    def come():
        both.wait(10)
        return limiter._limiter("memory://")

    monkeypatch.setattr(limiter, "storage_from_string", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = (item.result(10) for item in [pool.submit(come), pool.submit(come)])
    assert first is second
    assert len(built) == 1


def test_counts_are_not_read_from_lagging_replicas():
    assert limiter._redis_options("redis+sentinel://a:1,b:1/limits")["use_replicas"] is False


def test_silent_sentinels_share_one_timeout(silent_redis, settings, unrestricted, monkeypatch):
    """Without options, the client waits without a limit for a sentinel, and asks it again."""
    monkeypatch.setattr(limiter, "TIMEOUT", 0.3)
    server = settings.RATE_LIMIT_STORAGE.removeprefix("redis://")
    settings.RATE_LIMIT_STORAGE = f"redis+sentinel://{server},{server},{server}/limits"
    started = time.monotonic()
    assert [unrestricted.client.get("/v2/me").status_code for _ in range(5)] == [200] * 5
    assert time.monotonic() - started < 10
    assert len(silent_redis) == 3
