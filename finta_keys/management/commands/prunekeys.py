"""``manage.py prunekeys``: delete old events, counts of use and retired secrets."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from finta_keys import pruning
from finta_keys.management.errors import explain_database_errors, explain_output_errors
from finta_keys.management.output import count_of


class Command(BaseCommand):
    help = (
        "Deletes events and counts of use that are older than FINTA_KEYS_HISTORY_DAYS, and retired secrets that are "
        "older than FINTA_KEYS_RETIRED_SECRET_DAYS and were not tried since. Run it once a day. No key is changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        with explain_database_errors("not everything was deleted"):
            numbers = pruning.prune()
        with explain_output_errors(self.stdout):
            if options["json"]:
                self.stdout.write(json.dumps(numbers))
                return
            events, counts, secrets = numbers.values()
            self.stdout.write(
                f"Deleted {count_of(events, 'event')}, {count_of(counts, 'count')} of use and "
                f"{count_of(secrets, 'retired secret')}."
            )
