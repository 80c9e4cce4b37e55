from __future__ import annotations

import datetime as dt

from tests.conftest import ApiClient

NOON = dt.datetime(2026, 1, 15, 12, 0, tzinfo=dt.UTC)
DETAILS = "host db1.internal refused user finta"


def call(authorization, url="/v2/me", **extra):
    """Send this Authorization header."""
    return ApiClient().get(url, HTTP_AUTHORIZATION=authorization, **extra)
