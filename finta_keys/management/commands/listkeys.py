"""``manage.py listkeys``: the keys, and those that ``FINTA_KEYS_MAX_AGE`` would not allow now."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet

from finta_keys import expiry
from finta_keys.management.commands.createkey import find_owner
from finta_keys.management.errors import explain_database_errors, explain_output_errors
from finta_keys.management.output import count_of
from finta_keys.models import ApiKey


class Command(BaseCommand):
    help = "Lists keys with their owner, permission, expiry date and last use. No secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", help="List only the keys of this user.")
        parser.add_argument(
            "--beyond-max-age",
            action="store_true",
            help="List only keys that never expire, or expire later than FINTA_KEYS_MAX_AGE allows.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        with explain_database_errors("no keys were listed"):
            keys = list(_select(options))
        with explain_output_errors(self.stdout):
            if options["json"]:
                self.stdout.write(json.dumps({"keys": [_as_json(key) for key in keys]}, cls=DjangoJSONEncoder))
                return
            self.stdout.write(f"{'hint':17}  {'permission':10}  {'expires':20}  {'last use':20}  owner, name")
            for key in keys:
                self.stdout.write(
                    f"{key.hint:17}  {key.permission:10}  {_time(key.expires_at):20}  {_time(key.last_used_at):20}  "
                    f"{key.owner}, “{key.name}”"
                )
            self.stdout.write(f"\n{count_of(len(keys), 'key')}")


def _select(options: dict[str, Any]) -> QuerySet[ApiKey]:
    keys = ApiKey.objects.select_related("owner").order_by("created_at", "pk")
    if options["user"] is not None:
        keys = keys.filter(owner=find_owner(options["user"]).pk)
    if options["beyond_max_age"]:
        latest = expiry.latest()
        if latest is None:
            raise CommandError("FINTA_KEYS_MAX_AGE is not set, so keys may be valid for any time.")
        keys = keys.filter(Q(expires_at=None) | Q(expires_at__gt=latest))
    return keys


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else expiry.to_json(moment)


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "owner": key.owner.get_username(),
        "name": key.name,
        "hint": key.hint,
        "permission": key.permission,
        "expiresAt": expiry.json_or_none(key.expires_at),
        "lastUsedAt": expiry.json_or_none(key.last_used_at),
        "shareAllAccounts": key.share_all_accounts,
    }
