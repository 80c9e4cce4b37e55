"""``manage.py doctor``: the problems of this installation, and their remedies."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.doctor import examine
from finta_keys.management.errors import explain_output_errors


class Command(BaseCommand):
    help = (
        "Checks a running installation: settings, proxies, files, Redis, mail, the database, migrations, clocks, "
        "peppers and sessions. Says what to do, and exits with status 1 if it finds a problem. Prints no value of "
        "the environment."
    )
    requires_system_checks = []  # it reports them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="Also test the proxies from outside, by the address of the site.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["url"] and not options["url"].startswith("https://"):
            raise CommandError("--url must start with https://, such as https://keys.example.com.")
        with explain_output_errors(self.stdout):
            count = 0
            for name, problems in examine(options["url"]):
                if problems is None:
                    self.stdout.write(f"{name:12} not checked, because of the database")
                elif not problems:
                    self.stdout.write(f"{name:12} ok", self.style.SUCCESS)
                for problem in problems or ():
                    self.stdout.write(f"{name:12} {problem.text}", self.style.ERROR)
                    self.stdout.write(f"{'':12} → {problem.remedy}")
                    count += 1
            self.stdout.write(f"{count or 'No'} problem{'s' if count != 1 else ''} found.")
        if count:
            raise SystemExit(1)
