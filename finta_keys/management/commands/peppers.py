"""``manage.py peppers``: how many keys are under which pepper, and which pepper may go."""

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
PLACES = {FIRST: "first", OLD: "old", NOT_CONFIGURED: "not configured: these keys are dead"}


@dataclass(frozen=True)
class Row:
    """The keys under one pepper."""

    pepper_id: str
    place: str
    keys: int = 0
    used: int = 0  # ever, of these keys
    last_used_at: datetime | None = None

    @property
    def never_used(self) -> int:
        return self.keys - self.used

    @property
    def removable(self) -> bool:
        return self.place == OLD and not self.keys


class Command(BaseCommand):
    help = (
        "Shows how many keys are under which pepper of FINTA_KEYS_PEPPERS, when one of them was used last, and which "
        "pepper may be removed. A pepper is named by its id, which tells nothing of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Exit with status 1 where there are keys under a pepper that is not configured: they are dead.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with explain_database_errors("nothing is known of the keys"):
            rows = count_keys()
        with explain_output_errors(self.stdout):
            if options["json"]:
                self.stdout.write(json.dumps({"peppers": [_as_json(row) for row in rows]}, cls=DjangoJSONEncoder))
            else:
                self._print_table(rows)
        dead = sum(row.keys for row in rows if row.place == NOT_CONFIGURED)
        if options["check"] and dead:
            raise CommandError(
                f"{_number(dead)} under a pepper that is not configured. Put the pepper back, behind the others of "
                "FINTA_KEYS_PEPPERS, or let the owners rotate these keys."
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
    """Return a row for each pepper that is configured, in their order, then for those that only keys know."""
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
        return "makes the digests of all new secrets. To retire it, put a new pepper in front of it."
    if row.place == NOT_CONFIGURED:
        return (
            f"not configured. {_number(row.keys)} dead until it is put back, behind the others of FINTA_KEYS_PEPPERS, "
            "or until they are rotated."
        )
    if row.removable:
        return "may be removed: no key is under it. Do so once every process runs with the pepper in front of it."
    return (
        f"must stay: {_number(row.keys, 'would die')} without it. A key moves to the first pepper when it is used; "
        f"{row.never_used:,} of them {pluralize(row.never_used, 'was,were')} never used."
    )


def _number(count: int, verb: str = "") -> str:
    return f"{count:,} key{pluralize(count)} {verb or pluralize(count, 'is,are')}"


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
