"""``manage.py keyreport``: the access and use of a key, living or deleted, in a period."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.dateparse import parse_date
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, expiry, leaks, secret
from finta_keys.access_history import AccessHistory
from finta_keys.exposure import Report, default_days
from finta_keys.management.errors import explain_database_errors, explain_output_errors
from finta_keys.management.output import escape, write_line
from finta_keys.models import ApiKey, KeyEvent, RetiredSecret
from finta_keys.recent_use import DAYS
from finta_keys.secret import Secret, is_wellformed

STDIN = "-"
MAX_INPUT = 4096  # characters that are read from standard input


class Command(BaseCommand):
    help = (
        "Shows which accounts a key could access in a period, which it used, from which networks, and how many "
        "requests were rejected. The key may be deleted. Name it by its id or its hint, or pass its secret on standard "
        "input: arguments can be read by other users of this machine. No secrets are printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        # One is allowed. The errors of argparse would repeat a secret.
        parser.add_argument("key", nargs="*", metavar="KEY", help="Id or hint of a key. Default: standard input.")
        parser.add_argument("--from", dest="first", help=f"First day, in UTC. Default: the last {DAYS} days.")
        parser.add_argument("--until", dest="last", help="Last day, in UTC. Default: today.")
        parser.add_argument("--csv", action="store_true", help="Print CSV.")
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")

    @sensitive_variables()
    def handle(self, *args: Any, **options: Any) -> None:
        if len(options["key"]) > 1:
            raise CommandError("Name one key.")
        if options["csv"] and options["json"]:
            raise CommandError("Choose --csv or --json.")
        first, last = default_days()
        first, last = _day(options["first"], first), _day(options["last"], last)
        if first > last:
            raise CommandError("--from is after --until.")
        with explain_database_errors("there is no report"):
            history = AccessHistory.of(_find_key(next(iter(options["key"]), STDIN)))
            if history is None:
                raise CommandError("No key and no event has this id. Its history may have been pruned.")
            report = Report(history, first, last)
        with explain_output_errors(self.stdout):
            if options["csv"]:
                report.write_csv(self.stdout)
            elif options["json"]:
                self.stdout.write(json.dumps({"rows": list(report.rows())}, cls=DjangoJSONEncoder))
            else:
                self._print(report)

    def _print(self, report: Report) -> None:
        total = report.total
        self._line(f"“{report.name}” {report.hint} {report.key_id}{'' if report.key else ' (deleted)'}")
        self._line(f"{report.first_day} to {report.last_day} (UTC)")
        self._line(
            f"{total.requests:,} requests: {total.reads:,} reads, {total.writes:,} writes, {total.refused:,} rejected"
        )
        self._line(f"{len(report.accessible_accounts):,} accounts accessible, {len(report.used_accounts):,} used")
        for start, end in report.unknown:
            self._line(f"not recorded what it could access: {_time(start)} to {_time(end)}")
        self._line("")
        for account in report.accounts:
            doubt = "" if account.is_certain else " (not certain)"
            self._line(f"account {account.pk} {account.label}{doubt}")
            for start, end in account.spans:
                self._line(f"    could access: {_time(start)} to {_time(end)}")
            if account.responses:
                times = f"{_time(account.first_at)} to {_time(account.last_at)}"
                self._line(f"    {account.responses:,} responses: {times}")
        self._line("")
        for source in report.sources:
            self._line(
                f"{source.network} {source.program}: {source.requests:,} requests, {source.refused:,} rejected, "
                f"{_time(source.first_at)} to {_time(source.last_at)}"
            )
        for retired in report.retired:
            self._line(
                f"retired secret {retired.hint}: tried {retired.tries:,} times since {_time(retired.retired_at)}, last "
                f"{_time(retired.last_tried_at)} from {retired.last_network} {retired.last_agent}"
            )

    def _line(self, text: str) -> None:
        write_line(self.stdout, escape(text))


@sensitive_variables()
def _find_key(name: str) -> Any:
    """Return the id of a key from its id, its hint, or a secret on standard input."""
    if name == STDIN:
        return _key_of_secret(Secret((sys.stdin.read(MAX_INPUT) if sys.stdin else "").strip()))
    if name.startswith(conf.prefix()) and "…" not in name and "..." not in name:
        raise CommandError(
            "This looks like a secret. Other users of this machine can read arguments, so the secret may have leaked: "
            "rotate the key. Pass secrets on standard input."
        )
    try:
        return UUID(name)
    except ValueError:
        return _key_of_hint(name.replace("...", "…"))


@sensitive_variables()
def _key_of_secret(presented: Secret) -> Any:
    if not is_wellformed(presented, conf.prefix()):
        raise CommandError("Standard input has no valid secret. Pass one secret, or the id or hint of a key.")
    for _, key in leaks.keys_of([presented]):
        return key.pk
    digests = [secret.digest(presented, pepper) for pepper in conf.peppers()]
    if retired := RetiredSecret.objects.filter(digest__in=digests).first():
        return retired.key_id
    raise CommandError("No key has or had this secret. If it is older than the history, pass the id of the key.")


def _key_of_hint(hint: str) -> Any:
    pks = {*ApiKey.objects.filter(hint=hint).values_list("pk", flat=True)}
    pks |= {*RetiredSecret.objects.filter(hint=hint).values_list("key_id", flat=True)}
    pks |= {*KeyEvent.objects.filter(key_hint=hint, key_id__isnull=False).values_list("key_id", flat=True)}
    if len(pks) > 1:
        raise CommandError(f"Several keys have or had this hint. Pass an id: {', '.join(sorted(map(str, pks)))}")
    for pk in pks:
        return pk
    raise CommandError("No key has or had this hint, and it is no id.")


def _day(text: str | None, default: date) -> date:
    if text is None:
        return default
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not date(1970, 1, 1) <= day < date(9999, 1, 1):
        raise CommandError("Write days like 2027-03-31.")
    return day


def _time(at: datetime | None) -> str:
    return "–" if at is None else expiry.to_json(at)
