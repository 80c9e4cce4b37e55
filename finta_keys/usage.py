"""Updates after a key was used: the time of last use, the digest under the first pepper, and the
counts of its use.

They run after the response, wait for no lock, and never fail a request (rules X3 and T3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import Error as AnyDatabaseError
from django.db import connections, models
from django.http import HttpRequest
from django.utils import timezone

from finta_keys import conf, secret, transactions, usage_counts
from finta_keys.database import key_database
from finta_keys.models import ApiKey

CLOCK_TOLERANCE = timedelta(days=1)  # A last use further in the future was written with a wrong clock.

logger = logging.getLogger(__name__)
failures = 0  # the number of failed updates in this process


def record_after_response(key: ApiKey, request: HttpRequest) -> None:
    """Count the request, and call ``record(key)``, after the response."""

    def count_and_record() -> None:
        usage_counts.count(key, request)
        record(key)

    _call_after_response(request, count_and_record)


def count_try_after_response(digest: bytes, request: HttpRequest) -> None:
    """Count that the retired secret with this digest was sent, after the response."""
    _call_after_response(request, lambda: usage_counts.count_try(digest, request))


def _call_after_response(request: HttpRequest, function: Callable[[], None]) -> None:
    """Call a function when the server closes the request.

    Hooks ``request.close()``, because ``request_finished`` is sent in another context under ASGI,
    so a context variable would be lost.
    """

    def close_and_call() -> None:
        del request.close  # Uncover the method of the class, and break the reference cycle.
        request.close()
        function()

    request.close = close_and_call  # type: ignore[method-assign]


def record(key: ApiKey) -> None:
    """Save the pending updates of a key that ``authenticate()`` returned. Database errors are
    only counted."""
    global failures
    try:
        if key.first_pepper_digest != key.matched_digest:
            _move_to_first_pepper(key)
        now = timezone.now()
        used_at = key.secret_last_used_at
        if used_at is None or not now - conf.last_used_interval() <= used_at <= now + CLOCK_TOLERANCE:
            _update_last_used(key)
    except AnyDatabaseError as error:
        failures += 1
        logger.debug("Could not record the use of key %s (failure %d of this process): %s", key.pk, failures, error)


def _move_to_first_pepper(key: ApiKey) -> None:
    # Compare and swap: a key that was rotated since keeps its new digest.
    unchanged = ApiKey.objects.filter(pk=key.pk, digest=key.matched_digest)
    _update_unlocked(unchanged, digest=key.first_pepper_digest, pepper_id=secret.pepper_id(conf.peppers()[0]))


def _update_last_used(key: ApiKey) -> None:
    now = timezone.now()
    recent = models.Q(last_used_at__range=(now - conf.last_used_interval(), now + CLOCK_TOLERANCE))
    old_secret = models.Q(last_used_at__lt=models.F("rotated_at"))
    # The rotation: a key that was rotated since was not used with its new secret.
    keys = ApiKey.objects.filter(pk=key.pk, rotation=key.rotation)
    _update_unlocked(keys.filter(~recent | old_secret | models.Q(last_used_at=None)), last_used_at=now)


def _update_unlocked(keys: models.QuerySet[ApiKey], **columns: Any) -> None:
    """Update the keys that no other transaction has locked."""
    with _no_waiting(key_database()), transactions.atomic():
        transactions.commit_locally()
        unlocked = keys.select_for_update(skip_locked=True, no_key=True)
        ApiKey.objects.filter(pk__in=list(unlocked.values_list("pk", flat=True))).update(**columns)


@contextmanager
def _no_waiting(alias: str) -> Iterator[None]:
    """On SQLite, which ignores SKIP LOCKED and locks the whole database, fail at once instead of
    waiting."""
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
