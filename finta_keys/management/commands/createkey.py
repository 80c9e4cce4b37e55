"""``manage.py createkey``: create a key and print its secret, and nothing else, on standard
output."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentTypeError
from contextlib import redirect_stdout
from datetime import date
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, ProgrammingError
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, expiry, history, names, owners
from finta_keys.management.errors import explain_database_errors, require_confirmation
from finta_keys.models import ApiKey

CONSEQUENCE = "no key was created"
UNAVAILABLE = (OperationalError, ProgrammingError)  # no connection, or no tables; other errors have their own messages


class Command(BaseCommand):
    help = (
        "Creates an API key and prints its secret on standard output. Messages go to standard error. The secret is not "
        "shown again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        username, (_, accounts) = get_user_model().USERNAME_FIELD, conf.account_words()
        parser.add_argument(
            "--user",
            required=True,
            type=_text,
            metavar=username.upper(),
            help=f"The {username} of the key's owner, or the primary key or another unique field.",
        )
        parser.add_argument("--name", required=True, help="The name of the key, such as where it is used.")
        parser.add_argument(
            "--account",
            dest="accounts",
            action="extend",
            nargs="+",
            type=_text,
            metavar="ID",
            help=f"The ids of the {accounts} that the key can access. Can be repeated. Without it, the key can access "
            f"all {accounts} of the owner, including future ones.",
        )
        parser.add_argument("--read-only", action="store_true", help="The key may use safe methods only, such as GET.")
        parser.add_argument(
            "--expires",
            type=_expiry,
            metavar="DATE",
            help="The day on which the key stops working, such as 2099-03-31, or a number of days, such as 90d.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help=f'Print a JSON object instead of the secret alone. "accounts" has the ids of the {accounts}, or is '
            "null if the key can access all.",
        )
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="Write the secret to a new file that only you can read, instead of to standard output.",
        )
        parser.add_argument(
            "--if-absent",
            action="store_true",
            help="Succeed without creating a key if the owner already has a key with this name.",
        )

    @sensitive_variables()  # This also hides the variables of every function called from here.
    def handle(self, *args: Any, **options: Any) -> None:
        name, self.output = options["name"], options["output"]
        if self.output and os.path.lexists(self.output):
            raise CommandError(f"{self.output} already exists. Choose another file, or remove it.")
        with explain_database_errors(CONSEQUENCE, errors=UNAVAILABLE, returncode=1):
            owner = find_owner(options["user"])
        try:
            # Receivers of the project may print, such as an e-mail to the console. Keep that off
            # standard output.
            with (
                explain_database_errors(CONSEQUENCE, errors=UNAVAILABLE, returncode=1),
                redirect_stdout(sys.stderr),
                history.acting(command="createkey"),
            ):
                key, secret = ApiKey.objects.create_key(
                    owner=owner,
                    name=name,
                    accounts=options["accounts"],
                    read_only=options["read_only"],
                    expires_at=options["expires"],
                )
        except ValidationError as error:
            # Look up the existing key only now, so that of two commands at once one creates it and
            # both succeed.
            existing = _existing_key(owner, name) if options["if_absent"] and _is_taken(error) else None
            if existing is None:
                raise CommandError(_explain(error, owner, options["accounts"])) from None
            self._report_existing(existing, as_json=options["json"])
        else:
            self._print_secret(key, secret, as_json=options["json"])
            require_confirmation()

    def _print_secret(self, key: ApiKey, secret: str, *, as_json: bool) -> None:
        """Print the secret, or delete the key if printing fails, because no one would know its
        secret."""
        place = f"in {self.output}" if self.output else "on standard output"
        try:
            self.stderr.write(
                f"Created the key “{key.name}” ({key.hint}) of {key.owner}. It can {_abilities(key)}. "
                f"Its secret is {place} and will not be shown again.",
                self.style.SUCCESS,
            )
            self._write(_as_json(key, created=True, secret=secret) if as_json else secret)
            return
        except Exception as error:
            failure = type(error).__name__
        # After the except block, so that no report of a later error shows the text that could not
        # be written.
        with history.acting(command="createkey"):
            key.delete()
        raise CommandError(
            f"The secret could not be printed ({failure}), so the key was deleted again. "
            "Check where the output goes, then repeat the command."
        )

    def _report_existing(self, key: ApiKey, *, as_json: bool) -> None:
        self.stderr.write(
            f"{key.owner} already has a key “{key.name}” ({key.hint}), so no key was created. "
            f"It can {_abilities(key)}. Its secret cannot be shown again; to get a new one, rotate the key.",
            self.style.WARNING,
        )
        if as_json:
            self._write(_as_json(key, created=False))

    def _write(self, text: str) -> None:
        if not self.output:
            self.stdout.write(text)
            self.stdout.flush()
            return
        descriptor = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{text}\n")
        except OSError:
            os.unlink(self.output)
            raise


def _text(argument: str) -> str:
    """Reject arguments that are not UTF-8: some databases raise an error for them instead of
    finding nothing."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError("this is not UTF-8 text. Type it again.") from None
    return argument


def _expiry(argument: str) -> date:
    try:
        return expiry.parse(argument)
    except ValueError:
        raise ArgumentTypeError(
            f"{argument!r} is no date. Use a date such as 2099-03-31, or 90d for 90 days."
        ) from None


def find_owner(username: str) -> AbstractBaseUser:
    """Return the user with this user name. Raise ``CommandError`` if there is none, or several."""
    model = get_user_model()
    field: Any = model._meta.get_field(model.USERNAME_FIELD)
    try:
        owner: AbstractBaseUser = owners.get_by_username(username)
    except model.DoesNotExist:
        raise CommandError(f"No user has {field.verbose_name} {username!r}. Check it, or add the user first.") from None
    except model.MultipleObjectsReturned:
        raise CommandError(
            f"Several users have {field.verbose_name} {username!r}. Pass a primary key or another unique field instead."
        ) from None
    return owner


def _existing_key(owner: AbstractBaseUser, name: str) -> ApiKey | None:
    keys = ApiKey.objects.select_related("owner").filter(owner=owner.pk)
    key: ApiKey | None = keys.filter(name_key=names.normalize(names.clean(name))).first()
    return key


def _is_taken(error: ValidationError) -> bool:
    return any(problem.code == "taken" for problem in ValidationError([error]).error_list)


def _explain(error: ValidationError, owner: AbstractBaseUser, accounts: list[str] | None) -> str:
    if _is_taken(error):
        return f"{owner} already has a key with this name. Choose another name, or add --if-absent to keep that key."
    if accounts and "accounts" in error.update_error_dict({}):
        ids = ", ".join(map(str, accounts))
        return f"At least one of these ids belongs to no {conf.account_words()[0]} of {owner}: {ids}. Check them."
    return "\n".join(error.messages)


def _abilities(key: ApiKey) -> str:
    verb = "read" if key.read_only else "access"
    until = f" until {expiry.to_json(key.expires_at)}" if key.expires_at else ""
    return f"{verb} {_scope(key)}{until}"


def _scope(key: ApiKey) -> str:
    singular, plural = conf.account_words()
    if key.share_all_accounts:
        return f"all {plural}, including future ones"
    count = len(_accessible(key))
    return f"{count} {singular if count == 1 else plural}"


def _accessible(key: ApiKey) -> list[Any]:
    """Return the primary keys of the accounts that the key can access."""
    accounts = conf.account_model()._base_manager.order_by("pk")
    return list(key.scoped(accounts).values_list("pk", flat=True))


@sensitive_variables()
def _as_json(key: ApiKey, *, created: bool, **extra: Any) -> str:
    return json.dumps(
        {
            "created": created,
            "id": key.pk,
            "name": key.name,
            "hint": key.hint,
            **extra,
            "permission": key.permission,
            "expiresAt": expiry.json_or_none(key.expires_at),
            "shareAllAccounts": key.share_all_accounts,
            "accounts": None if key.share_all_accounts else _accessible(key),
        },
        cls=DjangoJSONEncoder,
    )
