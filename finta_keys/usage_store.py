"""Add counts of usage to those that are stored (rule H2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models import F, Q

from finta_keys import conf, transactions
from finta_keys.database import batches, key_database
from finta_keys.models import AccountUsage, KeyUsage, RetiredSecret
from finta_keys.sources import OTHER

# Per key and day. Requests beyond them are counted under "other".
MAX_SOURCES = 100
MAX_AGENTS = 10  # per source

# (key, day, source, agent) and (key, account, day); each with its numbers, and the times of the
# first and the last request.
KeyCounts = dict[tuple[UUID, date, str, str], list[Any]]
AccountCounts = dict[tuple[UUID, Any, date], list[Any]]
# By digest: how often a retired secret was sent, and the time, source and agent of the last try.
Tries = dict[bytes, tuple[int, datetime, str, str]]

_KEY_COLUMNS = ("key_id", "day", "source", "agent")
_ACCOUNT_COLUMNS = ("key_id", "account_id", "day")
BATCH = 80  # rows of one statement: SQLite allowed 999 parameters in old versions


def merge(target: dict[Any, list[Any]], row: Any, counts: Sequence[Any]) -> None:
    """Add the counts of a row to those in ``target``."""
    if row not in target:
        target[row] = list(counts)
        return
    known = target[row]
    for place, number in enumerate(counts[:-2]):
        known[place] += number
    known[-2], known[-1] = min(known[-2], counts[-2]), max(known[-1], counts[-1])


def add_tries(target: Tries, digest: bytes, tries: tuple[int, datetime, str, str]) -> None:
    """Add the tries of a retired secret to those in ``target``."""
    if digest in target:
        known = target[digest]
        tries = (known[0] + tries[0], *max(known[1:], tries[1:]))
    target[digest] = tries


def save_tries(tries: Tries) -> None:
    """Add tries to the stored ones, and remove the saved ones from the dict.

    A secret that was pruned in the meantime is not counted.
    """
    for digest in sorted(tries):
        number, at, source, agent = tries[digest]
        retired = RetiredSecret.objects.filter(digest=digest)
        with transactions.atomic():
            transactions.commit_locally()
            retired.update(tries=F("tries") + number)
            is_later = Q(last_tried_at=None) | Q(last_tried_at__lt=at)
            retired.filter(is_later).update(last_tried_at=at, last_network=source, last_agent=agent)
        del tries[digest]


def save(keys: KeyCounts, accounts: AccountCounts) -> None:
    """Add these counts to the stored ones, and remove saved rows from the dicts.

    Each statement is a transaction of its own. All processes save the rows in the same order, so
    that they wait for each other instead of a deadlock. If the database fails, the rest stays in
    the dicts.
    """
    _apply_caps(keys)
    _merge_account_ids(accounts)
    for model, columns, counts in ((KeyUsage, _KEY_COLUMNS, keys), (AccountUsage, _ACCOUNT_COLUMNS, accounts)):
        rows = sorted(counts, key=lambda row: tuple(map(str, row)))
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            _add(model, columns, [(*row, *counts[row]) for row in batch])  # type: ignore[index]
            for row in batch:
                del counts[row]  # type: ignore[arg-type]


def _apply_caps(keys: KeyCounts) -> None:
    """Count sources and agents beyond the caps under "other".

    Several processes that add new sources at the same moment can exceed the caps by as many.
    """
    stored: defaultdict[tuple[UUID, date], dict[str, set[str]]] = defaultdict(dict)
    days = {row[1] for row in keys}
    for pks in batches({row[0] for row in keys}):
        rows = KeyUsage.objects.filter(key_id__in=pks, day__in=days)
        for key_id, day, source, agent in rows.values_list(*_KEY_COLUMNS):
            capped(stored[key_id, day], source, agent)
    # The busiest first.
    for row in sorted(keys, key=lambda row: -keys[row][0]):
        key_id, day, source, agent = row
        capped_row = (key_id, day, *capped(stored[key_id, day], source, agent))
        if capped_row != row:
            merge(keys, capped_row, keys.pop(row))


def capped(known: dict[str, set[str]], source: str, agent: str) -> tuple[str, str]:
    """Return the source and agent to count a request under, and add them to the known ones."""
    if source == OTHER or (source not in known and len(known) >= MAX_SOURCES):
        return OTHER, OTHER
    agents = known.setdefault(source, set())
    if agent == OTHER or (agent not in agents and len(agents) >= MAX_AGENTS):
        return source, OTHER
    agents.add(agent)
    return source, agent


def _merge_account_ids(accounts: AccountCounts) -> None:
    """Replace the primary keys by their text. ``5`` and ``"5"`` are the same account."""
    pk: Any = conf.account_model()._meta.pk
    for row in list(accounts):
        key_id, account_id, day = row
        text = account_id_text(account_id, pk)
        if text != account_id:
            merge(accounts, (key_id, text, day), accounts.pop(row))


def account_id_text(account_id: Any, pk: Any = None) -> str:
    """Return the primary key of an account as it is stored in ``AccountUsage``."""
    field: Any = pk or conf.account_model()._meta.pk
    with suppress(ValidationError):  # The project may record anything.
        account_id = field.to_python(account_id)
    return str(account_id)[:255]


@transactions.retry_conflicts
def _add(model: type[models.Model], unique: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows, or add them to those with the same values of the unique columns."""
    connection = connections[key_database()]
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    # The primary key is first, so the other fields are in the order of the rows.
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), [quote(str(field.column)) for field in fields]
    values = [
        field.get_db_prep_save(value, connection=connection)
        for row in rows
        for field, value in zip(fields, row, strict=True)
    ]
    placeholders = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    conflict = ", ".join(quote(column) for column in unique)
    changes = ", ".join(_change(field, table, quote(str(field.column))) for field in fields[len(tuple(unique)) :])
    sql = (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {placeholders} "  # noqa: S608  # our own names
        f"ON CONFLICT ({conflict}) DO UPDATE SET {changes}"
    )
    with transactions.atomic():
        transactions.commit_locally()
        with connection.cursor() as cursor:
            cursor.execute(sql, values)


def _change(field: models.Field[Any, Any], table: str, column: str) -> str:
    """Return the assignment that adds a number, or keeps the first or last time."""
    if not isinstance(field, models.DateTimeField):
        return f"{column} = {table}.{column} + excluded.{column}"
    operator = "<" if field.name == "first_at" else ">"
    return (
        f"{column} = CASE WHEN excluded.{column} {operator} {table}.{column} "
        f"THEN excluded.{column} ELSE {table}.{column} END"
    )
