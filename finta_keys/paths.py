"""The ways from a model to the account whose scope decides whether a row is seen."""

from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models
from django.dispatch import receiver

from finta_keys import conf


def lookups(model: type[models.Model], path: str) -> tuple[str, str]:
    """Return the lookups from ``model`` to the account's owner and to the keys that have the account in their scope.

    Raises ``ImproperlyConfigured`` where ``path`` does not lead to the account model by foreign keys alone: over a
    to-many relation a row could be seen through another account than the hidden one.
    """
    return _lookups(model, path)


@lru_cache(maxsize=256)
def _lookups(model: type[models.Model], path: str) -> tuple[str, str]:
    account = conf.account_model()
    if not leads(model, path):
        raise ImproperlyConfigured(
            f"The path {path!r} does not lead from {model._meta.label} to {account._meta.label} by foreign keys. "
            "Set account_path to the names of the foreign keys, joined by two underscores; "
            "leave it empty for the account model itself."
        )
    prefix = f"{path}__" if path else ""
    # The column, so that the owner's table is not joined.
    return f"{prefix}{conf.owner_field()}", f"{prefix}key_scopes__key"


def leads(model: type[models.Model], path: str) -> bool:
    """Tell whether ``path`` leads from ``model`` to the account model by foreign keys alone."""
    return _end(model, path) is conf.account_model()._meta.concrete_model


@receiver(setting_changed)
def _forget(**kwargs: object) -> None:
    """Settings change in tests only, which say so by this signal."""
    _lookups.cache_clear()


def way(model: type[models.Model]) -> str | None:
    """Return the shortest path of foreign keys from ``model`` to the account, as ``account_path`` has it, or None.

    Not by way of a user, to whom accounts belong, not who belongs to one.
    """
    account: Any = conf.account_model()._meta.concrete_model
    seen: set[Any] = {get_user_model()}
    pending: list[tuple[Any, str]] = [(model._meta.concrete_model, "")]
    while pending:
        each, path = pending.pop(0)
        if each is account:
            return path
        if each in seen:
            continue
        seen.add(each)
        for field in each._meta.get_fields():
            if isinstance(field, models.ForeignKey):
                pending.append((field.related_model._meta.concrete_model, f"{path}__{field.name}".removeprefix("__")))
    return None


def _end(model: type[models.Model], path: str) -> type[models.Model] | None:
    end = model._meta.concrete_model
    for name in path.split("__") if path else ():
        try:
            field = end._meta.get_field(name) if end else None
        except FieldDoesNotExist:
            return None
        if not isinstance(field, models.ForeignKey):
            return None
        end = field.related_model._meta.concrete_model
    return end
