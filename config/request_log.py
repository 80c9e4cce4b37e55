"""Log one line per request, and one line when a process starts.

Each request gets a new id, which its response carries as ``X-Request-Id``. An id sent by the client
is ignored, so clients cannot make two requests look like one.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from collections.abc import Callable
from urllib.parse import quote

import django
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

import finta_keys
from config import log_formatters
from finta_keys.database import key_database
from finta_keys.models import ApiKey

HEADER = "X-Request-Id"

requests = logging.getLogger("finta.request")
start = logging.getLogger("finta.start")


class RequestLogMiddleware:
    """Give each request an id and log one line when the response is complete.

    Must be the first middleware, so that every log line of a request has its id. Logging makes no
    queries: the line names the key or user only if the view loaded them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not reset afterwards: Django logs errors, and usage is written, after this has returned.
        # The next request of the thread sets its own id.
        request_id = uuid.uuid4().hex
        log_formatters.request_id.set(request_id)
        started = time.monotonic()
        status = 500
        try:
            response = self.get_response(request)
            status = response.status_code
        finally:
            _log_request(request, status, time.monotonic() - started)
        response[HEADER] = request_id
        return response


def _log_request(request: HttpRequest, status: int, seconds: float) -> None:
    if not requests.isEnabledFor(logging.INFO):
        return
    key = getattr(request, "auth", None)
    key = key if isinstance(key, ApiKey) else None
    fields = {
        "method": request.method,
        # Without the query, which can contain a secret that the user searched for.
        "path": request.path,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "key_id": str(key.pk) if key else None,
        "owner_id": str(key.owner_id) if key else None,
        "user_id": None if key else _loaded_user_id(request),
    }
    # Quoted, because a line break in the path must not start a new log line.
    path = quote(request.path, safe="/:@!$&'()*+,;=~", errors="replace")
    requests.info("%s %s %d in %.1f ms", request.method, path, status, fields["ms"], extra=fields)


def _loaded_user_id(request: HttpRequest) -> str | None:
    """Return the id of the signed-in user if the user was loaded.

    Loading it now would cost a query.
    """
    user = getattr(request, "user", None)
    if isinstance(user, LazyObject) and user._wrapped is empty:
        return None
    pk = getattr(user, "pk", None)
    return None if pk is None else str(pk)


def log_start() -> None:
    """Log the versions and settings that this process runs with, without passwords."""
    database = connections[key_database()]
    start.info(
        "Finta keys %s on Django %s, Python %s; database %s %s; rate limits in %s; DEBUG %s; peppers: %d",
        finta_keys.__version__,
        django.get_version(),
        sys.version.partition(" ")[0],
        database.vendor,
        database.settings_dict["NAME"],
        _scheme_and_host(settings.RATE_LIMIT_STORAGE),
        "on" if settings.DEBUG else "off",
        len(settings.FINTA_KEYS_PEPPERS),
    )


def _scheme_and_host(url: str) -> str:
    """Return only the scheme and host: the user, path and query can contain a password."""
    scheme, _, rest = url.partition("://")
    host = re.split("[/?#]", rest.rpartition("@")[2])[0]
    return f"{scheme}://{host}"
