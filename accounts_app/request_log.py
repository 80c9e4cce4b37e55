"""One line in the log for each request, and one for the start of a process.

A request's id is made here and is in its answer as ``X-Request-Id``: who reports an error can name it. What a client
sends under that name is not looked at, so nobody can make two requests look like one.
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
from accounts_app import logs
from finta_keys import conf
from finta_keys.models import ApiKey

HEADER = "X-Request-Id"

requests = logging.getLogger("finta.request")
start = logging.getLogger("finta.start")


class RequestLogMiddleware:
    """Give each request an id, tell it in the answer, and write the request's line when the answer is made.

    First in the list: all other middleware, and what they log, is inside. No query is made for a line: whose key or
    session it was is told where the answer had to find that out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Never reset: Django logs errors, and the use of a key is written, after this has returned. The next request
        # of the thread sets its own.
        request_id = uuid.uuid4().hex
        logs.request_id.set(request_id)
        began = time.monotonic()
        status = 500
        try:
            response = self.get_response(request)
            status = response.status_code
        finally:
            _log_request(request, status, time.monotonic() - began)
        response[HEADER] = request_id
        return response


def _log_request(request: HttpRequest, status: int, seconds: float) -> None:
    if not requests.isEnabledFor(logging.INFO):
        return
    key = getattr(request, "auth", None)
    key = key if isinstance(key, ApiKey) else None
    fields = {
        "method": request.method,
        "path": request.path,  # never with the query: somebody may have pasted a secret into a search
        "status": status,
        "ms": round(seconds * 1000, 1),
        "key_id": str(key.pk) if key else None,
        "owner_id": str(key.owner_id) if key else None,
        "user_id": None if key else _known_user_id(request),
    }
    # Quoted: a line break in a path must not begin a line in the log.
    path = quote(request.path, safe="/:@!$&'()*+,;=~", errors="replace")
    requests.info("%s %s %d in %.1f ms", request.method, path, status, fields["ms"], extra=fields)


def _known_user_id(request: HttpRequest) -> str | None:
    """Return the id of the person who is signed in, if the answer needed it: looking now would cost a query."""
    user = getattr(request, "user", None)
    if isinstance(user, LazyObject) and user._wrapped is empty:
        return None
    pk = getattr(user, "pk", None)
    return None if pk is None else str(pk)


def log_start() -> None:
    """Write what this process is and what it works with, without passwords."""
    database = connections[conf.database()]
    start.info(
        "Finta keys %s on Django %s, Python %s; database %s %s; rate limits in %s; DEBUG %s; peppers: %d",
        finta_keys.__version__,
        django.get_version(),
        sys.version.partition(" ")[0],
        database.vendor,
        database.settings_dict["NAME"],
        _without_user(settings.RATE_LIMIT_STORAGE),
        "on" if settings.DEBUG else "off",
        len(settings.FINTA_KEYS_PEPPERS),
    )


def _without_user(address: str) -> str:
    """Return scheme and host of an address: the rest may be a password too, or hold one."""
    scheme, _, rest = address.partition("://")
    host = re.split("[/?#]", rest.rpartition("@")[2])[0]
    return f"{scheme}://{host}"
