"""The exposure report: a key's access and use in a period (rule H4)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Min, Sum
from django.utils import timezone

from finta_keys.access_history import AccessHistory, Span
from finta_keys.expiry import json_or_none
from finta_keys.history import label_of
from finta_keys.models import AccountUsage, KeyUsage, RetiredSecret
from finta_keys.recent_use import first_day

NUMBERS = ("requests", "reads", "writes", "refused")
COLUMNS = ("kind", "id", "name", "from", "until", "certain", "responses", *NUMBERS, "first", "last")


@dataclass
class AccountLine:
    """One account: when the key could access it, and how many responses showed it."""

    pk: str
    label: str
    spans: list[Span] = field(default_factory=list)
    is_certain: bool = True
    responses: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass
class SourceLine:
    """The requests from one network by one kind of program. Also their sum."""

    network: str = ""
    program: str = ""
    requests: int = 0
    reads: int = 0
    writes: int = 0
    refused: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


class Report:
    """The exposure of a key, living or deleted, from a day to another, both included. Days are
    those of UTC, as usage is counted."""

    def __init__(self, history: AccessHistory, first_day: date, last_day: date) -> None:
        self.history, self.key, self.key_id = history, history.key, history.key_id
        self.first_day, self.last_day = first_day, last_day
        self._start, self._end = _start_of(first_day), _start_of(last_day + timedelta(days=1))
        usage = {"key_id": self.key_id, "day__range": (first_day, last_day)}
        self.sources = list(_sources(usage))
        self.total = _sum(self.sources)
        self.accounts = self._accounts(usage)
        self.unknown = self._within(history.unknown)
        # Their tries are not counted per day.
        self.retired = list(RetiredSecret.objects.filter(key_id=self.key_id, tries__gt=0))

    @property
    def name(self) -> str:
        """The name of the key, or the last one that is recorded."""
        return self.key.name if self.key else self._last_recorded("key_name")

    @property
    def hint(self) -> str:
        return self.key.hint if self.key else self._last_recorded("key_hint")

    @property
    def used_accounts(self) -> list[AccountLine]:
        return [line for line in self.accounts if line.responses]

    @property
    def accessible_accounts(self) -> list[AccountLine]:
        return [line for line in self.accounts if line.spans]

    @property
    def has_uncertain(self) -> bool:
        return not all(line.is_certain for line in self.accounts)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the CSV file and of the JSON object."""
        yield {"kind": "key", "id": self.key_id, "name": self.name, **self._counts(self.total)}
        for start, end in self.unknown:
            yield {"kind": "unknown", "from": json_or_none(start), "until": json_or_none(end), "certain": False}
        for line in self.accounts:
            yield {
                "kind": "account",
                "id": line.pk,
                "name": line.label,
                "from": json_or_none(line.spans[0][0]) if line.spans else None,
                "until": json_or_none(line.spans[-1][1]) if line.spans else None,
                "certain": line.is_certain,
                "responses": line.responses,
                "first": json_or_none(line.first_at),
                "last": json_or_none(line.last_at),
            }
        for source in self.sources:
            yield {"kind": "source", "id": source.network, "name": source.program, **self._counts(source)}
        for retired in self.retired:
            tries = {"requests": retired.tries, "refused": retired.tries, "last": json_or_none(retired.last_tried_at)}
            yield {"kind": "retired secret", "id": retired.last_network, "name": retired.hint, **tries}

    def write_csv(self, stream: Any) -> None:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        for row in self.rows():
            writer.writerow({name: _cell(value) for name, value in row.items()})

    @staticmethod
    def _counts(line: SourceLine) -> dict[str, Any]:
        numbers = {name: getattr(line, name) for name in NUMBERS}
        return {**numbers, "first": json_or_none(line.first_at), "last": json_or_none(line.last_at)}

    def _accounts(self, usage: dict[str, Any]) -> list[AccountLine]:
        """Return the accounts that were shown, most recent first, then the others by name."""
        history = self.history
        rows = AccountUsage.objects.filter(**usage).values_list("account_id").order_by()
        rows = rows.annotate(Sum("responses"), Min("first_at"), Max("last_at"))
        shown = {
            pk: AccountLine(pk, "", responses=responses, first_at=first_at, last_at=last_at)
            for pk, responses, first_at, last_at in rows
        }
        lines = []
        for pk in history.account_pks() | shown.keys():
            line = shown.get(pk) or AccountLine(pk, "")
            line.spans = self._within(history.spans(pk))
            line.is_certain = history.is_certain(pk) and bool(line.spans or not line.responses)
            line.label = self._label(pk)
            if line.spans or line.responses or not line.is_certain:
                lines.append(line)
        by_name = sorted(lines, key=lambda line: (line.label, line.pk))
        return sorted(by_name, key=lambda line: line.last_at.timestamp() if line.last_at else 0, reverse=True)

    def _label(self, pk: str) -> str:
        """Return the present label of an account of the owner, or the last one that is recorded.

        Not the present one of an account that belongs to another user now.
        """
        account = self.history.owned_now.get(pk)
        return self.history.labels.get(pk, pk) if account is None else label_of(account)

    def _within(self, spans: list[Span]) -> list[Span]:
        """Return the parts of the spans that are in the period."""
        cut = [(max(start, self._start), min(end, self._end)) for start, end in spans]
        return [(start, end) for start, end in cut if start < end]

    def _last_recorded(self, name: str) -> str:
        return next((value for event in reversed(self.history.own_events) if (value := getattr(event, name))), "")


def default_days() -> tuple[date, date]:
    """Return the first and the last day of the last 90 days."""
    return first_day(), datetime.now(UTC).date()


def _sources(usage: dict[str, Any]) -> Iterator[SourceLine]:
    rows = KeyUsage.objects.filter(**usage).values_list("source", "agent").order_by()
    rows = rows.annotate(*map(Sum, NUMBERS), first=Min("first_at"), last=Max("last_at"))
    for row in rows.order_by("-last", "source", "agent"):
        yield SourceLine(*row)


def _sum(lines: list[SourceLine]) -> SourceLine:
    total = SourceLine(**{name: sum(getattr(line, name) for line in lines) for name in NUMBERS})
    total.first_at = min((line.first_at for line in lines if line.first_at), default=None)
    total.last_at = max((line.last_at for line in lines if line.last_at), default=None)
    return total


def _start_of(day: date) -> datetime:
    start = datetime.combine(day, time.min, tzinfo=UTC)
    return start if settings.USE_TZ else timezone.make_naive(start, UTC)


def _cell(value: Any) -> Any:
    """Return a value for a spreadsheet, which would run a text that starts like a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
