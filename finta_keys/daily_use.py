"""The requests by each key in the last 30 days, as bars for the list and for the page of a key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Sum

from finta_keys.models import KeyUsage
from finta_keys.recent_use import first_day

DAYS = 30
# Lengths in the units of the SVG
HEIGHT = 20
STEP = 4  # from one bar to the next
MIN_BAR = 2


@dataclass(frozen=True)
class DailyUse:
    """The requests by one key. Days are those of UTC; the last one is today."""

    first_day: date
    requests: tuple[int, ...]
    refused: int

    @property
    def total(self) -> int:
        return sum(self.requests)

    @property
    def last_day(self) -> date:
        return self.first_day + timedelta(days=DAYS - 1)

    @property
    def most(self) -> int:
        return max(self.requests)

    @property
    def busiest_day(self) -> date:
        return self.first_day + timedelta(days=self.requests.index(self.most))

    @property
    def today(self) -> int:
        return self.requests[-1]

    @property
    def path(self) -> str:
        """The bars of the days before today, for an SVG path."""
        return self._bars(0, DAYS - 1)

    @property
    def path_of_today(self) -> str:
        """The bar of today, which has another color; empty if there were no requests."""
        return self._bars(DAYS - 1, DAYS)

    def _bars(self, start: int, end: int) -> str:
        """Return the path data with one line per day that has requests. A single path is a fifth of
        the size of 30 elements."""
        lines = []
        for index in range(start, end):
            if number := self.requests[index]:
                height = max(MIN_BAR, round(HEIGHT * number / self.most))
                lines.append(f"M{STEP // 2 + STEP * index} {HEIGHT}V{HEIGHT - height}")
        return "".join(lines)


def add_daily_use(keys: Iterable[Any]) -> None:
    """Set ``daily_use`` on each key, with one query for all."""
    by_key = {key.pk: key for key in keys}
    start = first_day(DAYS)
    requests = {pk: [0] * DAYS for pk in by_key}
    refused = dict.fromkeys(by_key, 0)
    usage = KeyUsage.objects.filter(key_id__in=list(by_key), day__gte=start).order_by()
    for pk, day, number, rejections in usage.values_list("key_id", "day").annotate(Sum("requests"), Sum("refused")):
        index = (day - start).days
        if index < DAYS:  # A process whose clock is ahead may have written a later day.
            requests[pk][index] = number
            refused[pk] += rejections
    for pk, key in by_key.items():
        key.daily_use = DailyUse(start, tuple(requests[pk]), refused[pk])


def daily_use_of(key: Any) -> DailyUse:
    add_daily_use([key])
    use: DailyUse = key.daily_use
    return use
