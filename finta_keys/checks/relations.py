"""System checks of the relations that scoped views accept and filter by.

They read attributes of classes. Querysets and fields that depend on a request are limited during
the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.serializers import BaseSerializer

from finta_keys import account_paths
from finta_keys.checks.findings import ViewError, ViewWarning, hint_once, once_per_view
from finta_keys.checks.lookups import fields_on, filterset_names
from finta_keys.checks.routes import RoutedView, scoped_views
from finta_keys.checks.settings import Messages
from finta_keys.fields import AccountRelatedField
from finta_keys.relations import is_shared, owner_lookup
from finta_keys.serializers import ScopedSerializerMixin


@checks.register(checks.Tags.security)
def check_serializers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report serializers of scoped views that accept rows that the caller may not access."""
    serializers = ((view, _serializer(view)) for view in _writing_views())
    return hint_once(
        [
            ViewError(
                view,
                f"uses {serializer.__module__}.{serializer.__qualname__}, which accepts rows that the caller may not "
                f"access: {', '.join(names)}.",
                hint="Use ScopedModelSerializer, or put ScopedSerializerMixin before the serializer class, and related "
                "fields for columns such as account_id. Read-only fields and AccountRelatedField are fine.",
                id="finta_keys.E017",
            )
            for view, serializer in once_per_view(serializers)
            if (names := _open_fields(serializer))
        ]
    )


@checks.register(checks.Tags.security)
def check_related_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report relations of scoped serializers to models that belong to no account and to no user."""
    problems = ((view, problem) for view in _writing_views() for problem in _undeclared_models(_serializer(view)))
    return [
        ViewError(view, f"cannot limit a relation. {text}", id="finta_keys.E026")
        for view, text in once_per_view(problems)
    ]


@checks.register(checks.Tags.security)
def check_primary_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report serializers that accept primary keys: their responses reveal those of hidden rows."""
    views = ((view, name) for view in _writing_views() if (name := _open_primary_key(_serializer(view))))
    return [
        ViewWarning(
            view,
            f"accepts the primary key {name!r}: a caller could find out which hidden rows exist.",
            hint="Make the field read-only.",
            id="finta_keys.W021",
        )
        for view, name in once_per_view(views)
    ]


@checks.register(checks.Tags.security)
def check_filters(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report filters of django-filter that accept rows or values that the caller may not access."""
    names = ((view, ", ".join(names)) for view in scoped_views() if (names := list(_open_filters(view))))
    return [
        ViewWarning(
            view,
            f"filters by rows that its caller may not access: {names}. The responses reveal which exist.",
            hint="Use finta_keys.filters.ScopedFilterBackend instead of DjangoFilterBackend.",
            id="finta_keys.W019",
        )
        for view, names in once_per_view(names)
    ]


def _writing_views() -> Iterator[RoutedView]:
    return (view for view in scoped_views() if view.write_actions)


def _serializer(view: RoutedView) -> Any:
    return view.get("serializer_class")


def _open_fields(serializer: Any) -> list[str]:
    """Return the names of the writable relations that nothing limits, and of fields for their
    columns."""
    if not isinstance(serializer, type):
        return []
    declared = getattr(serializer, "_declared_fields", {})
    writable = {name: field for name, field in declared.items() if not field.read_only}
    model = getattr(getattr(serializer, "Meta", None), "model", None)
    columns = {
        field.attname
        for field in (model._meta.concrete_fields if model else ())
        if isinstance(field, models.ForeignKey) and not _accepts_all(field.related_model)
    }
    names = [name for name, field in writable.items() if (field.source or name) in columns]
    if issubclass(serializer, ScopedSerializerMixin):
        return names
    names += [name for name, field in writable.items() if _is_open(field)]
    return names + [field.name for field in _model_relations(serializer) if not _accepts_all(field.related_model)]


def _is_open(field: Any) -> bool:
    while inner := getattr(field, "child", None) or getattr(field, "child_relation", None):
        if isinstance(field, ManyRelatedField) and isinstance(inner, AccountRelatedField):
            return False
        field = inner
    if isinstance(field, BaseSerializer):
        return bool(_open_fields(type(field)))
    model = getattr(getattr(field, "queryset", None), "model", None)
    return isinstance(field, RelatedField) and not isinstance(field, AccountRelatedField) and not _accepts_all(model)


def _accepts_all(model: Any) -> bool:
    return model is None or is_shared(model) or not _belongs_to_someone(model)


def _belongs_to_someone(model: Any) -> bool:
    has_path = account_paths.shortest_path(model) is not None or account_paths.paths_to_user(model)
    return bool(has_path) or issubclass(model, get_user_model())


def _model_relations(serializer: Any) -> list[Any]:
    """Return the relations of the model that become writable fields."""
    meta = getattr(serializer, "Meta", None)
    model, names = getattr(meta, "model", None), _field_names(meta)
    read_only = {*(getattr(meta, "read_only_fields", None) or ()), *getattr(serializer, "_declared_fields", {})}
    options = getattr(meta, "extra_kwargs", {})
    relations = (
        [field for field in (*model._meta.fields, *model._meta.many_to_many) if field.is_relation] if model else []
    )
    return [
        field
        for field in relations
        if field.editable and (names is None or field.name in names)
        if field.name not in read_only and not options.get(field.name, {}).get("read_only")
    ]


def _field_names(meta: Any) -> set[str] | None:
    """Return the names in ``Meta.fields``, or None for all."""
    names = getattr(meta, "fields", None)
    return set(names) if isinstance(names, list | tuple) else None


def _undeclared_models(serializer: Any) -> Iterator[str]:
    if isinstance(serializer, type) and issubclass(serializer, ScopedSerializerMixin):
        for field in _model_relations(serializer):
            model = field.related_model
            if account_paths.shortest_path(model) is None and not is_shared(model):
                try:
                    owner_lookup(model)
                except ImproperlyConfigured as error:
                    yield str(error)


def _open_primary_key(serializer: Any) -> str:
    meta = getattr(serializer, "Meta", None)
    model, names = getattr(meta, "model", None), _field_names(meta)
    if model is None or account_paths.shortest_path(model) is None:
        return ""
    key = model._meta.pk
    declared = getattr(serializer, "_declared_fields", {}).get(key.name)
    if declared is not None:
        return "" if declared.read_only else key.name
    is_listed = names is None or key.name in names
    read_only = key.name in (getattr(meta, "read_only_fields", None) or ())
    is_open = is_listed and not read_only and key.editable and not isinstance(key, models.AutoField)
    return key.name if is_open and not key.is_relation else ""


def _open_filters(view: RoutedView) -> Iterator[str]:
    """Yield the names of the filters that accept any row of a model, or any value of a column."""
    if not find_spec("django_filters"):
        return
    from django_filters import AllValuesFilter, AllValuesMultipleFilter, ModelChoiceFilter, ModelMultipleChoiceFilter
    from django_filters.rest_framework import DjangoFilterBackend

    from finta_keys.filters import ScopedFilterBackend

    backends = [cls for cls in view.get("filter_backends", ()) if isinstance(cls, type)]
    if not any(issubclass(cls, DjangoFilterBackend) and not issubclass(cls, ScopedFilterBackend) for cls in backends):
        return
    choices = (ModelChoiceFilter, ModelMultipleChoiceFilter, AllValuesFilter, AllValuesMultipleFilter)
    for name, filter_ in getattr(view.get("filterset_class"), "base_filters", {}).items():
        if isinstance(filter_, choices):
            yield name
    for name in filterset_names(view):
        if any(field.is_relation for field in fields_on(view.row_model, name)[-1:]):
            yield name
