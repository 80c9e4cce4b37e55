"""Fill an empty database with as many owners, accounts, keys and scope rows as a large installation has.

    DATABASE_URL=… python manage.py migrate
    DATABASE_URL=… python -m benchmarks.make_data --keys 1000000

One statement per table creates the rows inside the database, and indexes are built afterwards, so a
million keys with ten million scope rows take minutes. Ids are spread like random ones but depend on
the row's number: ``pk("key", 17)`` is the id of key 17. No secret matches these digests. To get a key
that authenticates, call ``ApiKey.objects.create_key()`` for an owner such as ``pk("owner", 0)``.
"""

from __future__ import annotations

import argparse
import os
import time
import uuid
from dataclasses import dataclass
from typing import Any

from benchmarks.bulk_sql import KINDS, SPACE, SPREAD, Report, insert, sql_of, without_indexes


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
    sql = sql_of(connection, start)
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
        insert(connection, table, columns, sql.numbers(count))
        report(f"{table}: {count:,} rows in {time.monotonic() - started:.0f} s")


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
    return _of_key(sql, size) | event_columns(sql)


def event_columns(sql: Any) -> dict[str, str]:
    """Return the columns of an event that do not depend on the key."""
    return {
        "key_hint": "'finta_0000…0000'",
        "at": sql.moment,
        "action": "'created'",
        "actor": "'code'",
        "changes": "'{}'",
        **dict.fromkeys(("actor_pk", "actor_name", "address"), "''"),
    }


def _retired_secret(sql: Any, size: Size) -> dict[str, str]:
    """One secret that each key had before."""
    return _of_key(sql, size) | retired_secret_columns(sql)


def retired_secret_columns(sql: Any) -> dict[str, str]:
    """Return the columns of a retired secret that do not depend on the key."""
    return {
        "digest": sql.digest,
        "hint": "'finta_0000…0000'",
        "reason": "'rotated'",
        "retired_at": sql.moment,
        "tries": "0",
        **dict.fromkeys(("last_network", "last_agent"), "''"),
    }


def _of_key(sql: Any, size: Size) -> dict[str, str]:
    return {
        "key_id": sql.pk("key", "n"),
        "owner_pk": sql.text(sql.pk("owner", f"n / {size.keys_per_owner}")),
        "key_name": f"'Key ' || (n % {size.keys_per_owner})",
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill an empty database with keys that have ten scope rows each.")
    parser.add_argument("--keys", type=int, default=1_000_000, help="number of keys, rounded up to a multiple of ten")
    parser.add_argument("--transactions", type=int, default=0, help="transactions per account")
    options = parser.parse_args()

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
