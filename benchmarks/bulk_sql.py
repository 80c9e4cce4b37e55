"""SQL that creates many rows inside the database, for SQLite and PostgreSQL."""

# ruff: noqa: S608  # every value in this SQL is a number or a name of our own
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# n * SPREAD % SPACE repeats no value, because SPREAD is odd, and fits into 64 bits for n below 10**9.
SPREAD, SPACE = 5_851_457_623, 2**48
KINDS = {"owner": "a", "account": "b", "key": "c", "transaction": "d"}

Report = Callable[[str], None]


class Sql:
    """SQL that differs between the databases. ``n`` counts the rows of a statement from 0."""

    def __init__(self, start: int) -> None:
        self.start = start

    def pk(self, kind: str, index: str) -> str:
        return self._pk(f"({self.start} + {index})", f"4000{KINDS[kind]}000")

    def text(self, pk: str) -> str:
        """Return a primary key as a text, as ``str()`` writes it."""
        raise NotImplementedError

    def _pk(self, number: str, kind: str) -> str:
        raise NotImplementedError


class SqliteSql(Sql):
    digest = "randomblob(32)"
    moment = "'2026-01-01 00:00:00'"

    def numbers(self, count: int) -> str:
        upward = f"SELECT 0 AS n WHERE {count} > 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count} - 1"
        return f"(WITH RECURSIVE numbers AS ({upward}) SELECT n FROM numbers)"

    def day(self, days_ago: str) -> str:
        return f"date('2026-01-01', '-' || ({days_ago}) || ' days')"

    def text(self, pk: str) -> str:
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        return " || '-' || ".join(f"substr({pk}, {start}, {length})" for start, length in parts)

    def _pk(self, number: str, kind: str) -> str:
        return f"printf('%012x{kind}%012x', {number} * {SPREAD} % {SPACE}, {number})"


class PostgresSql(Sql):
    digest = "sha256(uuid_send(gen_random_uuid()))"
    moment = "timestamptz '2026-01-01 00:00:00Z'"

    def numbers(self, count: int) -> str:
        return f"generate_series(0, {count} - 1) AS numbers(n)"

    def day(self, days_ago: str) -> str:
        return f"date '2026-01-01' - ({days_ago})::integer"

    def text(self, pk: str) -> str:
        return f"({pk})::text"

    def _pk(self, number: str, kind: str) -> str:
        spread, tail = f"to_hex({number}::bigint * {SPREAD} % {SPACE})", f"to_hex({number}::bigint)"
        return f"(lpad({spread}, 12, '0') || '{kind}' || lpad({tail}, 12, '0'))::uuid"


def sql_of(connection: Any, start: int = 0) -> Any:
    """Return the SQL of a connection's database. Rows are numbered from ``start``."""
    return SqliteSql(start) if connection.vendor == "sqlite" else PostgresSql(start)


def insert(connection: Any, table: str, columns: dict[str, str], source: str) -> None:
    """Insert a row for each row of ``source``, in the order of the first column."""
    first, names, values = next(iter(columns)), ", ".join(columns), ", ".join(columns.values())
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {source} ORDER BY {columns[first]}")


# Building indexes on a full table is several times faster for ten million rows.

TABLES = (
    *("accounts_app_user", "accounts_app_account", "finta_keys_apikey", "finta_keys_keyaccountscope"),
    *("finta_keys_keyevent", "finta_keys_retiredsecret"),
)
FAST_SQLITE = ("cache_size = -1000000", "temp_store = MEMORY", "synchronous = OFF", "foreign_keys = OFF")
FAST_POSTGRES = ("maintenance_work_mem = '1GB'", "work_mem = '256MB'", "synchronous_commit = off")
OF_TABLE = f"IN {(*TABLES, 'accounts_app_transaction')}"


@contextmanager
def without_indexes(connection: Any, report: Report) -> Iterator[None]:
    """Drop the secondary indexes and, on PostgreSQL, constraints of the tables; rebuild them afterwards."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        for setting in FAST_SQLITE if is_sqlite else FAST_POSTGRES:
            cursor.execute(f"PRAGMA {setting}" if is_sqlite else f"SET {setting}")
        dropping, building = _sqlite_indexes(cursor) if is_sqlite else _postgres_indexes(cursor)
        for statement in dropping:
            cursor.execute(statement)
        try:
            yield
        finally:
            started = time.monotonic()
            for statement in building:
                cursor.execute(statement)
        report(f"{len(building)} indexes and constraints in {time.monotonic() - started:.0f} s")


def _sqlite_indexes(cursor: Any) -> tuple[list[str], list[str]]:
    """Return the statements that drop the indexes and those that build them."""
    cursor.execute(f"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql <> '' AND tbl_name {OF_TABLE}")
    indexes = cursor.fetchall()
    return [f'DROP INDEX "{name}"' for name, _ in indexes], [sql for _, sql in indexes]


def _postgres_indexes(cursor: Any) -> tuple[list[str], list[str]]:
    # Foreign keys are checked once when they are added again, not per row. Unique constraints come first.
    cursor.execute(
        "SELECT conrelid::regclass, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
        f"WHERE contype IN ('f', 'u') AND conrelid::regclass::text {OF_TABLE} ORDER BY contype DESC"
    )
    constraints = cursor.fetchall()
    cursor.execute(
        "SELECT quote_ident(indexname), indexdef FROM pg_indexes "
        f"WHERE schemaname = current_schema() AND tablename {OF_TABLE} AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))"
    )
    indexes = cursor.fetchall()
    drop = [f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name, _ in reversed(constraints)]
    build = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" for table, name, definition in constraints]
    return drop + [f"DROP INDEX {name}" for name, _ in indexes], [sql for _, sql in indexes] + build
