"""Transactions on the database that holds the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connections, transaction

from finta_keys.database import key_database

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 3
CONFLICTS = {"40001", "40P01"}  # PostgreSQL's SQLSTATE codes for serialization failures and deadlocks
NO_TRANSACTION = nullcontext()


@contextmanager
def atomic() -> Iterator[None]:
    """Run the block in a transaction of the key database, or in a savepoint if one is open.

    On SQLite the transaction begins IMMEDIATE, even if the project's ``transaction_mode`` is
    another (rule T1a). A deferred transaction that reads before it writes fails with "database is
    locked" if another connection has written in between; SQLite does not wait then.
    """
    with ExitStack() as stack:
        with _begin_immediate(key_database()):
            stack.enter_context(transaction.atomic(using=key_database()))
        yield


def commit_locally() -> None:
    """Do not wait for a synchronous standby of PostgreSQL, which may be away, when this transaction
    commits. For data that may be lost."""
    connection = connections[key_database()]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO 'local'")


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


def retry_conflicts(change: Callable[P, R]) -> Callable[P, R]:
    """Call a function that opens a transaction again if the transaction conflicts with a concurrent
    one.

    At REPEATABLE READ and SERIALIZABLE, a transaction reads the rows as they were when it began. So
    after a concurrent change it fails with a serialization failure, or with an ``IntegrityError``
    for a row that it cannot see. A new transaction sees the change, and can raise ``AlreadyDone``
    or ``ValidationError``. Raise the database's error after three attempts, and at once inside
    another transaction.
    """

    @wraps(change)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(ATTEMPTS - 1):
            try:
                return change(*args, **kwargs)
            except (OperationalError, IntegrityError) as error:
                is_repeatable = isinstance(error, IntegrityError) or is_serialization_failure(error)
                if connections[key_database()].in_atomic_block or not is_repeatable:
                    raise
        return change(*args, **kwargs)

    return wrapper


def is_serialization_failure(error: Exception) -> bool:
    """Return True if PostgreSQL ended a transaction because of a concurrent one."""
    return sqlstate(error) in CONFLICTS


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of an error, or None."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg, psycopg2
