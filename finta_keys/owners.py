"""The owner of keys and the accounts that they may choose, read and locked within a change (rule T2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import DataError, models
from django.utils.translation import gettext as _

from finta_keys import conf, display
from finta_keys.database import key_database


def get_by_username(username: str) -> Any:
    """Return the user who signs in by this name. Raises the ``DoesNotExist`` of the user model, also for what can be no
    name, such as a word where names are numbers."""
    model = get_user_model()
    users: Any = model._default_manager.db_manager(key_database())
    try:
        return users.get_by_natural_key(username)
    except (ValueError, ValidationError, OverflowError, DataError):
        raise model.DoesNotExist from None


def accounts_of(owner_pk: Any) -> models.QuerySet[Any]:
    """Return the accounts of a user."""
    return conf.account_model()._default_manager.using(key_database()).filter(**{conf.owner_field(): owner_pk})


def lock_owner(pk: Any) -> AbstractBaseUser | None:
    return _lockable(get_user_model()).filter(pk=pk).first()


def _lockable(model: type[models.Model]) -> models.QuerySet[Any]:
    """Return the rows of a model, to be locked. The model's own order may join other tables, as may what its manager
    fetches: PostgreSQL refuses to lock where such a join is an outer one."""
    rows = model._base_manager.using(key_database()).select_related(None).order_by("pk")
    return rows.select_for_update(no_key=True)


def require_active(owner: AbstractBaseUser | None) -> Any:
    if owner is None:
        _refuse("owner", _("This user no longer exists. Nothing was changed."))
    if not owner.is_active:
        _refuse("owner", _("This user is deactivated, so their keys cannot be used. Activate the user first."))
    return owner


def lock_accounts(owner_pk: Any, accounts: Iterable[Any]) -> list[Any]:
    """Lock the chosen accounts and return their primary keys. Raises ``ValidationError`` under ``accounts``."""
    model = conf.account_model()
    try:
        chosen = {_primary_key(model, account) for account in accounts}
    except (ValidationError, UnicodeEncodeError):
        chosen = {None}
    if not chosen:
        none = _("Choose at least one %(account_word)s, or turn on “Share all %(account_words)s”.")
        _refuse("accounts", none % display.words())
    found = _lockable(model).filter(**{conf.owner_field(): owner_pk}).in_bulk(chosen)
    if len(found) != len(chosen):
        gone = _("One of these %(account_words)s is not there any more, or is not this owner's. Choose again.")
        _refuse("accounts", gone % display.words())
    return list(found)


def _primary_key(model: type[models.Model], account: Any) -> Any:
    """Return the primary key of an account, or what is given as one. Raises ``ValidationError`` and
    ``UnicodeEncodeError`` for what can be none."""
    if isinstance(account, models.Model) and not isinstance(account, model._meta.concrete_model or model):
        raise ValidationError(f"A {type(account).__name__} is no account.")  # though one may have the same key
    field: Any = model._meta.pk
    while field.remote_field:  # Where it is the key of another row, what that one allows.
        field = field.target_field
    pk = field.clean(getattr(account, "pk", account), None)
    # A text key may have what PostgreSQL fails on instead of finding nothing.
    ProhibitNullCharactersValidator()(str(pk).encode().decode())
    return pk


def _refuse(field: str, message: str) -> NoReturn:
    raise ValidationError({field: message})
