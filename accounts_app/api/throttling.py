"""The rate limit of the API, per owner over all of the owner's keys."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts_app import limiter


class OwnerRateThrottle(BaseThrottle):
    """Counts every request with a valid key, including those that fail."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        limit = (settings.API_RATE_LIMIT, str(request.user.pk))
        try:
            if limiter.hit(*limit):
                return True
            self.seconds = limiter.retry_after(*limit)
        except limiter.Unreachable:
            # Rejecting every caller would be worse than serving authenticated callers without a
            # limit.
            limiter.log_unreachable("The API is not limited")
            return True
        return False

    def wait(self) -> float:
        return self.seconds
