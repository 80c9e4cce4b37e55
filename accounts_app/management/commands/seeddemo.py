"""``manage.py seeddemo``: create two demo owners."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.demo import seed
from accounts_app.models import Transaction, User, today
from finta_keys.management.errors import explain_output_errors


class Command(BaseCommand):
    help = (
        "Creates two demo owners with accounts and transactions, unless they exist, and prints how to sign in. "
        "Requires DEBUG."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="Run migrate first, which saves a start of Python.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "DEBUG is off. The passwords of the demo owners are printed, so they must not exist on a public site. "
                "On your own machine, set DEBUG=true in the environment or .env. For a real user, run createsuperuser."
            )
        if options["migrate"]:
            call_command("migrate", verbosity=0)
        with explain_output_errors(self.stdout):
            self._print(seed.seed_demo(today()))

    def _print(self, owners: Iterable[User]) -> None:
        address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
        self.stdout.write(f"Sign in at {address}/login as", self.style.SUCCESS)
        for owner in owners:
            self.stdout.write(f"  {owner.email}  {_password(owner)}  ({_counts(owner)})")
        self.stdout.write(
            f"With a key, call the API at {address}/v2 (described at {address}/v2/docs).\n"
            "Storage Mode is off until an owner creates the first key.\n"
            "To sign in to /admin, create an operator with `.venv/bin/python manage.py createsuperuser`."
        )


def _password(owner: User) -> str:
    if seed.has_demo_password(owner):
        return f"password {seed.demo_password()}"
    return "with the password you set"


def _counts(owner: User) -> str:
    transactions = Transaction.objects.filter(account__owner=owner).count()
    return f"{owner.accounts.count()} accounts, {transactions} transactions"
