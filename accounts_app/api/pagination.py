"""Cursor pagination of transactions, newest first.

A cursor contains only the position of the last row of a page. It is signed together with the
filters it was created for. The scope of the key is applied to every page again.
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


def paginate(rows: QuerySet[Transaction], filters: dict[str, Any]) -> tuple[list[Transaction], str | None]:
    """Return one page of ``rows`` and the cursor of the next page, or None after the last page.

    ``filters`` is the validated query, including ``limit`` and ``cursor``. Raise
    ``ValidationError`` under ``cursor`` if the cursor is invalid or was created for other filters.
    """
    filters = dict(filters)
    limit, cursor = filters.pop("limit"), filters.pop("cursor", None)
    rows = rows.order_by("-sort_date", "-id")
    if cursor is not None:
        day, pk = _decode(cursor, filters)
        # The index serves "<= day". The rest excludes rows of that day from earlier pages.
        rows = rows.filter(Q(sort_date__lt=day) | Q(id__lt=pk), sort_date__lte=day)
    page_rows = list(rows[: limit + 1])
    if len(page_rows) <= limit:
        return page_rows, None
    last = page_rows[limit - 1]
    return page_rows[:limit], signing.dumps([last.sort_date.isoformat(), last.pk.hex], salt=_salt(filters))


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
