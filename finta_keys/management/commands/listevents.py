"""``manage.py listevents``: the actions on keys in the minutes before a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from finta_keys import event_texts, expiry, owners
from finta_keys.management.errors import explain_database_errors, explain_output_errors
from finta_keys.management.output import count_of
from finta_keys.models import KeyEvent

MINUTES = 10
MAX_MINUTES = 1_000_000


class Command(BaseCommand):
    help = (
        "Lists the events of the last minutes, or of the minutes before a time, oldest first. No secrets. After a "
        "failover, the events that only the old primary has are those of changes that were lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", help="Time, in UTC unless it names a zone. Default: now.")
        parser.add_argument("--minutes", type=int, default=MINUTES, help=f"Default: {MINUTES}.")
        parser.add_argument("--json", action="store_true", help="Print a JSON object, with the changes.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["minutes"] <= MAX_MINUTES:
            raise CommandError(f"--minutes must be a number from 1 to {MAX_MINUTES:,}.")
        before = _time(options["before"])
        with explain_database_errors("no events were listed"):
            period = (before - timedelta(minutes=options["minutes"]), before)
            events = list(KeyEvent.objects.filter(at__range=period).order_by("at", "pk"))
            names = owners.names_of({event.owner_pk for event in events})
        with explain_output_errors(self.stdout):
            if options["json"]:
                rows = [_as_json(event, names) for event in events]
                self.stdout.write(json.dumps({"events": rows}, cls=DjangoJSONEncoder))
                return
            for event in events:
                key = f"{event.key_id} {event.key_hint} “{event.key_name}”" if event.key_id else "–"
                owner = names.get(event.owner_pk, event.owner_pk)
                actor = event_texts.actor(event, is_public=False)
                self.stdout.write(f"{expiry.to_json(event.at)}  {event.action:14}  {key}  of {owner}, {actor}")
            self.stdout.write(f"\n{count_of(len(events), 'event')}")


def _time(text: str | None) -> datetime:
    if text is None:
        return timezone.now()
    try:
        at = parse_datetime(text)
        at = at and (at if timezone.is_aware(at) else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or not 1970 <= at.year < 9999:
        raise CommandError("Write a time like 2027-03-31T12:00.")
    return at if settings.USE_TZ else timezone.make_naive(at)


def _as_json(event: KeyEvent, names: dict[str, str]) -> dict[str, Any]:
    return {
        "at": event.at,
        "action": event.action,
        "keyId": event.key_id,
        "keyName": event.key_name,
        "keyHint": event.key_hint,
        "owner": names.get(event.owner_pk, event.owner_pk),
        "actor": event.actor,
        "actorName": event.actor_name,
        "address": event.address,
        "changes": event.changes,
    }
