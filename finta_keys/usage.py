"""What is written about a key after it was used: when, and its digest under the first pepper.

Both wait until the response has gone out, wait for no lock, and never fail a request (rules X3 and T3).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import Error as AnyDatabaseError
from django.db import connections, models
from django.http import HttpRequest
from django.utils import timezone

from finta_keys import conf, secret, transactions
from finta_keys.database import key_database
from finta_keys.models import ApiKey

AHEAD = timedelta(days=1)  # A last use that is further in the future was written by a clock that was wrong.

logger = logging.getLogger(__name__)
failures = 0  # How often, in this process, the write was given up.


def record_after_response(key: ApiKey, request: HttpRequest) -> None:
    """Let this use of a key be written once the response to the request has gone out.

    By what closes the request, which every server calls then. A context variable for ``request_finished`` would be lost
    under ASGI: Django answers in a task of its own, and sends that signal from another.
    """

    def close_and_record() -> None:
        del request.close  # Its own is there again, and nothing goes round in a circle that would keep the request.
        request.close()
        record(key)

    request.close = close_and_record  # type: ignore[method-assign]


def record(key: ApiKey) -> None:
    """Write what is due for a key that was found by ``authenticate()``. Fails silently and counts it."""
    global failures
    try:
        if key.first_digest != key.found_digest:
            _move_to_first_pepper(key)
        now = timezone.now()
        if key.last_used_at is None or not now - conf.last_used_interval() <= key.last_used_at <= now + AHEAD:
            _touch(key)
    except AnyDatabaseError as error:
        failures += 1
        logger.debug("Gave up writing the use of key %s, failure %d of this process: %s", key.pk, failures, error)


def _move_to_first_pepper(key: ApiKey) -> None:
    # Compare and swap: a key that was rotated in the meantime keeps its new digest.
    found = ApiKey.objects.filter(pk=key.pk, digest=key.found_digest)
    _update_unlocked(found, digest=key.first_digest, pepper_id=secret.pepper_id(conf.peppers()[0]))


def _touch(key: ApiKey) -> None:
    now = timezone.now()
    due = ~models.Q(last_used_at__range=(now - conf.last_used_interval(), now + AHEAD)) | models.Q(last_used_at=None)
    _update_unlocked(ApiKey.objects.filter(due, pk=key.pk), last_used_at=now)


def _update_unlocked(keys: models.QuerySet[ApiKey], **columns: Any) -> None:
    """Update those of ``keys`` that nobody else has locked."""
    alias = key_database()
    with _no_waiting(alias), transactions.atomic():
        free = keys.select_for_update(skip_locked=True, no_key=True)
        ApiKey.objects.filter(pk__in=list(free.values_list("pk", flat=True))).update(**columns)


@contextmanager
def _no_waiting(alias: str) -> Iterator[None]:
    """SQLite locks the whole database and knows no SKIP LOCKED: let it give up at once instead of waiting."""
    connection = connections[alias]
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        timeout = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {timeout:d}")
