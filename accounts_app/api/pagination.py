"""Cursor pagination of transactions, newest first.

A cursor contains only the position of the last row of a page. It is signed together with the
filters it was created for. The scope of the key is applied to every page again.

A page of several accounts reads at most ``2 * n + 2 * c * (limit + 1)`` index entries on
PostgreSQL, for ``n`` accounts and ``c = min(n, limit + 1)``. Without help, PostgreSQL reads and
sorts all rows of all accounts, or scans the whole table. SQLite stops in each account when the page
is full, so it reads at most ``n * (limit + 1)`` rows.
"""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.core import signing
from django.db import connections, models
from django.db.models import F, Func, OuterRef, Q, QuerySet, Subquery, Value
from rest_framework.exceptions import ValidationError

from accounts_app.models import Account, Transaction

Position = tuple[date, uuid.UUID]

# One column of the account. select_related() would make an instance of all of them for each row.
WITH_CONNECTION = Transaction.objects.annotate(bank_connection_id=F("account__bank_connection_id"))


def paginate(
    rows: QuerySet[Transaction], conditions: Q, accounts: QuerySet[Account] | None, filters: dict[str, Any]
) -> tuple[list[Transaction], str | None]:
    """Return one page of ``rows`` and the cursor of the next page, or None after the last page.

    ``conditions`` on columns of the transaction select the rows. ``accounts`` are all accounts of
    ``rows``, or None if there is only one. ``filters`` is the validated query, including ``limit``
    and ``cursor``. Raise ``ValidationError`` under ``cursor`` if the cursor is invalid or was
    created for other filters.
    """
    filters = dict(filters)
    limit, cursor = filters.pop("limit"), filters.pop("cursor", None)
    if cursor is None:
        # Always true. With it, SQLite uses an index that contains the date.
        conditions &= Q(sort_date__lte=date.max)
    else:
        day, pk = _decode(cursor, filters)
        conditions &= Q(_is_after(day, pk))
    if accounts is not None and connections[accounts.db].vendor == "postgresql":
        rows = WITH_CONNECTION.using(accounts.db).filter(pk__in=_newest(accounts, conditions, limit + 1))
    else:
        rows = rows.filter(conditions)
    page_rows = list(rows.order_by("-sort_date", "-id")[: limit + 1])
    if len(page_rows) <= limit:
        return page_rows, None
    last = page_rows[limit - 1]
    return page_rows[:limit], signing.dumps([last.sort_date.isoformat(), last.pk.hex], salt=_salt(filters))


def _is_after(day: date, pk: uuid.UUID) -> Func:
    """Return ``(sort_date, id) < (day, pk)``, which the indexes serve even if all rows have one
    date."""
    row = Func(F("sort_date"), F("id"), function="")
    position = Func(Value(day, models.DateField()), Value(pk, models.UUIDField()), function="")
    return Func(row, position, template="%(expressions)s", arg_joiner=" < ", output_field=models.BooleanField())


def _newest(accounts: QuerySet[Account], conditions: Q, count: int) -> QuerySet[Any]:
    """Return the ids of the newest rows of all accounts together, as a subquery for PostgreSQL.

    Only the accounts with the newest rows can have one of the first ``count`` rows, and only with
    their own first ``count`` rows. The page index has both in order.
    """
    own = (
        Transaction.objects.using(accounts.db).filter(conditions, account=OuterRef("pk")).order_by("-sort_date", "-id")
    )
    newest = accounts.annotate(day=Subquery(own.values("sort_date")[:1]), row=Subquery(own.values("pk")[:1]))
    newest = newest.order_by(F("day").desc(nulls_last=True), F("row").desc(nulls_last=True))
    # Two unnest() calls in one SELECT go through their arrays in parallel.
    pairs = accounts.filter(pk__in=newest.values("pk")[:count]).annotate(
        day=_unnest(own.values("sort_date")[:count]), row=_unnest(own.values("pk")[:count])
    )
    return pairs.order_by("-day", "-row").values("row")[:count]


def _unnest(rows: QuerySet[Any]) -> Func:
    return Func(ArraySubquery(rows), function="unnest")


class ArraySubquery(Subquery):
    """PostgreSQL's ``ARRAY(SELECT …)``. Django's own needs the database driver when it is
    imported."""

    template = "ARRAY(%(subquery)s)"


def _decode(cursor: str, filters: dict[str, Any]) -> Position:
    try:
        day, pk = signing.loads(cursor, salt=_salt(filters))
        return date.fromisoformat(day), uuid.UUID(pk)
    # An older release may have signed another kind of position.
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        message = "This cursor is invalid or belongs to other filters. Leave it out to start at the first page."
        raise ValidationError({"cursor": message}) from None


def _salt(filters: dict[str, Any]) -> str:
    return "accounts_app.transactions:" + "&".join(f"{name}={filters[name]}" for name in sorted(filters))
