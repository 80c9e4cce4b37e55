"""The rate limit: per owner, over all of the owner's keys, by a moving window."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts_app import limiter


class OwnerRateThrottle(BaseThrottle):
    """Counts every request with a good key, whatever its answer."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.counted = (settings.API_RATE_LIMIT, str(request.user.pk))
        try:
            return limiter.hit(*self.counted)
        except limiter.Unreachable:
            # Callers with a good key are no danger to anybody; turning all of them away would be.
            limiter.log_unreachable("The API is not limited")
            return True

    def wait(self) -> float:
        return limiter.retry_after(*self.counted)
