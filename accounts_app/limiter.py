"""Rate limits with moving windows, counted in ``RATE_LIMIT_STORAGE``.

Write a rate as ``200/minute`` or ``10/5 minutes``. Several rates separated by ``;`` apply together:
``5/minute; 9/15 minutes`` allows a burst of five and then makes callers wait longer and longer.

All functions raise ``Unreachable`` if the storage cannot be reached, after one second at most, or
two with Sentinel. For the next second they raise it at once, so a storage that does not respond
delays one request a second. The caller decides whether to continue without a limit.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from functools import cache
from typing import Any

import limits
from django.conf import settings
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

logger = logging.getLogger(__name__)

Unreachable = StorageError

TIMEOUT = 1.0  # seconds
RETRY_INTERVAL = 1.0  # seconds
LOG_INTERVAL = 60.0  # seconds between two warnings with the same message
_logged_at: dict[str, float] = {}
_build_lock = threading.Lock()


def has_room(rates: str, *identifiers: str) -> bool:
    """Return True if ``hit()`` would succeed now, without counting a hit."""
    return all(_run("test", rate, *identifiers) for rate in _parse(rates))


def hit(rates: str, *identifiers: str) -> bool:
    """Count one hit unless a window is full. Return True if it was counted."""
    windows = _parse(rates)
    # A hit that one window rejects must not count in the others. If another caller takes the last
    # place in between, the earlier windows count one hit too many; nothing passes the limit.
    if len(windows) > 1 and not has_room(rates, *identifiers):
        return False
    return all(_run("hit", rate, *identifiers) for rate in windows)


def retry_after(rates: str, *identifiers: str) -> int:
    """Return the seconds until every full window has room again, at least 1."""
    windows = [_run("get_window_stats", rate, *identifiers) for rate in _parse(rates)]
    reset = max((window.reset_time for window in windows if window.remaining <= 0), default=0.0)
    return max(1, math.ceil(reset - time.time()))


def clear(rates: str, *identifiers: str) -> None:
    """Set the count back to zero."""
    for rate in _parse(rates):
        _run("clear", rate, *identifiers)


def log_unreachable(consequence: str) -> None:
    """Log a warning with the consequence, at most once a minute for each consequence."""
    now = time.monotonic()
    if now - _logged_at.get(consequence, -LOG_INTERVAL) >= LOG_INTERVAL:
        _logged_at[consequence] = now
        logger.warning("%s: RATE_LIMIT_STORAGE cannot be reached.", consequence, exc_info=True)


def _run(operation: str, rate: limits.RateLimitItem, *identifiers: str) -> Any:
    limiter, breaker = _limiter(settings.RATE_LIMIT_STORAGE), _breaker(settings.RATE_LIMIT_STORAGE)
    if not breaker.allows_call():
        raise Unreachable(TimeoutError("The storage did not respond a moment ago."))
    try:
        result = getattr(limiter, operation)(rate, *identifiers)
    except StorageError:
        breaker.open()
        raise
    breaker.close()
    return result


class Breaker:
    """Stops calls for ``RETRY_INTERVAL`` after a failed one. Then it allows one call in each
    interval."""

    def __init__(self) -> None:
        self._retry_at = 0.0  # 0 if the last call succeeded
        self._lock = threading.Lock()

    def allows_call(self) -> bool:
        if not self._retry_at:
            return True
        with self._lock:
            if time.monotonic() < self._retry_at:
                return False
            self.open()  # Other callers wait for the result of this call.
            return True

    def open(self) -> None:
        self._retry_at = time.monotonic() + RETRY_INTERVAL

    def close(self) -> None:
        self._retry_at = 0.0


@cache
def _breaker(storage: str) -> Breaker:
    return Breaker()


def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Return the limiter of this process. There is only one: ``memory://`` counts in the object.

    The lock is for ``limits``: it imports the Redis client on first use, and a second thread that
    arrives during the import fails.
    """
    with _build_lock:
        return _build_limiter(storage)


@cache
def _build_limiter(storage: str) -> MovingWindowRateLimiter:
    options: dict[str, Any] = _redis_options(storage) if storage.startswith("redis") else {}
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True, **options))


def _redis_options(storage: str) -> dict[str, Any]:
    """Return the options of the Redis client: it fails after ``TIMEOUT`` and does not retry.

    By default it retries several times, and waits for a silent sentinel without a limit.
    """
    from redis.backoff import NoBackoff  # here, because memory:// does not need the client
    from redis.retry import Retry

    def limited(seconds: float) -> dict[str, Any]:
        return {"socket_connect_timeout": seconds, "socket_timeout": seconds, "retry": Retry(NoBackoff(), 0)}

    if not storage.startswith("redis+sentinel:"):
        return limited(TIMEOUT)
    sentinels = storage.count(",") + 1  # asked in turn
    # Replicas lag behind, and each connection to one asks the sentinels too.
    return {**limited(TIMEOUT), "sentinel_kwargs": limited(TIMEOUT / sentinels), "use_replicas": False}


def worker_count() -> int:
    """Return the number of server processes if ``WEB_CONCURRENCY`` sets it, otherwise 1."""
    text = os.environ.get("WEB_CONCURRENCY", "").strip()
    return int(text) if text.isdecimal() else 1


@cache
def _parse(rates: str) -> tuple[limits.RateLimitItem, ...]:
    return tuple(limits.parse_many(rates))
