"""``manage.py scankeys``: find leaked secrets in files, logs and repositories, and the keys they
belong to."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    SystemCheckError,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, expiry, history, leaks, owners, redaction, standby
from finta_keys.management.errors import FAILED, explain_database_errors, explain_output_errors
from finta_keys.management.output import count_of, escape, write_line
from finta_keys.models import AlreadyDone, ApiKey, RetiredSecret
from finta_keys.secret import Secret, hint, is_wellformed

PLACES_KEPT = 10  # of one secret, which may be on every line of a log
STDIN = "-"
FOUND, INTERRUPTED = 1, 130  # 130 is a shell's status for SIGINT.


@dataclass
class Leak:
    """A leaked secret: its places, its key, and the result of deleting the key."""

    secret: Secret
    places: list[tuple[str, int]] = field(default_factory=list)
    count: int = 0  # of all places, including those that are not kept
    last: tuple[str, int] | None = None
    key: ApiKey | None = None
    retired: RetiredSecret | None = None
    owner: str | None = None  # the user name of the owner of the key, if there is one
    deleted: bool = False
    note: str = ""  # the result of --delete, printed after the state

    def add(self, place: tuple[str, int]) -> None:
        """Add a place. A line counts once."""
        if place == self.last:
            return
        self.last = place
        self.count += 1
        if len(self.places) < PLACES_KEPT:
            self.places.append(place)

    @property
    def state(self) -> str:
        if self.key is None:
            return "unknown" if self.retired is None else "retired"
        return "live" if self.key.owner.is_active else "ownerInactive"


class ParagraphFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keep the paragraphs of the help."""


class Command(BaseCommand):
    help = """\
Finds secrets of API keys in files and folders, or on standard input. Shows where they
are and which keys they belong to. Prints hints, never the secrets.

Files are searched as bytes, including binary files. Secrets are found in UTF-8 and any
other encoding that contains ASCII. They are not found in UTF-16, compressed files, base64
or the objects of a repository. To search the history of a repository, use

  git log -p --all | python manage.py scankeys

In folders, links are not followed, and pipes, sockets and devices are skipped.

--delete --yes deletes the keys that were found, for good. Applications that use them stop
working at once. The command cannot rotate keys, because a new secret does not belong in
the log of a build. The owners can rotate their keys in API settings.

Secrets that were rotated or deleted are not valid. Their keys are named as long as they
are known.

Exit status: 0 if no key has any of the secrets; 1 if a key has one, even if its owner is
inactive or the key has just been deleted; 2 for wrong arguments, or if something could not
be read and no key has any of the secrets found elsewhere.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, **{"formatter_class": ParagraphFormatter, **kwargs})

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="*", metavar="PATH", help="A file or folder. Standard input if there is none, or for -."
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")
        parser.add_argument("--delete", action="store_true", help="Delete the keys that were found; needs --yes.")
        parser.add_argument("--yes", action="store_true", help="Confirm --delete. Nothing is deleted without it.")

    def check(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = FAILED  # 1 would mean that keys were found.
            raise

    @sensitive_variables()  # This also hides the variables of every function called from here.
    def handle(self, *args: Any, **options: Any) -> None:
        if options["yes"] and not options["delete"]:
            raise CommandError("--yes needs --delete. To search only, remove it.", returncode=FAILED)
        self.leaks: dict[Secret, Leak] = {}
        self.problems: list[tuple[str, str]] = []
        self.files = self.lookalikes = 0
        try:
            with explain_database_errors("the keys could not be looked up"), explain_output_errors(self.stdout):
                status = self._run(options)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        if status:
            sys.exit(status)

    def _run(self, options: dict[str, Any]) -> int:
        """Search, delete and report. Return the exit status.

        Keys are deleted before the report, so that they are deleted even if it cannot be printed.
        """
        for path in options["paths"] or [STDIN]:
            self._scan(path)
        leaked = list(leaks.keys_of(self.leaks))
        for secret, key in leaked:
            self.leaks[secret].key, self.leaks[secret].owner = key, key.owner.get_username()
            if options["delete"]:
                self._delete(self.leaks[secret], key, confirmed=options["yes"])
        self._find_retired()
        if options["json"]:
            self._report_json()
        else:
            self._report()
        if leaked and options["delete"] and not options["yes"]:
            self.stderr.write("Nothing was deleted. To delete these keys for good, repeat the command with --yes.")
        if leaked:
            return FOUND
        return FAILED if self.problems else 0

    def _find_retired(self) -> None:
        for secret, retired in leaks.retired(secret for secret, leak in self.leaks.items() if leak.key is None):
            self.leaks[secret].retired = retired
        rows = [leak.retired for leak in self.leaks.values() if leak.retired is not None]
        names = owners.names_of({retired.owner_pk for retired in rows})
        for leak in self.leaks.values():
            if leak.retired is not None:
                leak.owner = names.get(leak.retired.owner_pk)

    def _scan(self, path: str) -> None:
        if path == STDIN:
            self._scan_stdin()
            return
        for file in leaks.files(path, self._failed):
            try:
                with open(file, "rb") as stream:
                    self._search(file, stream)
            except OSError as error:
                self._failed(file, error)

    def _scan_stdin(self) -> None:
        if sys.stdin is None:
            self._note_problem("standard input", "It is closed. Pass the path of a file or folder.")
            return
        if sys.stdin.isatty():
            self.stderr.write("Reading standard input. Press Ctrl-D to end it. To search files, pass their paths.")
        try:
            self._search("standard input", sys.stdin.buffer)
        except OSError as error:
            self._failed("standard input", error)

    def _search(self, path: str, stream: BinaryIO) -> None:
        for line, candidate in leaks.find(stream):
            if not is_wellformed(candidate, conf.prefix()):
                self.lookalikes += 1
                continue
            leak = self.leaks.setdefault(candidate, Leak(candidate))
            leak.add((path, line))
        self.files += 1

    def _failed(self, path: str, error: OSError) -> None:
        self._note_problem(path, error.strerror or type(error).__name__)

    def _note_problem(self, path: str, problem: str) -> None:
        self.problems.append((_shown(path), problem))
        self.stderr.write(f"Could not be read: {_shown(path)}: {problem}", self.style.WARNING)

    def _delete(self, leak: Leak, key: ApiKey, *, confirmed: bool) -> None:
        if not confirmed:
            leak.note = "would be deleted"
            return
        pk = key.pk  # Deleting clears it, and the report shows it.
        try:
            with history.acting(command="scankeys"):
                key.delete(expected=key.rotation)
            leak.deleted, leak.note = True, "deleted"
            if standby.take_unconfirmed():
                self.stderr.write(standby.sentence(), self.style.WARNING)
        except AlreadyDone:
            leak.note = "rotated since, so this secret is not valid and the key was kept"
        except ApiKey.DoesNotExist:
            leak.note = "already deleted"
        except Exception as error:  # A receiver of the project may raise anything. Go on with the other keys.
            leak.note = f"NOT deleted ({type(error).__name__})"
        key.pk = pk

    def _report(self) -> None:
        for leak in self.leaks.values():
            write_line(self.stdout, f"{hint(leak.secret)}  {_verdict(leak)}")
            for path, line in leak.places:
                write_line(self.stdout, f"    {_shown(path)}:{line}")
            hidden = leak.count - len(leak.places)
            if hidden:
                write_line(self.stdout, f"    and {count_of(hidden, 'more place')}")
        states = [leak.state for leak in self.leaks.values()]
        write_line(
            self.stdout,
            f"{count_of(states.count('live'), 'live key')}, {states.count('ownerInactive')} of inactive owners, "
            f"{count_of(states.count('retired'), 'retired secret')}, "
            f"{count_of(states.count('unknown'), 'secret')} without a key; "
            f"{count_of(self.lookalikes, 'look-alike')} with a wrong checksum; {count_of(self.files, 'file')} read, "
            f"{len(self.problems)} unreadable.",
        )

    def _report_json(self) -> None:
        write_line(
            self.stdout,
            json.dumps(
                {
                    "secrets": [_as_json(leak) for leak in self.leaks.values()],
                    "lookAlikes": self.lookalikes,
                    "filesRead": self.files,
                    "problems": [{"path": path, "problem": problem} for path, problem in self.problems],
                },
                cls=DjangoJSONEncoder,
            ),
        )


def _verdict(leak: Leak) -> str:
    if leak.retired is not None:
        name = f"the key “{leak.retired.key_name}” of {leak.owner}" if leak.owner else "a key of a deleted user"
        at = expiry.to_json(leak.retired.retired_at)
        return f"not valid: {name} was {leak.retired.reason} on {at[:10]}"
    if leak.key is None:
        return "no key has this secret, as far as is known: it may belong to another site"
    state = {"live": "live", "ownerInactive": "the owner is inactive"}[leak.state]
    text = f"{state}: the key “{leak.key.name}” of {leak.owner}"
    return f"{text}, {leak.note}" if leak.note else text


def _as_json(leak: Leak) -> dict[str, Any]:
    key = None
    if leak.key is not None:
        key = {"id": leak.key.pk, "name": leak.key.name, "owner": leak.owner}
    elif leak.retired is not None:
        key = {"id": leak.retired.key_id, "name": leak.retired.key_name, "owner": leak.owner}
    return {
        "hint": hint(leak.secret),
        "state": leak.state,
        "key": key,
        "retiredAt": leak.retired and expiry.to_json(leak.retired.retired_at),
        "deleted": leak.deleted,
        "note": leak.note,
        "places": [{"path": _shown(path), "line": line} for path, line in leak.places],
        "placeCount": leak.count,
    }


def _shown(path: str) -> str:
    """Return a path for printing: control characters and invalid text are escaped, and secrets
    are replaced."""
    return redaction.without_secrets(escape(path)) or "(an empty name)"
