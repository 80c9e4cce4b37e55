"""Foreign-key paths from a model to the account model, and filters along them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models
from django.db.models.manager import BaseManager

from finta_keys import conf, pk_lookup
from finta_keys.database import key_database

if TYPE_CHECKING:
    from finta_keys.models import ApiKey


def limit_to_owner(queryset: Any, account_path: str, owner_pk: Any) -> models.QuerySet[Any]:
    """Return the rows of ``queryset`` whose account belongs to an owner. Raises the errors of
    ``limit_to_key()``."""
    queryset = _require_path(queryset, account_path)
    to_owner, _ = lookups(queryset.model, account_path)
    return queryset.filter(**{to_owner: owner_pk})  # type: ignore[no-any-return]  # may be a class of the project


def limit_to_key(key: ApiKey, queryset: Any, account_path: str = "") -> models.QuerySet[Any]:
    """Return the rows in the scope of a key, read from the database that keys are written to.

    ``queryset`` may be a manager. ``account_path`` leads from its model to the account by foreign
    keys, such as ``"account"`` or ``"order__shop"``; it is empty for the account model itself.

    Raises ``ImproperlyConfigured`` if the path does not lead there, if the queryset can no longer
    be filtered, or if one of its annotations has the name of a field on the path.
    """
    is_plain = pk_lookup.is_plain(queryset)  # so neither sliced nor combined nor annotated
    if not is_plain:
        queryset = _require_path(queryset, account_path)
    to_owner, to_key = lookups(queryset.model, account_path)
    conditions = {to_owner: key.owner_id}
    if not key.share_all_accounts:
        # A join costs a third of what Exists() costs to build, and the unique scope row cannot
        # double a result.
        conditions[to_key] = key.pk
    if is_plain:
        return pk_lookup.sealed(queryset, conditions, key_database())
    return queryset.filter(**conditions).using(key_database())  # type: ignore[no-any-return]


def _require_path(queryset: Any, account_path: str) -> Any:
    """Return a queryset that can be filtered along the path."""
    if isinstance(queryset, BaseManager):
        queryset = queryset.all()
    if not can_filter(queryset):
        raise ImproperlyConfigured(
            "Rows can be limited to an account only before a queryset is sliced, combined by union(), intersection() "
            "or difference(), or replaced by raw() or a list. Call scoped() first."
        )
    to_owner, to_key = lookups(queryset.model, account_path)
    for name in queryset.query.annotations:  # Django would filter by the annotation.
        if f"{to_owner}__".startswith(f"{name}__") or f"{to_key}__".startswith(f"{name}__"):
            raise ImproperlyConfigured(
                f"The queryset has an annotation {name!r}, which is also a name on the path from "
                f"{queryset.model._meta.label} to the account. Rename the annotation."
            )
    return queryset


def can_filter(rows: Any) -> bool:
    """Return True for a queryset that is neither sliced nor combined."""
    return isinstance(rows, models.QuerySet) and not rows.query.is_sliced and not rows.query.combinator


@conf.cached
def lookups(model: type[models.Model], account_path: str) -> tuple[str, str]:
    """Return the lookups from ``model`` to the account's owner, and to the keys that have the
    account in their scope.

    Raises ``ImproperlyConfigured`` if ``account_path`` does not lead to the account model by
    foreign keys alone. Over a to-many relation, a row would be visible through an account other
    than the hidden one.
    """
    account = conf.account_model()
    if not leads_to_account(model, account_path):
        raise ImproperlyConfigured(
            f"The path {account_path!r} does not lead from {model._meta.label} to {account._meta.label} by foreign "
            "keys. Set account_path to the names of the foreign keys, joined by two underscores; "
            "leave it empty for the account model itself."
        )
    prefix = f"{account_path}__" if account_path else ""
    # The column of the foreign key, so that the owner's table is not joined.
    return f"{prefix}{conf.owner_field()}", f"{prefix}finta_key_scopes__key"


def leads_to_account(model: type[models.Model], account_path: str) -> bool:
    """Return True if ``account_path`` leads from ``model`` to the account model by foreign keys
    alone."""
    end = model._meta.concrete_model
    for name in account_path.split("__") if account_path else ():
        try:
            field = end._meta.get_field(name) if end else None
        except FieldDoesNotExist:
            return False
        if not isinstance(field, models.ForeignKey):
            return False
        end = field.related_model._meta.concrete_model
    return end is conf.account_model()._meta.concrete_model


def shortest_path(model: type[models.Model]) -> str | None:
    """Return the shortest foreign-key path from ``model`` to the account, as in
    ``account_path``, or None."""
    return min(all_paths(model), key=lambda path: (path.count("__"), bool(path)), default=None)


@conf.cached
def all_paths(model: type[models.Model]) -> tuple[str, ...]:
    """Return every foreign-key path from ``model`` to the account. Empty if there is none.

    No path visits a model twice, except that a foreign key to the same model is followed once. None
    leads through the user model: accounts belong to users, not the other way round.
    """
    return tuple(_paths(model._meta.concrete_model, (get_user_model(),)))


def _paths(model: Any, visited: tuple[Any, ...]) -> list[str]:
    account = conf.account_model()._meta.concrete_model
    paths = [""] if model is account else []
    if model in visited or (visited[1:] and paths):  # The first entry is the user model.
        return paths
    to_itself = []  # names of foreign keys to the same model
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey):
            related = field.related_model._meta.concrete_model
            if related is model and model is not account:
                to_itself.append(field.name)
            else:
                paths += [_joined(field.name, path) for path in _paths(related, (*visited, model))]
    return paths + [_joined(name, path) for name in to_itself for path in paths]


def _joined(name: str, path: str) -> str:
    return f"{name}__{path}" if path else name


@conf.cached
def paths_to_user(model: type[models.Model]) -> tuple[str, ...]:
    """Return the shortest foreign-key paths from ``model`` to the user model, all of the same
    length."""
    user, level = get_user_model(), [("", model._meta.concrete_model)]
    visited: set[Any] = set()
    while level:
        steps = [
            (f"{path}__{field.name}" if path else field.name, field.related_model._meta.concrete_model)
            for path, start in level
            if start not in visited
            for field in start._meta.get_fields()  # type: ignore[union-attr]
            if isinstance(field, models.ForeignKey)
        ]
        if paths := tuple(path for path, end in steps if end is user):
            return paths
        visited |= {start for _, start in level}
        level = steps
    return ()
