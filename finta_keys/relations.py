"""Limit the rows that a relation, a choice or a filter may name (rule S7.7)."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.manager import BaseManager

from finta_keys import account_paths, conf, scope_queries
from finta_keys.callers import is_unlimited, key_of, limited, owner_pk
from finta_keys.request_state import current_request, unscoped_rows


def limited_choices(request: Any, queryset: Any, account_path: str | None = None) -> models.QuerySet[Any]:
    """Return the rows of ``queryset`` that the caller of a request may name.

    Rows with a path to the account are limited to the accounts that the caller may access: for a
    key along every path, for people along the shortest. Rows of a user are limited to the caller's
    own. Rows of shared models are returned as they are. So are all rows if no request is running,
    such as in a background job.

    Raises ``ImproperlyConfigured`` for a model with neither an account nor an owner that is not
    declared as shared.
    """
    if isinstance(queryset, BaseManager):
        queryset = queryset.all()
    request = request or current_request()
    if request is None or is_shared(queryset.model):
        return queryset  # type: ignore[no-any-return]  # may be a queryset class of the project
    paths = account_paths.all_paths(queryset.model)
    if account_path is None and len(paths) > 1 and key_of(request) is not None:
        # A save is checked along every path, so a hidden row on any of them must look missing here.
        return scope_queries.inside_scope(partial(limited, request), queryset, paths)
    path = account_paths.shortest_path(queryset.model) if account_path is None else account_path
    if path is not None:
        return limited(request, queryset, path)
    lookup = owner_lookup(queryset.model)
    view = (getattr(request, "parser_context", None) or {}).get("view")
    if is_unlimited(request, view):
        return queryset  # type: ignore[no-any-return]
    pk = owner_pk(request)
    return queryset.none() if pk is None else queryset.filter(**{lookup: pk})  # type: ignore[no-any-return]


def hidden_rows(field: Any, row: Any = None) -> list[Any]:
    """Return the rows that ``row`` is related to by a many-to-many field, and the caller may not
    access.

    ``row`` is the instance of the serializer by default. There are none if it is not saved.
    """
    row = getattr(field.parent, "instance", None) if row is None else row
    related: Any = row if isinstance(row, models.Model) and row.pk is not None else None
    for name in str(field.source).split("."):
        related = getattr(related, name, None)
    if not isinstance(related, BaseManager):
        return []
    account_path = getattr(field.child_relation, "account_path", None)
    visible = limited_choices(field.context.get("request"), related.model._base_manager.all(), account_path)
    with unscoped_rows("the relations to hidden rows are kept"):
        return list(related.get_queryset().using(visible.db).exclude(pk__in=visible.values("pk")))


def is_shared(model: type[models.Model]) -> bool:
    """Return True if ``FINTA_KEYS_SHARED_MODELS`` lists a model: all users may name its rows."""
    return model._meta.concrete_model._meta.label_lower in conf.shared_models()  # type: ignore[union-attr]


def owner_lookup(model: type[models.Model]) -> str:
    """Return the lookup from a model to the user that its rows belong to, such as ``"merchant"``.

    Raises ``ImproperlyConfigured`` if there is none, or more than one.
    """
    label = model._meta.label
    declared = conf.owner_paths().get(model._meta.label_lower)
    if declared:
        return declared
    if issubclass(model, get_user_model()):
        return "pk"
    lookups = account_paths.paths_to_user(model)
    if len(lookups) == 1:
        return lookups[0]
    if lookups:
        raise ImproperlyConfigured(
            f"{label} has several foreign keys to users: {', '.join(lookups)}. Set FINTA_KEYS_OWNER_PATHS to "
            f'the one that names the owner: {{"{label}": "{lookups[0]}"}}.'
        )
    raise ImproperlyConfigured(
        f"Rows of {label} belong to no account and to no user. If all users may name them, add {label!r} to "
        "FINTA_KEYS_SHARED_MODELS."
    )
