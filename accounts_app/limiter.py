"""Counting what a caller does, by moving windows, in ``RATE_LIMIT_STORAGE``.

A rate is written as ``200/minute`` or ``10/5 minutes``. Several with ``;`` between them hold all at once: ``5/minute;
9/15 minutes`` lets five through at once and makes who goes on wait longer and longer. All of it raises ``Unreachable``
while the storage cannot be reached, after a second at most; whether to go on without it is for the caller to say.
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

TELL_EVERY = 60.0  # seconds
_told: dict[str, float] = {}  # When each thing was last told, by this process.
_building = threading.Lock()


def has_room(rates: str, *counted: str) -> bool:
    """Return whether ``hit()`` would count now. Nothing is counted."""
    limiter = _limiter(settings.RATE_LIMIT_STORAGE)
    return all(limiter.test(rate, *counted) for rate in _parse(rates))


def hit(rates: str, *counted: str) -> bool:
    """Count once more what ``counted`` names, unless a window is full. Return whether none was."""
    limiter, windows = _limiter(settings.RATE_LIMIT_STORAGE), _parse(rates)
    # What one window refuses is not to fill the others. Somebody may take the last place in between: then the windows
    # before that one have counted once too often, and nothing got through.
    if len(windows) > 1 and not has_room(rates, *counted):
        return False
    return all(limiter.hit(rate, *counted) for rate in windows)


def wait(rates: str, *counted: str) -> int:
    """Return after how many whole seconds the oldest has left every window that is full; 1 where none is any more."""
    limiter = _limiter(settings.RATE_LIMIT_STORAGE)
    windows = [limiter.get_window_stats(rate, *counted) for rate in _parse(rates)]
    reset = max((window.reset_time for window in windows if window.remaining <= 0), default=0.0)
    return max(1, math.ceil(reset - time.time()))


def forget(rates: str, *counted: str) -> None:
    """Start to count anew."""
    for rate in _parse(rates):
        _limiter(settings.RATE_LIMIT_STORAGE).clear(rate, *counted)


def tell_unreachable(consequence: str) -> None:
    """Log, at most once a minute, that the storage cannot be reached and what that means."""
    now = time.monotonic()
    if now - _told.get(consequence, -TELL_EVERY) >= TELL_EVERY:
        _told[consequence] = now
        logger.warning("%s: RATE_LIMIT_STORAGE cannot be reached.", consequence, exc_info=True)


def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Return the one limiter of this process: ``memory://`` counts in the object itself.

    Built by one thread at a time: ``limits`` imports the client of Redis when it first needs it, and fails in a second
    thread that comes while it does.
    """
    with _building:
        return _built(storage)


@cache
def _built(storage: str) -> MovingWindowRateLimiter:
    # A storage that takes packets and answers none must not hold up every request.
    timeouts = {"socket_connect_timeout": 1, "socket_timeout": 1} if storage.startswith("redis") else {}
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True, **timeouts))


@cache
def _parse(rates: str) -> tuple[limits.RateLimitItem, ...]:
    return tuple(limits.parse_many(rates))
