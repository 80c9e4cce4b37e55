"""The rate limit: per owner, over all of the owner's keys, by a moving window."""

from __future__ import annotations

import math
import time
from functools import cache

import limits
from django.conf import settings
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView


@cache
def _limiter(storage: str) -> MovingWindowRateLimiter:
    """Build the storage once per process: ``memory://`` counts in the object itself."""
    return MovingWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True))


@cache
def _limit(rate: str) -> limits.RateLimitItem:
    return limits.parse(rate)


class OwnerRateThrottle(BaseThrottle):
    """Counts every request with a good key, whatever its answer."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.limiter = _limiter(settings.RATE_LIMIT_STORAGE)
        self.entry = (_limit(settings.API_RATE_LIMIT), str(request.user.pk))
        return self.limiter.hit(*self.entry)

    def wait(self) -> float:
        """Return after how many whole seconds the oldest request leaves the window."""
        reset = self.limiter.get_window_stats(*self.entry).reset_time
        return max(1, math.ceil(reset - time.time()))
