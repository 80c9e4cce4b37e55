"""``manage.py seeddemo``: two owners to try the site with."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts_app.demo import seed as demo
from accounts_app.models import Transaction, User, today


class Command(BaseCommand):
    help = (
        "Makes two demo owners with their accounts and transactions, as far as they are missing, and says how to sign "
        "in. Refuses where DEBUG is off."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "DEBUG is off, and demo owners, whose password is printed, belong on no site that others use. "
                "Set DEBUG=true in the environment or .env of your own machine, or make a real user with "
                "createsuperuser."
            )
        owners = demo.seed(today())
        self.stdout.write(f"Sign in at http://127.0.0.1:{os.environ.get('PORT') or 8000}/login as", self.style.SUCCESS)
        for owner in owners:
            self.stdout.write(f"  {owner.email}  {_password(owner)}  ({_possessions(owner)})")
        self.stdout.write(
            "Storage Mode is off until an owner creates the first key, which switches it on.\n"
            "`.venv/bin/python manage.py createsuperuser` makes an operator, who may sign in to /admin."
        )


def _password(owner: User) -> str:
    if demo.has_demo_password(owner):
        return f"password {demo.password()}"
    return "with the password you gave it"


def _possessions(owner: User) -> str:
    transactions = Transaction.objects.filter(account__owner=owner).count()
    return f"{owner.accounts.count()} accounts, {transactions} transactions"
