"""Counting what a caller does, by a moving window, in ``RATE_LIMIT_STORAGE``.

A rate is written as ``200/minute`` or ``10/5 minutes``. All of it raises ``limits.errors.StorageError`` while the
storage cannot be reached; whether to go on without it is for the caller to say.
"""

from __future__ import annotations

import math
import time
from functools import cache

import limits
from django.conf import settings
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter


def hit(rate: str, *counted: str) -> bool:
    """Count once more what ``counted`` names, unless the window is full. Return whether it was not."""
    return _limiter(settings.RATE_LIMIT_STORAGE).hit(_parse(rate), *counted)


def wait(rate: str, *counted: str) -> int:
    """Return after how many whole seconds the oldest in the window leaves it."""
    reset = _limiter(settings.RATE_LIMIT_STORAGE).get_window_stats(_parse(rate), *counted).reset_time
    return max(1, math.ceil(reset - time.time()))


def forget(rate: str, *counted: str) -> None:
    """Start to count anew."""
    _limiter(settings.RATE_LIMIT_STORAGE).clear(_parse(rate), *counted)


@cache
def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Build the storage once per process: ``memory://`` counts in the object itself."""
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True))


@cache
def _parse(rate: str) -> limits.RateLimitItem:
    return limits.parse(rate)
