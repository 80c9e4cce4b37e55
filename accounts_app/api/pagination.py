"""Pages of transactions, newest first.

A cursor holds the position of the last row of a page and nothing else. It is signed together with the filters it was
made for, and the scope of the key is applied anew on every page.
"""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError

from accounts_app.models import Transaction

Position = tuple[date, uuid.UUID]


def page(rows: QuerySet[Transaction], filters: dict[str, Any]) -> tuple[list[Transaction], str | None]:
    """Return one page of ``rows`` and the cursor of the next, or None after the last.

    ``filters`` are the validated query, ``limit`` and ``cursor`` among them. Raises ``ValidationError`` under
    ``cursor``.
    """
    filters = dict(filters)
    limit, cursor = filters.pop("limit"), filters.pop("cursor", None)
    rows = rows.order_by("-sort_date", "-id")
    if cursor is not None:
        day, pk = _read(cursor, filters)
        # "<= day" lets the index find the place; the rest is a tie-break within the day.
        rows = rows.filter(Q(sort_date__lt=day) | Q(id__lt=pk), sort_date__lte=day)
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], signing.dumps([last.sort_date.isoformat(), last.pk.hex], salt=_salt(filters))


def _read(cursor: str, filters: dict[str, Any]) -> Position:
    try:
        day, pk = signing.loads(cursor, salt=_salt(filters))
        return date.fromisoformat(day), uuid.UUID(pk)
    except (signing.BadSignature, ValueError, TypeError, AttributeError):  # the last three: of an older release
        message = "This is no cursor of these filters. Leave it out to begin at the first page."
        raise ValidationError({"cursor": message}) from None


def _salt(filters: dict[str, Any]) -> str:
    return "accounts_app.transactions:" + "&".join(f"{name}={filters[name]}" for name in sorted(filters))
