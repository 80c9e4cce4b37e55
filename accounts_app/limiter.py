"""Rate limits with moving windows, counted in ``RATE_LIMIT_STORAGE``.

Write a rate as ``200/minute`` or ``10/5 minutes``. Several rates separated by ``;`` apply together:
``5/minute; 9/15 minutes`` allows a burst of five and then makes callers wait longer and longer.

All functions raise ``Unreachable`` if the storage cannot be reached, after one second at most. The
caller decides whether to continue without a limit.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import cache

import limits
from django.conf import settings
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

logger = logging.getLogger(__name__)

Unreachable = StorageError

LOG_INTERVAL = 60.0  # seconds between two warnings with the same message
_logged_at: dict[str, float] = {}
_build_lock = threading.Lock()


def has_room(rates: str, *identifiers: str) -> bool:
    """Return True if ``hit()`` would succeed now. Counts nothing."""
    limiter = _limiter(settings.RATE_LIMIT_STORAGE)
    return all(limiter.test(rate, *identifiers) for rate in _parse(rates))


def hit(rates: str, *identifiers: str) -> bool:
    """Count one hit unless a window is full. Return True if it was counted."""
    limiter, windows = _limiter(settings.RATE_LIMIT_STORAGE), _parse(rates)
    # A hit that one window rejects must not count in the others. If another caller takes the last
    # place in between, the earlier windows count one hit too many; nothing passes the limit.
    if len(windows) > 1 and not has_room(rates, *identifiers):
        return False
    return all(limiter.hit(rate, *identifiers) for rate in windows)


def retry_after(rates: str, *identifiers: str) -> int:
    """Return the seconds until every full window has room again, at least 1."""
    limiter = _limiter(settings.RATE_LIMIT_STORAGE)
    windows = [limiter.get_window_stats(rate, *identifiers) for rate in _parse(rates)]
    reset = max((window.reset_time for window in windows if window.remaining <= 0), default=0.0)
    return max(1, math.ceil(reset - time.time()))


def clear(rates: str, *identifiers: str) -> None:
    """Set the count back to zero."""
    for rate in _parse(rates):
        _limiter(settings.RATE_LIMIT_STORAGE).clear(rate, *identifiers)


def log_unreachable(consequence: str) -> None:
    """Log that the storage cannot be reached, and the consequence.

    At most once a minute for each.
    """
    now = time.monotonic()
    if now - _logged_at.get(consequence, -LOG_INTERVAL) >= LOG_INTERVAL:
        _logged_at[consequence] = now
        logger.warning("%s: RATE_LIMIT_STORAGE cannot be reached.", consequence, exc_info=True)


def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Return the limiter of this process. There is only one: ``memory://`` counts in the object.

    The lock is for ``limits``: it imports the Redis client on first use, and a second thread that
    arrives during the import fails.
    """
    with _build_lock:
        return _build_limiter(storage)


@cache
def _build_limiter(storage: str) -> MovingWindowRateLimiter:
    # Without timeouts, a storage that accepts connections but never replies would block every
    # request.
    timeouts = {"socket_connect_timeout": 1, "socket_timeout": 1} if storage.startswith("redis") else {}
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True, **timeouts))


@cache
def _parse(rates: str) -> tuple[limits.RateLimitItem, ...]:
    return tuple(limits.parse_many(rates))
