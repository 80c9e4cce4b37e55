"""System checks of what scoped views take and filter by: a relation to any account tells a key which exist, and lets it
move rows into them (rules S3 and S4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db import models
from django.http import HttpRequest
from rest_framework.fields import HiddenField
from rest_framework.relations import RelatedField

from finta_keys import conf, paths
from finta_keys.checks.settings import Messages
from finta_keys.checks.views import RoutedView, once, scoped_views


@dataclass(frozen=True)
class Taken:
    """A field of a serializer that takes something."""

    name: str  # with those of the serializers around it, joined by dots
    path: str  # its source, likewise
    field: Any
    relation: Any  # the field, or what it lists, where that is a relation; else None
    model: type[models.Model] | None  # of its serializer


@checks.register(checks.Tags.security)
def check_related_fields(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the serializer fields that take any account, or any row of one."""
    found = ((view, each) for view in scoped_views() for each in _open_fields(view))
    return [
        checks.Error(
            f"{view} takes any {model._meta.label} in the field {name!r}, not only what the key may see.",
            hint=f"Write {written} = {_related_field(model)} in its serializer, with that from "
            "finta_keys.fields, or make the field read only.",
            id="finta_keys.E017",
        )
        for view, (name, model, written) in once(found)
    ]


@checks.register(checks.Tags.security)
def check_primary_keys_are_not_taken(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the serializers by which a key chooses primary keys: a change to another row's writes over that."""
    found = ((view, each.name) for view in scoped_views() for each in _taken(view) if _is_primary_key(each))
    return [
        checks.Warning(
            f"{view} takes the primary key in the field {name!r}: a key could learn which hidden rows exist, and write "
            "over them.",
            hint="Make the field read only. Where keys have to choose it for what they create, make it read only for "
            "changes at least, and add finta_keys.W021 to SILENCED_SYSTEM_CHECKS.",
            id="finta_keys.W021",
        )
        for view, name in once(found)
    ]


@checks.register(checks.Tags.security)
def check_owner_is_not_taken(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the serializers by which a key can give an account to somebody else."""
    models_of_views = ((view, _shown_model(view)) for view in scoped_views())
    found = (
        (view, each.name)
        for view, model in models_of_views
        if model and issubclass(model, conf.account_model()._meta.concrete_model or ())  # or of a table below it
        for each in _taken(view)
        if each.path == (conf.owner_field() if each.relation else f"{conf.owner_field()}_id")
    )
    return [
        checks.Warning(
            f"{view} takes any user in the field {name!r}: a key could give what it sees to somebody else.",
            hint=f"Make the field read only, and save what is created with {conf.owner_field()}=request.user.",
            id="finta_keys.W020",
        )
        for view, name in once(found)
    ]


@checks.register(checks.Tags.security)
def check_filters(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the filters of django-filter that know every account: by a 400 they tell which exist."""
    found = ((view, each) for view in scoped_views() for each in _open_filters(view))
    return [
        checks.Warning(
            f"{view} filters by {what} in {name!r}: its answers tell which of them exist.",
            hint=f"Write {name} = {filter_}, in a FilterSet.",
            id="finta_keys.W019",
        )
        for view, (name, what, filter_) in once(found)
    ]


def _open_fields(view: RoutedView) -> Iterator[tuple[str, type[models.Model], str]]:
    """Yield the name of each field that takes any row, the model of these, and the field to write instead."""
    for each in _taken(view):
        name = each.name.rpartition(".")[2]
        if each.relation is None:
            key = _foreign_key(each)
            model, name = (key.related_model, key.name) if key else (None, name)
        else:
            # Who overrides get_queryset() has thought of it.
            is_stock = type(each.relation).get_queryset.__module__.startswith("rest_framework.")
            model = getattr(each.relation.queryset, "model", None) if is_stock else None
        if model and paths.way(model) is not None:
            yield each.name, model, name


def _foreign_key(taken: Taken) -> Any:
    """Return the foreign key whose column a plain field writes to, such as ``shop_id``, or None."""
    fields = taken.model._meta.concrete_fields if taken.model else ()
    keys = (field for field in fields if isinstance(field, models.ForeignKey) and field.attname == taken.field.source)
    return next(keys, None)


def _is_primary_key(taken: Taken) -> bool:
    """Tell whether a plain field writes the primary key of a row that has an account."""
    if taken.relation or not taken.model or paths.way(taken.model) is None:
        return False
    return taken.field.source in ("pk", taken.model._meta.pk.name)


def _taken(view: RoutedView) -> Iterator[Taken]:
    """Yield the writable fields of the view's serializers."""
    for method, action in view.writing.items():
        # get_serializer_class() may need a user, and a plain APIView has no such method.
        for serializer_class in (_chosen_serializer, _declared_serializer):
            with suppress(Exception):
                yield from list(_fields(serializer_class(view, method, action)()))
                break


def _chosen_serializer(view: RoutedView, method: str, action: str) -> Any:
    instance = view.instance()
    instance.action, instance.request = action, HttpRequest()
    instance.request.method = method.upper()
    return instance.get_serializer_class()


def _declared_serializer(view: RoutedView, method: str, action: str) -> Any:
    return view.get("serializer_class")


def _fields(serializer: Any, prefix: str = "") -> Iterator[Taken]:
    model = getattr(getattr(serializer, "Meta", None), "model", None)
    for name, field in serializer.fields.items():
        if field.read_only or isinstance(field, HiddenField):
            continue
        inner = _innermost(field)
        if hasattr(inner, "fields"):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            relation = inner if isinstance(inner, RelatedField) else None
            yield Taken(prefix + name, prefix + field.source, field, relation, model)


def _innermost(field: Any) -> Any:
    """Return what the items of a list are, or of a list of lists."""
    while inner := getattr(field, "child", None) or getattr(field, "child_relation", None):
        field = inner
    return field


def _open_filters(view: RoutedView) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each filter that knows every row, what it filters by, and the filter to write instead."""
    if not find_spec("django_filters"):
        return
    from django_filters import AllValuesFilter, AllValuesMultipleFilter, ModelChoiceFilter, ModelMultipleChoiceFilter

    filterset = _filterset(view)
    for name, each in getattr(filterset, "base_filters", {}).items():
        if isinstance(each, ModelChoiceFilter | ModelMultipleChoiceFilter):
            model = getattr(each.queryset, "model", None)  # None where it is a function of the request
            if model and paths.way(model) is not None:
                yield name, f"any {model._meta.label}", _limited_filter(model)
        elif isinstance(each, AllValuesFilter | AllValuesMultipleFilter):
            model = _shown_model(view) or filterset._meta.model
            rows = model._meta.label if model else "row"
            yield name, f"the values of any {rows}", "CharFilter(), or one with choices of your own"


def _limited_filter(model: type[models.Model]) -> str:
    return (
        f"ModelChoiceFilter(queryset=lambda request: scoped(request, {model.__name__}.objects.all(){_path(model)})), "
        "with scoped from finta_keys.scoping"
    )


def _filterset(view: RoutedView) -> Any:
    """Return the FilterSet by which a view filters, or None."""
    from django_filters.rest_framework import DjangoFilterBackend

    model = None if view.get("filterset_class") else _shown_model(view)
    rows = view.get("queryset") if model is None else model._base_manager.none()
    for backend in view.get("filter_backends", ()):
        if isinstance(backend, type) and issubclass(backend, DjangoFilterBackend):
            try:
                return backend().get_filterset_class(view.instance(), rows)
            except Exception:  # a mistake that a call will tell
                return None
    return None


def _shown_model(view: RoutedView) -> type[models.Model] | None:
    """Return the model of a view; where a method makes its queryset, that of its serializer."""
    model: type[models.Model] | None = getattr(getattr(view.get("serializer_class"), "Meta", None), "model", None)
    return view.model or model


def _is_account(model: type[models.Model]) -> bool:
    return model._meta.concrete_model is conf.account_model()._meta.concrete_model


def _related_field(model: type[models.Model]) -> str:
    if _is_account(model):
        return "AccountRelatedField()"
    return f"AccountRelatedField(queryset={model.__name__}.objects.all(){_path(model, 'account_path=')})"


def _path(model: type[models.Model], keyword: str = "") -> str:
    """Return the argument that names the way to the account, where it takes one."""
    return f', {keyword}"{paths.way(model)}"' if paths.way(model) else ""
