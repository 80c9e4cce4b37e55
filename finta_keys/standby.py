"""Wait until a standby of PostgreSQL has a change, so that the loss of the primary cannot undo it.

The change commits first, without waiting: it is in effect, and no lock is held. Then a second
transaction writes a message to the log that the standbys replay, and its commit waits for one of
them. Another thread cancels the wait. Nothing waits if ``FINTA_KEYS_STANDBY_TIMEOUT`` is not set.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from django.db import Error as AnyDatabaseError
from django.db import connections, transaction
from django.utils.translation import gettext as _

from finta_keys import conf
from finta_keys.database import key_database
from finta_keys.transactions import commit_locally

# Seconds to wait if the last wait failed, or if another request of this process waits already.
# Otherwise an absent standby would occupy every thread of a server for the whole timeout.
SHORT_TIMEOUT = 0.2
CANCEL_TIMEOUT = 5.0  # seconds to send a cancellation
RETRY_INTERVAL = 0.5  # seconds between two cancellations

MESSAGE = """
SELECT set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'finta_keys', ''),
    current_setting('synchronous_standby_names')
"""

logger = logging.getLogger(__name__)
_is_unconfirmed: ContextVar[bool] = ContextVar("finta_keys_is_unconfirmed", default=False)
_first_waiter = threading.Lock()
_last_wait_failed = False


def confirm_change() -> None:
    """Wait until a standby has the changes of this transaction, after it commits, or those before
    now if none is open. ``take_unconfirmed()`` says if the wait failed.

    The methods of a key do this. Call it in code of your own that shuts users out.
    """
    if conf.standby_timeout() is None:
        return
    _is_unconfirmed.set(False)
    connection: Any = connections[key_database()]
    if connection.in_atomic_block:
        commit_locally()
    if not any(hook[1] is _confirm for hook in connection.run_on_commit):
        transaction.on_commit(_confirm, using=key_database())


def take_unconfirmed() -> bool:
    """Return True, once, if no standby has confirmed the last change of this thread or task."""
    is_unconfirmed = _is_unconfirmed.get()
    _is_unconfirmed.set(False)
    return is_unconfirmed


def sentence() -> str:
    """Return what users need to know about a change that no standby has confirmed."""
    return _(
        "This change is in effect, but it is not yet safe against the loss of the database server. "
        "If the service fails in the next minutes, check it again."
    )


def is_supported() -> bool:
    """Return True if the database of the keys is PostgreSQL, with a psycopg that can wait."""
    if connections[key_database()].vendor != "postgresql":
        return False
    import psycopg

    return hasattr(psycopg.Connection, "cancel_safe")


def _confirm() -> None:
    global _last_wait_failed
    timeout = float(conf.standby_timeout() or 0)
    is_first = _first_waiter.acquire(blocking=False)
    try:
        is_short = _last_wait_failed or not is_first
        is_confirmed = _commit_on_standby(min(timeout, SHORT_TIMEOUT) if is_short else timeout)
    except AnyDatabaseError:  # The connection was lost. The change was committed before.
        is_confirmed = False
    finally:
        if is_first:
            _first_waiter.release()
    if not is_confirmed:
        _is_unconfirmed.set(True)
    if is_confirmed == _last_wait_failed:
        text = "A standby confirms changes again." if is_confirmed else "No standby confirms changes in time."
        logger.warning(text)
    _last_wait_failed = not is_confirmed


def _cancel_after(timeout: float, driver: Any, has_ended: threading.Event) -> None:
    """Cancel the statement of a connection after a timeout, and again until it has ended."""
    while not has_ended.wait(timeout):
        timeout = RETRY_INTERVAL
        with suppress(Exception):  # The server is busy or gone. Nothing else would end the wait.
            driver.cancel_safe(timeout=CANCEL_TIMEOUT)


def _commit_on_standby(timeout: float) -> bool:
    """Return True if a synchronous standby has everything that was committed before."""
    connection: Any = connections[key_database()]
    connection.ensure_connection()
    driver: Any = connection.connection
    notices: list[Any] = []
    note = notices.append
    driver.add_notice_handler(note)
    has_ended = threading.Event()
    canceller = threading.Thread(target=_cancel_after, args=(timeout, driver, has_ended), daemon=True)
    canceller.start()
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(MESSAGE)
            standby_names = cursor.fetchone()[2]
    finally:
        has_ended.set()
        canceller.join()  # Otherwise it could cancel the next statement.
        driver.remove_notice_handler(note)
    # PostgreSQL commits although the wait was cancelled, and sends a warning.
    return bool(standby_names) and not notices
