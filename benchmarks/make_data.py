"""Fill an empty database with as many owners, accounts, keys and scope rows as a large installation has.

    DATABASE_URL=… python manage.py migrate
    DATABASE_URL=… python benchmarks/make_data.py --keys 1000000

One statement per table creates the rows inside the database, and indexes are built afterwards, so a
million keys with ten million scope rows take minutes. Ids are spread like random ones but depend on
the row's number: ``pk("key", 17)`` is the id of key 17. No secret matches these digests. To get a key
that authenticates, call ``ApiKey.objects.create_key()`` for an owner such as ``pk("owner", 0)``.
"""

# ruff: noqa: S608  # every value in this SQL is a number or a name of our own
from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# n * SPREAD % SPACE repeats no value, because SPREAD is odd, and fits into 64 bits for n below 10**9.
SPREAD, SPACE = 5_851_457_623, 2**48
KINDS = {"owner": "a", "account": "b", "key": "c", "transaction": "d"}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """The number of rows. Each key is restricted to ``accounts_per_key`` of its owner's accounts."""

    owners: int
    keys_per_owner: int = 10
    accounts_per_owner: int = 12
    accounts_per_key: int = 10
    transactions_per_account: int = 0

    @property
    def accounts(self) -> int:
        return self.owners * self.accounts_per_owner

    @property
    def keys(self) -> int:
        return self.owners * self.keys_per_owner

    @property
    def scope_rows(self) -> int:
        return self.keys * self.accounts_per_key

    @property
    def transactions(self) -> int:
        return self.accounts * self.transactions_per_account


def pk(kind: str, number: int) -> uuid.UUID:
    """Return the primary key of a row that ``make()`` creates."""
    return uuid.UUID(f"{number * SPREAD % SPACE:012x}4000{KINDS[kind]}000{number:012x}")


def make(connection: Any, size: Size, start: int = 0, report: Report = lambda line: None) -> None:
    """Create the rows. Rows of each kind are numbered from ``start``, consecutively per owner."""
    sql = SqliteSql(start) if connection.vendor == "sqlite" else PostgresSql(start)
    for table, count, columns in (
        ("accounts_app_user", size.owners, _owner(sql)),
        ("accounts_app_account", size.accounts, _account(sql, size)),
        ("finta_keys_apikey", size.keys, _key(sql, size)),
        ("finta_keys_keyaccountscope", size.scope_rows, _scope_row(sql, size)),
        ("finta_keys_keyevent", size.keys, _event(sql, size)),
        ("finta_keys_retiredsecret", size.keys, _retired_secret(sql, size)),
        ("accounts_app_transaction", size.transactions, _transaction(sql, size)),
    ):
        started = time.monotonic()
        _insert(connection, table, columns, sql.numbers(count))
        report(f"{table}: {count:,} rows in {time.monotonic() - started:.0f} s")


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


# The columns of each table, as SQL. Rows are inserted in the order of the first.


def _owner(sql: Any) -> dict[str, str]:
    return {
        "id": sql.pk("owner", "n"),
        **dict.fromkeys(("email", "email_key"), f"'owner' || ({sql.start} + n) || '@example.com'"),
        "password": "'!'",
        "storage_mode": "TRUE",
        "is_active": "TRUE",
        "is_staff": "FALSE",
        "is_superuser": "FALSE",
        "date_joined": sql.moment,
    }


def _account(sql: Any, size: Size) -> dict[str, str]:
    return {
        "id": sql.pk("account", "n"),
        "owner_id": sql.pk("owner", f"n / {size.accounts_per_owner}"),
        "name": f"'Account ' || (n % {size.accounts_per_owner})",
        "institution_name": "'First Bank'",
        "provider": "'plaid'",
        "provider_account_id": "'plaid-' || n",
        "mask": "'0000'",
        "type": "'depository'",
        "subtype": "'checking'",
        "currency": "'USD'",
        "current_balance": "100",
        "status": "'active'",
        "created_at": sql.moment,
    }


def _key(sql: Any, size: Size) -> dict[str, str]:
    number = f"(n % {size.keys_per_owner})"
    return {
        "id": sql.pk("key", "n"),
        "owner_id": sql.pk("owner", f"n / {size.keys_per_owner}"),
        "name": f"'Key ' || {number}",
        "name_key": f"'key ' || {number}",
        "digest": sql.digest,
        "pepper_id": "'00000000'",
        "hint": "'finta_0000…0000'",
        "share_all_accounts": "FALSE",
        "rotation": "0",
        "scope_edits": "0",
        "created_at": sql.moment,
    }


def _scope_row(sql: Any, size: Size) -> dict[str, str]:
    key = f"(n / {size.accounts_per_key})"
    owner = f"({key} / {size.keys_per_owner})"
    # The scope of an owner's n-th key starts at the n-th account and wraps around.
    account = f"({key} + n % {size.accounts_per_key}) % {size.accounts_per_owner}"
    return {
        "key_id": sql.pk("key", key),
        "account_id": sql.pk("account", f"({owner} * {size.accounts_per_owner} + {account})"),
    }


def _event(sql: Any, size: Size) -> dict[str, str]:
    """The creation of each key."""
    return {
        "key_id": sql.pk("key", "n"),
        "owner_pk": sql.text(sql.pk("owner", f"n / {size.keys_per_owner}")),
        "key_name": f"'Key ' || (n % {size.keys_per_owner})",
        "key_hint": "'finta_0000…0000'",
        "at": sql.moment,
        "action": "'created'",
        "actor": "'code'",
        "changes": "'{}'",
        **dict.fromkeys(("actor_pk", "actor_name", "address"), "''"),
    }


def _retired_secret(sql: Any, size: Size) -> dict[str, str]:
    """One secret that each key had before."""
    return {
        "key_id": sql.pk("key", "n"),
        "owner_pk": sql.text(sql.pk("owner", f"n / {size.keys_per_owner}")),
        "key_name": f"'Key ' || (n % {size.keys_per_owner})",
        "digest": sql.digest,
        "hint": "'finta_0000…0000'",
        "reason": "'rotated'",
        "retired_at": sql.moment,
        "tries": "0",
        **dict.fromkeys(("last_network", "last_agent"), "''"),
    }


def _transaction(sql: Any, size: Size) -> dict[str, str]:
    """One per day and account, the newest on 2026-01-01."""
    empty = ("merchant_name", "fee_type", "sub_account", "payment_channel", "check_number", "source")
    return {
        "id": sql.pk("transaction", "n"),
        "account_id": sql.pk("account", f"n / {size.transactions_per_account}"),
        "provider": "'plaid'",
        "provider_id": "'tx-' || n",
        "summary": "'Purchase ' || n",
        "original_description": "'PURCHASE ' || n",
        "status": "'posted'",
        "amount": "-9.99",
        "currency": "'USD'",
        **dict.fromkeys(("posted_date", "created_date"), sql.day(f"n % {size.transactions_per_account}")),
        **dict.fromkeys(empty, "''"),
    }


def _insert(connection: Any, table: str, columns: dict[str, str], numbers: str) -> None:
    first, names, values = next(iter(columns)), ", ".join(columns), ", ".join(columns.values())
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {numbers} ORDER BY {columns[first]}")


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


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill an empty database with keys that have ten scope rows each.")
    parser.add_argument("--keys", type=int, default=1_000_000, help="number of keys, rounded up to a multiple of ten")
    parser.add_argument("--transactions", type=int, default=0, help="transactions per account")
    options = parser.parse_args()

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.db import connection

    from finta_keys.models import ApiKey

    if ApiKey.objects.exists():
        parser.error("This database already has keys. Set DATABASE_URL to an empty one and run manage.py migrate.")
    size = Size(owners=-(-options.keys // Size.keys_per_owner), transactions_per_account=options.transactions)
    started = time.monotonic()
    with without_indexes(connection, report=print):
        make(connection, size, report=print)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"{size.keys:,} keys and {size.scope_rows:,} scope rows in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
