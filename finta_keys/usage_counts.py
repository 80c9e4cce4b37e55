"""Count the use of keys in this process, and save the counts at most a minute later (rule H2).

A thread saves them. It starts at the first count, holds no database connection while it waits, and
ends when everything is saved. Counts that are left when the process exits are saved then. SIGKILL
loses those of the last minute.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone
from rest_framework.permissions import SAFE_METHODS

from finta_keys import usage_store
from finta_keys.models import ApiKey
from finta_keys.request_state import RequestState, state_of
from finta_keys.sources import source_of

SAVE_AFTER = 50.0  # seconds after the first count; the rest of the minute is for saving
MAX_PENDING = 200_000  # counts that are kept while they cannot be saved
MAX_TRIED = 10_000  # retired secrets whose tries are counted at a time
EXIT_TIMEOUT = 10.0  # seconds that an exiting process waits for its thread to save

logger = logging.getLogger(__name__)


class Pending:
    """Counts that are not saved yet."""

    def __init__(self) -> None:
        self.keys: usage_store.KeyCounts = {}
        self.accounts: usage_store.AccountCounts = {}
        self.tries: usage_store.Tries = {}
        self._known: defaultdict[Any, dict[str, set[str]]] = defaultdict(dict)  # sources and agents by key and day

    def __len__(self) -> int:
        return len(self.keys) + len(self.accounts) + len(self.tries)

    def add(self, key_id: Any, state: RequestState, method: str, source: tuple[str, str]) -> None:
        now = timezone.now()
        day = now.date()
        row = (key_id, day, *source)
        counts = self.keys.get(row)
        if counts is None:
            row = (key_id, day, *usage_store.capped(self._known[key_id, day], *source))
            counts = self.keys.setdefault(row, [0, 0, 0, 0, now, now])  # requests, reads, writes, refused
        counts[0] += 1
        counts[-1] = now
        if state.status < 400:
            counts[1 if method in SAFE_METHODS or state.only_reads else 2] += 1
            for account in state.shown:
                shown = self.accounts.setdefault((key_id, account, day), [0, now, now])
                shown[0] += 1
                shown[-1] = now
        elif state.status < 500:
            counts[3] += 1

    def add_try(self, digest: bytes, source: tuple[str, str]) -> None:
        if digest in self.tries or len(self.tries) < MAX_TRIED:
            usage_store.add_tries(self.tries, digest, (1, timezone.now(), *source))

    def merge(self, other: Pending) -> None:
        for row, counts in other.keys.items():
            usage_store.merge(self.keys, row, counts)
        for account_row, counts in other.accounts.items():
            usage_store.merge(self.accounts, account_row, counts)
        for digest, tries in other.tries.items():
            usage_store.add_tries(self.tries, digest, tries)


_lock = threading.Lock()  # around the names below; held for microseconds
_pending = Pending()
_thread: threading.Thread | None = None
_save_lock = threading.Lock()  # held while counts are saved
_databases: dict[str, Any] = {}  # their names by alias; Django's test runners change them
# Set by ``finta_keys.testing.count_usage()``. Tests count nothing without it, and start no thread.
is_counting_in_tests = False


def count(key: ApiKey, request: Any) -> None:
    """Count a request by a key, when its response has been sent."""
    _add(lambda source: _pending.add(key.pk, state_of(request), request.method, source), request)


def count_try(digest: bytes, request: Any) -> None:
    """Count that a request sent a retired secret."""
    _add(lambda source: _pending.add_try(digest, source), request)


def _add(add: Callable[[tuple[str, str]], None], request: Any) -> None:
    if is_in_test() and not is_counting_in_tests:
        return
    source = source_of(request)
    with _lock:
        add(source)
        if _thread is None and not is_in_test():
            _start_thread()


def save() -> None:
    """Save all counts of this process. If the database fails, they are kept for the next time."""
    global _pending
    with _save_lock:
        with _lock:
            saving, _pending = _pending, Pending()
        try:
            usage_store.save(saving.keys, saving.accounts)
            usage_store.save_tries(saving.tries)
        except Exception as error:
            # Any error: a request must not find out, and a thread must not end.
            logger.warning("Could not save how often keys were used: %s", error)
            with _lock:
                _keep(saving)


def discard() -> None:
    """Forget the counts of this process."""
    global _pending
    with _lock:
        _pending = Pending()


def remember_databases() -> None:
    """Remember the databases that this process begins with. Later calls change nothing."""
    global _databases
    _databases = _databases or _database_names()


def is_in_test() -> bool:
    """Return True if Django uses a test database instead of the one that the process began with.

    A thread would save counts between tests, into a database that is emptied or removed, or after
    them, into that of the project.
    """
    return _databases != _database_names()


def _database_names() -> dict[str, Any]:
    return {alias: database.get("NAME") for alias, database in settings.DATABASES.items()}


def _keep(unsaved: Pending) -> None:
    if len(unsaved) > MAX_PENDING:
        logger.error("Lost %d counts of the use of keys, because they could not be saved.", len(unsaved))
    else:
        _pending.merge(unsaved)


def _start_thread() -> None:
    global _thread
    thread = threading.Thread(target=_save_until_empty, name="finta_keys usage", daemon=True)
    with suppress(RuntimeError):  # The process cannot start threads now. The next request tries again.
        thread.start()
        _thread = thread


def _save_until_empty() -> None:
    global _thread
    while True:
        time.sleep(SAVE_AFTER)
        save()
        connections.close_all()
        with _lock:
            if not _pending:
                _thread = None
                return


def _save_at_exit() -> None:
    if is_in_test() or not _pending:
        return
    # The thread may be saving, and hold the lock.
    if _save_lock.acquire(timeout=EXIT_TIMEOUT):
        _save_lock.release()
        save()
        with suppress(Exception):
            connections.close_all()


def _reset_after_fork() -> None:
    """Begin without counts in a child process. The parent saves them, and its thread is not in the
    child."""
    global _lock, _save_lock, _pending, _thread
    _lock, _save_lock = threading.Lock(), threading.Lock()
    _pending, _thread = Pending(), None


atexit.register(_save_at_exit)
util.Finalize(None, _save_at_exit, exitpriority=0)  # Processes of multiprocessing, as of granian, skip atexit.
os.register_at_fork(after_in_child=_reset_after_fork)
