"""Handle a database that does not respond or is no longer the primary. The response is a 503, and
the log has at most one line a minute."""

from __future__ import annotations

import logging
import threading
import time

from django.db import InterfaceError, InternalError, OperationalError, connections

from finta_keys.transactions import sqlstate

READ_ONLY = "25006"  # PostgreSQL's SQLSTATE code for a write on a standby or a read-only server
LOG_INTERVAL = 60.0  # seconds between two lines

logger = logging.getLogger(__name__)


def is_unavailable(error: BaseException) -> bool:
    """Return True if the same request may succeed later, or on another server."""
    return isinstance(error, OperationalError | InterfaceError) or _is_read_only(error)


def handle(error: BaseException) -> None:
    """Log an error that ``is_unavailable()`` accepts. If the server can only read, close the
    connection, so that the next request connects to the new primary."""
    if _is_read_only(error):
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
    _log.add(error)


def _is_read_only(error: BaseException) -> bool:
    return isinstance(error, InternalError) and sqlstate(error) == READ_ONLY


class OutageLog:
    """Logs the first error at once, then one line a minute with the number of errors since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count, self._silent_until = 0, 0.0

    def add(self, error: BaseException) -> None:
        with self._lock:
            self._count += 1
            if time.monotonic() < self._silent_until:
                return
            count, self._count = self._count, 0
            self._silent_until = time.monotonic() + LOG_INTERVAL
        logger.error(
            "The database did not respond. Requests that failed since the last such line: %d", count, exc_info=error
        )


_log = OutageLog()
