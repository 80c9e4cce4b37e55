"""Ask the database which rows are outside a scope, along every foreign-key path to the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from finta_keys import account_paths, conf
from finta_keys.database import key_database

Limit = Callable[..., models.QuerySet[Any]]  # as ``key.scoped``: takes a queryset and an account path


def belongs_to_account(model: type[models.Model]) -> bool:
    """Return True if rows of this model belong to an account, or are accounts."""
    return bool(account_paths.all_paths(model))


def is_account(model: type[models.Model]) -> bool:
    return issubclass(model, conf.account_model()._meta.concrete_model or ())


def rows_changed_by_save(row: models.Model) -> Iterator[tuple[type[models.Model], Any]]:
    """Yield the models and primary keys of the rows, as they are stored, that saving a row may
    change.

    A model that inherits from another with a table of its own changes the rows of both.
    """
    for model in (type(row), *type(row)._meta.get_parent_list()):
        link = type(row)._meta.parents.get(model)  # If the parent's primary key is not set, the link has its value.
        for field in (model._meta.pk, link):
            pk = getattr(row, field.attname, None) if field else None
            if pk is not None:
                yield model, pk


def view_paths(view: Any, model: type[models.Model]) -> tuple[str, ...] | None:
    """Return the ``account_path`` of a view if it leads from this model, else None for every
    path of the model."""
    return (view.account_path,) if account_paths.leads_to_account(model, view.account_path) else None


def pks_by_model(rows: Iterable[models.Model]) -> dict[type[models.Model], set[Any]]:
    """Return the primary keys of these rows, by model."""
    pks: dict[type[models.Model], set[Any]] = {}
    for row in rows:
        pks.setdefault(type(row), set()).add(row.pk)
    return pks


def values_outside(
    limit: Limit,
    model: type[models.Model],
    values: set[Any],
    paths: tuple[str, ...] | None = None,
    *,
    field: str = "pk",
    include_missing: bool = False,
) -> set[Any]:
    """Return the values of the rows that exist and are outside the scope. Empty for models without
    a path.

    ``values`` are primary keys, or those of the unique ``field``. A row is inside if at least one
    of its paths leads to an account, and none to an account outside the scope. ``paths`` are all of
    them by default. With ``include_missing``, rows that do not exist are outside as well.
    """
    paths = account_paths.all_paths(model) if paths is None else paths
    if not paths or not values:
        return set()
    all_rows: Any = models.QuerySet(model, using=key_database())  # The base manager of a project may leave rows out.
    rows = all_rows.filter(**{f"{field}__in": values})
    inside = set(inside_scope(limit, rows, paths).values_list(field, flat=True))
    if len(inside) == len(values):
        return set()
    return (values if include_missing else set(rows.values_list(field, flat=True))) - inside


def converted(model: type[models.Model], values: set[Any], field: str, other: str) -> set[Any]:
    """Return the values of another field of the rows with these values of ``field``. Both fields
    are unique."""
    if field == other or not values:
        return values
    rows: Any = models.QuerySet(model, using=key_database())
    return set(rows.filter(**{f"{field}__in": values}).values_list(other, flat=True))


def inside_scope(limit: Limit, rows: models.QuerySet[Any], paths: tuple[str, ...]) -> models.QuerySet[Any]:
    """Return the rows that have an account inside the scope, and none outside it, along these
    paths."""
    if len(paths) == 1:
        return limit(rows, paths[0])
    accounts = limit(models.QuerySet(conf.account_model()))
    leads_somewhere = Q()
    for path in paths:
        name = path or "pk"
        rows = rows.filter(Q(**{f"{name}__in": accounts}) | _has_null_foreign_key(rows.model, path))
        leads_somewhere |= Q(**{f"{name}__isnull": False})
    return rows.filter(leads_somewhere)


def _has_null_foreign_key(model: Any, path: str) -> Q:
    """Return the condition that a foreign key on the path is null.

    A missing row on the path is not the same, although the join has nulls too: it must look like a
    hidden one.
    """
    condition, row_exists, prefix = Q(), Q(), ""
    for name in path.split("__") if path else ():
        field, lookup = model._meta.get_field(name), f"{prefix}{name}"
        if field.null:
            condition |= Q(**{f"{lookup}__isnull": True}) & row_exists
        model, prefix = field.related_model, f"{lookup}__"
        row_exists = Q(Exists(models.QuerySet(model).filter(**{field.target_field.attname: OuterRef(lookup)})))
    return condition


def target_name(foreign_key: Any) -> str:
    """Return the name of the field that a foreign key stores the value of: ``"pk"``, or its
    ``to_field``."""
    target = foreign_key.target_field
    return "pk" if target.primary_key else target.name


def foreign_keys_of_m2m(through: Any, row: models.Model, model: Any, *, reverse: bool) -> tuple[Any, Any]:
    """Return the foreign keys of a many-to-many table: the one to ``row``, and the one to rows
    of ``model``."""
    owner: Any = model if reverse else type(row)
    field = next(field for field in owner._meta.many_to_many if field.remote_field.through is through)
    own, other = (through._meta.get_field(name) for name in (field.m2m_field_name(), field.m2m_reverse_field_name()))
    return (other, own) if reverse else (own, other)


def related_values(own: Any, other: Any, row: models.Model) -> set[Any]:
    """Return the values of the foreign key ``other`` in the rows of a many-to-many table that
    name ``row``."""
    rows = own.model._base_manager.using(key_database()).filter(**{own.name: row})
    return set(rows.values_list(other.attname, flat=True))
