"""``manage.py createkey``: a key from the shell, its secret alone on standard output."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from contextlib import redirect_stdout
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, ProgrammingError
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, names, owners
from finta_keys.management.errors import explain_database_errors
from finta_keys.models import ApiKey

NOTHING_MADE = "there is no secret to hand over"
AWAY = (OperationalError, ProgrammingError)  # or without our tables. What it refuses otherwise keeps its own words.


class Command(BaseCommand):
    help = (
        "Creates an API key and prints its secret, and nothing else, on standard output; all else goes to standard "
        "error. The secret is not shown again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        username, (_, several) = get_user_model().USERNAME_FIELD, conf.account_words()
        parser.add_argument(
            "--user", required=True, type=_text, metavar=username.upper(), help=f"The {username} of the key's owner."
        )
        parser.add_argument("--name", required=True, help="The key's name, such as where it is used.")
        parser.add_argument(
            "--account",
            dest="accounts",
            action="extend",
            nargs="+",
            type=_text,
            metavar="ID",
            help=f"The id of one of the {several} that the key may see, or several ids; can be repeated. "
            f"Without it the key sees all {several} of the owner, future ones included.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help=f"Print a JSON object instead of the bare secret; its accounts are the ids of the {several}, null "
            "where the key sees all.",
        )
        parser.add_argument(
            "--if-absent", action="store_true", help="Make nothing where the owner has a key of this name already."
        )

    @sensitive_variables()  # It hides the variables of all that is called from here, too.
    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        with explain_database_errors(NOTHING_MADE, errors=AWAY, returncode=1):
            owner = _find_owner(options["user"])
        try:
            # Standard error has what a receiver of the host prints, too, such as a mail on the console.
            with explain_database_errors(NOTHING_MADE, errors=AWAY, returncode=1), redirect_stdout(sys.stderr):
                key, secret = ApiKey.objects.create_key(owner=owner, name=name, accounts=options["accounts"])
        except ValidationError as refusal:
            # The look-up comes after the refusal, so that of two commands at once one makes the key and both succeed.
            namesake = _namesake(owner, name) if options["if_absent"] and _is_taken(refusal) else None
            if namesake is None:
                raise CommandError(_explain(refusal, owner, options["accounts"])) from None
            self._report(namesake, as_json=options["json"])
        else:
            self._hand_over(key, secret, as_json=options["json"])

    def _hand_over(self, key: ApiKey, secret: str, *, as_json: bool) -> None:
        try:
            self.stderr.write(
                f"Created the key “{key.name}” ({key.hint}) of {key.owner}. It sees {_scope(key)}. "
                "Its secret goes to standard output and will not be shown again.",
                self.style.SUCCESS,
            )
            self.stdout.write(_as_json(key, created=True, secret=secret) if as_json else secret)
            self.stdout.flush()
            return
        except Exception as error:
            failure = type(error).__name__
        # Outside the handler, so that no report of what comes now shows the text that could not be written.
        # A closed pipe or a full disk, whatever it was: a secret that nobody has seen must not stay good.
        key.delete()
        raise CommandError(
            f"The secret could not be handed over ({failure}), so the key was deleted again. "
            "Look where the output goes, then repeat the command."
        )

    def _report(self, key: ApiKey, *, as_json: bool) -> None:
        """Tell of a key that is there already."""
        self.stderr.write(
            f"{key.owner} has a key “{key.name}” ({key.hint}) already, so nothing was made. It sees {_scope(key)}. "
            "Its secret cannot be shown again; to get a new one, rotate the key.",
            self.style.WARNING,
        )
        if as_json:
            self.stdout.write(_as_json(key, created=False))


def _text(argument: str) -> str:
    """Refuse bytes of the command line that are not text: some databases fail on them instead of finding nothing."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError("this is not UTF-8 text. Type it again.") from None
    return argument


def _find_owner(username: str) -> AbstractBaseUser:
    model = get_user_model()
    try:
        owner: AbstractBaseUser = owners.get_by_username(username)
    except model.DoesNotExist:
        field: Any = model._meta.get_field(model.USERNAME_FIELD)
        raise CommandError(f"No user has {field.verbose_name} {username!r}. Check it, or add the user first.") from None
    return owner


def _namesake(owner: AbstractBaseUser, name: str) -> ApiKey | None:
    keys = ApiKey.objects.select_related("owner")
    key: ApiKey | None = keys.filter(owner=owner.pk, name_key=names.normalize(names.clean(name))).first()
    return key


def _is_taken(refusal: ValidationError) -> bool:
    return any(problem.code == "taken" for problem in ValidationError([refusal]).error_list)


def _explain(refusal: ValidationError, owner: AbstractBaseUser, accounts: list[str] | None) -> str:
    if _is_taken(refusal):
        return f"{owner} has a key of this name already. Choose another name, or add --if-absent to leave it as it is."
    if accounts and "accounts" in refusal.update_error_dict({}):
        ids = ", ".join(map(str, accounts))
        return f"At least one of these ids belongs to no {conf.account_words()[0]} of {owner}: {ids}. Check them."
    return "\n".join(refusal.messages)


def _scope(key: ApiKey) -> str:
    one, several = conf.account_words()
    if key.share_all_accounts:
        return f"all {several}, future ones included"
    count = len(_seen(key))
    return f"{count} {one if count == 1 else several}"


def _seen(key: ApiKey) -> list[Any]:
    """Return the primary keys of the accounts that the key sees."""
    accounts = conf.account_model()._base_manager.order_by("pk")
    return list(key.scoped(accounts).values_list("pk", flat=True))


@sensitive_variables()
def _as_json(key: ApiKey, *, created: bool, **more: Any) -> str:
    return json.dumps(
        {
            "created": created,
            "id": key.pk,
            "name": key.name,
            "hint": key.hint,
            **more,
            "shareAllAccounts": key.share_all_accounts,
            "accounts": None if key.share_all_accounts else _seen(key),
        },
        cls=DjangoJSONEncoder,
    )
