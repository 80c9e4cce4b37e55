"""``manage.py scankeys``: find secrets that have leaked into files, logs and repositories, and whose they are."""

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
from django.template.defaultfilters import pluralize
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, leaks
from finta_keys.management.errors import FAILED, explain_database_errors, explain_output_errors
from finta_keys.models import AlreadyDone, ApiKey
from finta_keys.secret import Secret, hint, is_wellformed

PLACES_KEPT = 10  # of one secret: in a log it may stand on every line
STDIN = "-"
FOUND, INTERRUPTED = 1, 130  # The last is what a shell says of SIGINT.


@dataclass
class Leak:
    """A secret that was found, and what became of it."""

    secret: Secret
    places: list[tuple[str, int]] = field(default_factory=list)
    count: int = 0  # of all places
    last: tuple[str, int] | None = None
    key: ApiKey | None = None
    deleted: bool = False
    fate: str = ""  # a few words on it, after the state

    def add(self, place: tuple[str, int]) -> None:
        """Add a place, once a line."""
        if place == self.last:
            return
        self.last = place
        self.count += 1
        if len(self.places) < PLACES_KEPT:
            self.places.append(place)

    @property
    def state(self) -> str:
        if self.key is None:
            return "unknown"
        return "live" if self.key.owner.is_active else "ownerInactive"


class AsWritten(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the paragraphs of the help."""


class Command(BaseCommand):
    help = """\
Finds secrets of API keys in files and folders, or on standard input, and tells where
they are and whose keys they belong to. It prints their hints, never the secrets.

Files are searched as bytes, binary ones too: text in UTF-8 or any other encoding that
contains ASCII, and in UTF-16. What is compressed or encoded otherwise (archives, base64,
the objects of a repository) is not looked into; for a repository's history use

  git log -p --all | python manage.py scankeys

In folders links are not followed, and pipes, sockets and devices are left out.

--delete --yes deletes the keys that were found, for good: what still uses them stops
working at once. There is no way to rotate them from here, because a fresh secret has no
place in the log of a build: their owners do that in their settings.

Exit status: 0 no key has any of the secrets; 1 at least one does, also where its owner
is inactive (active again, the key works) and where it was deleted just now: it has leaked
all the same; 2 wrong use, or something could not be read and nothing was found elsewhere.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, **{"formatter_class": AsWritten, **kwargs})

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="*", metavar="PATH", help="A file or folder; standard input where there is none, and for -."
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")
        parser.add_argument("--delete", action="store_true", help="Delete the keys that were found; needs --yes.")
        parser.add_argument("--yes", action="store_true", help="Do so without asking. Nothing is deleted without it.")

    def check(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = FAILED  # 1 would say that keys were found.
            raise

    @sensitive_variables()  # It hides the variables of all that is called from here, too.
    def handle(self, *args: Any, **options: Any) -> None:
        if options["yes"] and not options["delete"]:
            raise CommandError("--yes goes with --delete. To look only, leave it out.", returncode=FAILED)
        self.leaks: dict[Secret, Leak] = {}
        self.problems: list[tuple[str, str]] = []
        self.files = self.lookalikes = 0
        try:
            with explain_database_errors("nothing is known of the keys"), explain_output_errors(self.stdout):
                status = self._run(options)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        if status:
            sys.exit(status)

    def _run(self, options: dict[str, Any]) -> int:
        """Search, delete, report, in this order: what was asked is done even if nobody reads on. Return the status."""
        for path in options["paths"] or [STDIN]:
            self._scan(path)
        leaked = list(leaks.keys_of(self.leaks))
        for found, key in leaked:
            self.leaks[found].key = key
            if options["delete"]:
                self._delete(self.leaks[found], key, really=options["yes"])
        (self._report_json if options["json"] else self._report)()
        if leaked and options["delete"] and not options["yes"]:
            self.stderr.write("Nothing was deleted. To delete them for good, repeat the command with --yes.")
        return FOUND if leaked else FAILED if self.problems else 0

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
            self._note_problem("standard input", "It is closed. Name a file or a folder.")
            return
        if sys.stdin.isatty():
            self.stderr.write("Reading standard input; end it with Ctrl-D. To search files, name them.")
        try:
            self._search("standard input", sys.stdin.buffer)
        except OSError as error:
            self._failed("standard input", error)

    def _search(self, path: str, stream: BinaryIO) -> None:
        for line, found in leaks.find(stream):
            if not is_wellformed(found, conf.prefix()):
                self.lookalikes += 1
                continue
            leak = self.leaks.setdefault(found, Leak(found))
            leak.add((path, line))
        self.files += 1

    def _failed(self, path: str, error: OSError) -> None:
        self._note_problem(path, error.strerror or type(error).__name__)

    def _note_problem(self, path: str, problem: str) -> None:
        self.problems.append((_shown(path), problem))
        self.stderr.write(f"Could not be read: {_shown(path)}: {problem}", self.style.WARNING)

    def _delete(self, leak: Leak, key: ApiKey, *, really: bool) -> None:
        if not really:
            leak.fate = "would be deleted"
            return
        pk = key.pk  # Deleting takes it off the key; the report names it.
        try:
            key.delete(expected=key.rotation)
            leak.deleted, leak.fate = True, "deleted"
        except AlreadyDone:
            leak.fate = "rotated in the meantime, so this secret is dead and the key was left"
        except ApiKey.DoesNotExist:
            leak.fate = "deleted by somebody else in the meantime"
        except Exception as error:  # Whatever a receiver of the host's raises: the other keys have leaked, too.
            leak.fate = f"NOT deleted ({type(error).__name__})"
        key.pk = pk

    def _report(self) -> None:
        for leak in self.leaks.values():
            self._tell(f"{hint(leak.secret)}  {_verdict(leak)}")
            for path, line in leak.places:
                self._tell(f"    {_shown(path)}:{line}")
            if leak.count > len(leak.places):
                more = leak.count - len(leak.places)
                self._tell(f"    and {more:,} more place{pluralize(more)}")
        states = [leak.state for leak in self.leaks.values()]
        self._tell(
            f"{_number(states.count('live'), 'live key')}, {states.count('ownerInactive')} of inactive owners, "
            f"{_number(states.count('unknown'), 'secret')} that no key has; "
            f"{_number(self.lookalikes, 'look-alike')} with a wrong checksum; {_number(self.files, 'file')} read, "
            f"{len(self.problems)} not."
        )

    def _report_json(self) -> None:
        self._tell(
            json.dumps(
                {
                    "secrets": [_as_json(leak) for leak in self.leaks.values()],
                    "lookAlikes": self.lookalikes,
                    "filesRead": self.files,
                    "problems": [{"path": path, "problem": problem} for path, problem in self.problems],
                },
                cls=DjangoJSONEncoder,
            )
        )

    def _tell(self, text: str) -> None:
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        self.stdout.write(leaks.without_secrets(text).encode(encoding, "backslashreplace").decode(encoding))


def _verdict(leak: Leak) -> str:
    if leak.key is None:
        return "no key has it: rotated, deleted, or of another site"
    words = {"live": "live", "ownerInactive": "exists, but its owner is inactive"}[leak.state]
    text = f"{words}: the key “{leak.key.name}” of {leak.key.owner.get_username()}"
    return f"{text}, {leak.fate}" if leak.fate else text


def _as_json(leak: Leak) -> dict[str, Any]:
    key = leak.key
    return {
        "hint": hint(leak.secret),
        "state": leak.state,
        "key": key and {"id": key.pk, "name": key.name, "owner": key.owner.get_username()},
        "deleted": leak.deleted,
        "note": leak.fate,
        "places": [{"path": _shown(path), "line": line} for path, line in leak.places],
        "placeCount": leak.count,
    }


def _shown(path: str) -> str:
    """Return a path that can be printed: without what steers a terminal or is no text, and without a secret."""
    printable = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in path)
    return leaks.without_secrets(printable) or "(an empty name)"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{pluralize(count)}"
