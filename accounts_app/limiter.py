"""Counting what a caller does, by moving windows, in ``RATE_LIMIT_STORAGE``.

A rate is written as ``200/minute`` or ``10/5 minutes``. Several with ``;`` between them hold all at once: ``5/minute;
9/15 minutes`` lets five through at once and makes who goes on wait longer and longer. All of it raises
``limits.errors.StorageError`` while the storage cannot be reached; whether to go on without it is for the caller to
say.
"""

from __future__ import annotations

import math
import time
from functools import cache

import limits
from django.conf import settings
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter


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


@cache
def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Build the storage once per process: ``memory://`` counts in the object itself."""
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True))


@cache
def _parse(rates: str) -> tuple[limits.RateLimitItem, ...]:
    return tuple(limits.parse_many(rates))
