"""The signed request of ``doctor --url``: the site reports which of its headers arrive.

Only the holder of ``SECRET_KEY`` can send it. The report has no address and no value of a setting.
"""

from __future__ import annotations

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest

HEADER = "X-Doctor"
WRONG_COUNT, NO_AUTHORIZATION, OK = "wrong-count", "no-authorization", "ok"
_SALT = "accounts_app.doctor"
_MAX_AGE = 300  # seconds
_ADDRESS = "192.0.2.1"  # of no client: reserved for documents


def headers() -> dict[str, str]:
    """Return the headers of a request to ``/v2/health``."""
    token = TimestampSigner(salt=_SALT).sign("probe")
    return {HEADER: token, "Authorization": "Doctor", "X-Forwarded-For": _ADDRESS}


def report(request: HttpRequest) -> str | None:
    """Return the faults in the headers of a signed request, or None for any other request."""
    try:
        TimestampSigner(salt=_SALT).unsign(request.headers.get(HEADER, ""), max_age=_MAX_AGE)
    except BadSignature:
        return None
    # Each proxy appends an entry. The first one may also remove the entry of the client.
    entries = [entry.strip() for entry in request.headers.get("X-Forwarded-For", "").split(",") if entry.strip()]
    proxies = len(entries) - (entries[:1] == [_ADDRESS])
    findings = [WRONG_COUNT] if proxies != (settings.TRUSTED_PROXY_COUNT or 0) else []
    findings += [NO_AUTHORIZATION] if request.headers.get("Authorization") != "Doctor" else []
    return " ".join(findings) or OK
