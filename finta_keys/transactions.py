"""Transactions on the database that holds the keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, transaction

from finta_keys.database import key_database


@contextmanager
def atomic() -> Iterator[None]:
    """Run the block in a transaction of the key database, or in a savepoint if one is open.

    On SQLite the transaction begins IMMEDIATE, even if the project's ``transaction_mode`` is another (rule T1a). A
    deferred transaction that reads before it writes fails with "database is locked" if another connection has written
    in between; SQLite does not wait then.
    """
    with ExitStack() as stack:
        with _begin_immediate(key_database()):
            stack.enter_context(transaction.atomic(using=key_database()))
        yield


@contextmanager
def _begin_immediate(alias: str) -> Iterator[None]:
    connection: Any = connections[alias]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()  # Connecting sets transaction_mode from the settings.
    configured = connection.transaction_mode
    connection.transaction_mode = "EXCLUSIVE" if configured == "EXCLUSIVE" else "IMMEDIATE"
    try:
        yield
    finally:
        connection.transaction_mode = configured
