"""``manage.py peppers``: how many keys use each pepper, and which peppers can be removed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count, Max
from django.template.defaultfilters import pluralize
from django.utils import timezone

from finta_keys import conf, secret
from finta_keys.management.errors import explain_database_errors, explain_output_errors
from finta_keys.models import ApiKey

FIRST, OLD, NOT_CONFIGURED = "first", "old", "notConfigured"
PLACES = {FIRST: "first", OLD: "old", NOT_CONFIGURED: "not configured: its keys do not work"}


@dataclass(frozen=True)
class Row:
    """The keys under one pepper."""

    pepper_id: str
    place: str
    keys: int = 0
    used: int = 0  # the number of these keys that were ever used
    last_used_at: datetime | None = None

    @property
    def never_used(self) -> int:
        return self.keys - self.used

    @property
    def removable(self) -> bool:
        return self.place == OLD and not self.keys


class Command(BaseCommand):
    help = (
        "Shows how many keys use each pepper of FINTA_KEYS_PEPPERS, when one of them was last used, and which peppers "
        "can be removed. Peppers are shown by their ids, which reveal nothing about them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Exit with status 1 if keys do not work because their pepper is not configured.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with explain_database_errors("the keys could not be counted"):
            rows = count_keys()
        with explain_output_errors(self.stdout):
            if options["json"]:
                self.stdout.write(json.dumps({"peppers": [_as_json(row) for row in rows]}, cls=DjangoJSONEncoder))
            else:
                self._print_table(rows)
        broken = sum(row.keys for row in rows if row.place == NOT_CONFIGURED)
        if options["check"] and broken:
            raise CommandError(
                f"{_number(broken, 'does', 'do')} not work, because the pepper is not configured. Restore the pepper, "
                "after the others of FINTA_KEYS_PEPPERS, or ask the owners to rotate these keys."
            )

    def _print_table(self, rows: list[Row]) -> None:
        self.stdout.write(f"{'pepper':8}  {'keys':>9}  {'never used':>10}  {'last use':20}  place")
        for row in rows:
            self.stdout.write(
                f"{row.pepper_id:8}  {row.keys:9,}  {row.never_used:10,}  {_time(row.last_used_at):20}  "
                f"{PLACES[row.place]}"
            )
        self.stdout.write("")
        for row in rows:
            self.stdout.write(f"{row.pepper_id}: {_advice(row)}", self.style.SUCCESS if row.removable else None)


def count_keys() -> list[Row]:
    """Return a row for each configured pepper, in their order, and then for each other pepper
    that keys use."""
    places = {secret.pepper_id(pepper): OLD for pepper in conf.peppers()}
    places[next(iter(places))] = FIRST
    keys = ApiKey.objects.order_by().values("pepper_id")
    counted = {
        row["pepper_id"]: Row(
            row["pepper_id"],
            places.get(row["pepper_id"], NOT_CONFIGURED),
            row["number"],
            row["used"],
            row["last"],
        )
        for row in keys.annotate(number=Count("pk"), used=Count("last_used_at"), last=Max("last_used_at"))
    }
    configured = [counted.pop(pepper_id, Row(pepper_id, place)) for pepper_id, place in places.items()]
    return configured + [counted[pepper_id] for pepper_id in sorted(counted)]


def _advice(row: Row) -> str:
    if row.place == FIRST:
        return "creates the digests of new secrets. To retire it, add a new pepper in front of it."
    if row.place == NOT_CONFIGURED:
        return (
            f"not configured. {_number(row.keys, 'does', 'do')} not work. Restore it after the others of "
            "FINTA_KEYS_PEPPERS, or rotate the keys."
        )
    if row.removable:
        return "can be removed: no key uses it. First make sure that every process runs with the pepper before it."
    return (
        f"must stay: {_number(row.keys, 'needs', 'need')} it. Keys move to the first pepper when they are used; "
        f"{row.never_used:,} of them {pluralize(row.never_used, 'was,were')} never used."
    )


def _number(count: int, singular: str, plural: str) -> str:
    return f"{count:,} key {singular}" if count == 1 else f"{count:,} keys {plural}"


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone(timezone.get_default_timezone()):%Y-%m-%d %H:%M %Z}"


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "pepperId": row.pepper_id,
        "place": row.place,
        "keys": row.keys,
        "neverUsed": row.never_used,
        "lastUsedAt": row.last_used_at,
        "removable": row.removable,
    }
