"""Find, lock and validate the owners of keys and their accounts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NoReturn

from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from django.db.models.manager import BaseManager
from django.utils.translation import gettext as _

from finta_keys import conf, display
from finta_keys.database import INVALID_VALUE_ERRORS, batches, key_database


def get_by_username(username: str) -> Any:
    """Return the user who signs in with this name, or else the user with this value in a unique
    field.

    Raise the user model's ``DoesNotExist`` if there is none, and for text that is no valid name,
    such as letters if names are numbers. Raise its ``MultipleObjectsReturned`` if several users
    have the name.
    """
    model = get_user_model()
    max_length = getattr(model._meta.get_field(model.USERNAME_FIELD), "max_length", None)
    if max_length and len(username) > max_length:  # A manager may normalize the name, in more than linear time.
        raise model.DoesNotExist
    users: Any = model._default_manager.db_manager(key_database())
    try:
        return users.get_by_natural_key(username)
    except (*INVALID_VALUE_ERRORS, model.DoesNotExist, model.MultipleObjectsReturned) as error:
        user = _get_by_unique_field(users, username)
        if user is not None:
            return user
        raise error if isinstance(error, model.MultipleObjectsReturned) else model.DoesNotExist from None


def _get_by_unique_field(users: Any, value: str) -> Any:
    for field in users.model._meta.concrete_fields:
        if (field.unique and field.editable) or field.primary_key:
            with suppress(*INVALID_VALUE_ERRORS):
                field.clean(value, None)
                if user := users.filter(**{field.name: value}).first():
                    return user
    return None


def names_of(pks: Iterable[str]) -> dict[str, str]:
    """Return the user names of the users with these primary keys. Keys of the dict are the primary
    keys as text."""
    model: Any = get_user_model()
    values = []
    for pk in pks:
        with suppress(*INVALID_VALUE_ERRORS):
            values.append(model._meta.pk.to_python(pk))
    users: Any = models.QuerySet(model, using=key_database())
    return {str(user.pk): user.get_username() for batch in batches(values) for user in users.filter(pk__in=batch)}


def accounts_of(owner_pk: Any) -> models.QuerySet[Any]:
    """Return the accounts of the user with this primary key."""
    return conf.account_model()._default_manager.using(key_database()).filter(**{conf.owner_field(): owner_pk})


def lock_owner(pk: Any) -> AbstractBaseUser | None:
    """Lock the row of a user until the transaction ends. Return None if there is no such user."""
    return _lockable(get_user_model()).filter(pk=pk).first()


def _lockable(model: type[models.Model]) -> models.QuerySet[Any]:
    """Return all rows of a model, to be locked in the order of their primary keys.

    The joins of the model's own ordering and manager are removed, because PostgreSQL cannot lock
    rows of an outer join.
    """
    rows = model._base_manager.using(key_database()).select_related(None).order_by("pk")
    return rows.select_for_update(no_key=True)


def can_sign_in(owner: Any) -> bool:
    """Return True if the owner is active, and a backend accepts them or none decides (rule X5)."""
    if not owner.is_active:
        return False
    return not _backends_decide() or any(
        backend.user_can_authenticate(owner) for backend in get_backends() if hasattr(backend, "user_can_authenticate")
    )


@conf.cached
def _backends_decide() -> bool:
    """Return False if no backend decides which active users may sign in, or if one accepts all
    of them."""
    # Not at the top: this module is imported before the models of the project.
    from django.contrib.auth.backends import AllowAllUsersModelBackend, ModelBackend

    try:
        backends = get_backends()
    except ImproperlyConfigured:  # AUTHENTICATION_BACKENDS is empty.
        return False
    methods = [getattr(type(backend), "user_can_authenticate", None) for backend in backends]
    accepting = (ModelBackend.user_can_authenticate, AllowAllUsersModelBackend.user_can_authenticate)
    return any(methods) and not any(method in accepting for method in methods)


@conf.cached
def _user_model() -> Any:
    return get_user_model()


def manager_filters() -> bool:
    """Return True if the default manager of users may leave some out, such as deleted ones."""
    return type(_user_model()._default_manager).get_queryset is not BaseManager.get_queryset


def require_active(owner: AbstractBaseUser | None) -> Any:
    """Return the owner. Raise ``ValidationError`` for ``owner`` if it is None or could not sign
    in."""
    if owner is None:
        _reject("owner", _("This user no longer exists. Nothing was changed."))
    is_left_out = manager_filters() and not get_user_model()._default_manager.using(key_database()).contains(owner)
    if is_left_out or not can_sign_in(owner):
        _reject("owner", _("This user is inactive, so the key would not work. Activate the user first."))
    return owner


def lock_accounts(owner_pk: Any, accounts: Iterable[Any], *, may_be_empty: bool = False) -> list[Any]:
    """Lock these accounts and return their primary keys. ``accounts`` are instances or primary
    keys.

    Raise ``ValidationError`` for ``accounts`` if there are none, or if one does not belong to the
    owner.
    """
    model = conf.account_model()
    try:
        selected = {_primary_key(model, account) for account in accounts}
    except (ValidationError, UnicodeEncodeError):
        selected = {None}
    if not selected and not may_be_empty:
        reject_empty_scope()
    locked = _lockable(model).filter(**{conf.owner_field(): owner_pk}).in_bulk(selected)
    if len(locked) != len(selected):
        message = _("At least one of these %(account_words)s is gone or belongs to another user. Select again.")
        _reject("accounts", message % display.words())
    return list(locked)


def reject_empty_scope() -> NoReturn:
    """Raise ``ValidationError`` for ``accounts``, because none is selected."""
    message = _("Select at least one %(account_word)s, or turn on “Share all %(account_words)s”.")
    _reject("accounts", message % display.words())


def valid_pks(values: Iterable[Any]) -> list[Any]:
    """Return the values that can be primary keys of accounts, converted to the type of the
    field."""
    pks = []
    for value in values:
        with suppress(ValidationError, UnicodeEncodeError):
            pks.append(_primary_key(conf.account_model(), value))
    return [pk for pk in pks if pk is not None]


def existing_pks(owner_pk: Any, pks: Iterable[str]) -> set[str]:
    """Return those of these primary keys (as text) that belong to accounts of this user."""
    accounts = accounts_of(owner_pk).order_by().values_list("pk", flat=True)
    return {str(pk) for batch in batches(valid_pks(pks)) for pk in accounts.filter(pk__in=batch)}


def _primary_key(model: type[models.Model], account: Any) -> Any:
    """Return the primary key of an account, or a value that was passed as one.

    Raise ``ValidationError`` or ``UnicodeEncodeError`` for anything that cannot be one.
    """
    # An instance of another model may have the primary key of an account.
    if isinstance(account, models.Model) and not isinstance(account, model._meta.concrete_model or model):
        raise ValidationError(f"A {type(account).__name__} is no account.")
    field: Any = model._meta.pk
    while field.remote_field:  # A foreign key as primary key is validated by the field it points to.
        field = field.target_field
    pk = field.clean(getattr(account, "pk", account), None)
    # PostgreSQL raises an error for text with a NUL or a lone surrogate.
    ProhibitNullCharactersValidator()(str(pk).encode().decode())
    return pk


def _reject(field: str, message: str) -> NoReturn:
    raise ValidationError({field: message})
