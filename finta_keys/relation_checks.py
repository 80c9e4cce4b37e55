"""System checks of what scoped views take and filter by: a relation to any account tells a key which exist, and lets it
move rows into them (rules S3 and S4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db import models
from django.http import HttpRequest
from rest_framework.relations import RelatedField

from finta_keys import conf, paths
from finta_keys.view_checks import Messages, RoutedView, once, scoped_views

Found = tuple[str, type[models.Model]]  # a field's or a filter's name, and the model that it relates to


@checks.register(checks.Tags.security)
def check_related_fields(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the serializer fields that take any account, or any row of one."""
    found = ((view, each) for view in scoped_views() for each in _open_fields(view))
    return [
        checks.Error(
            f"{view} takes any {model._meta.label} in the field {name!r}, not only what the key may see.",
            hint=f"Write {name.rpartition('.')[2]} = {_related_field(model)} in its serializer, with that from "
            "finta_keys.fields, or make the field read only.",
            id="finta_keys.E017",
        )
        for view, (name, model) in once(found)
    ]


@checks.register(checks.Tags.security)
def check_owner_is_not_taken(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the serializers by which a key can give an account to somebody else."""
    views = (view for view in scoped_views() if view.model and _is_account(view.model))
    found = (
        (view, name) for view in views for name, source, _ in _related_fields(view) if source == conf.owner_field()
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
            f"{view} filters by any {model._meta.label} in {name!r}: its answers tell which of them exist.",
            hint=f"Write {name} = ModelChoiceFilter(queryset=lambda request: visible(request, "
            f"{model.__name__}.objects.all(){_path(model)})), with visible from finta_keys.scoping, in a FilterSet.",
            id="finta_keys.W019",
        )
        for view, (name, model) in once(found)
    ]


def _open_fields(view: RoutedView) -> Iterator[Found]:
    for name, _, relation in _related_fields(view):
        # Who overrides get_queryset() has thought of it.
        is_stock = type(relation).get_queryset.__module__.startswith("rest_framework.")
        model = getattr(relation.queryset, "model", None)
        if is_stock and model and paths.way(model) is not None:
            yield name, model


def _related_fields(view: RoutedView) -> Iterator[tuple[str, str, Any]]:
    """Yield the dotted names, the sources and the relations of what a view's serializers take."""
    for method, action in view.writing.items():
        instance = view.instance()
        instance.action, instance.request = action, HttpRequest()
        instance.request.method = method.upper()
        try:
            found = list(_relations(instance.get_serializer_class()()))
        except Exception:  # the host's own code, which may need more of a request
            found = []
        yield from found


def _relations(serializer: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    for name, field in serializer.fields.items():
        if field.read_only:
            continue
        inner = _innermost(field)
        if isinstance(inner, RelatedField):
            yield prefix + name, prefix + field.source, inner
        elif hasattr(inner, "fields"):
            yield from _relations(inner, f"{prefix}{name}.")


def _innermost(field: Any) -> Any:
    """Return what the items of a list are, or of a list of lists."""
    while inner := getattr(field, "child", None) or getattr(field, "child_relation", None):
        field = inner
    return field


def _open_filters(view: RoutedView) -> Iterator[Found]:
    if not find_spec("django_filters"):
        return
    from django_filters import ModelChoiceFilter, ModelMultipleChoiceFilter

    for name, each in _filters(view).items():
        if isinstance(each, ModelChoiceFilter | ModelMultipleChoiceFilter):
            model = getattr(each.queryset, "model", None)  # None where it is a function of the request
            if model and paths.way(model) is not None:
                yield name, model


def _filters(view: RoutedView) -> dict[str, Any]:
    from django_filters.rest_framework import DjangoFilterBackend

    for backend in view.get("filter_backends", ()):
        if isinstance(backend, type) and issubclass(backend, DjangoFilterBackend):
            try:
                return dict(backend().get_filterset_class(view.instance(), view.get("queryset")).base_filters)
            except Exception:  # nothing to filter by, or a mistake that a call will tell
                return {}
    return {}


def _is_account(model: type[models.Model]) -> bool:
    return model._meta.concrete_model is conf.account_model()._meta.concrete_model


def _related_field(model: type[models.Model]) -> str:
    if _is_account(model):
        return "AccountRelatedField()"
    return f"AccountRelatedField(queryset={model.__name__}.objects.all(){_path(model, 'account_path=')})"


def _path(model: type[models.Model], keyword: str = "") -> str:
    """Return the argument that names the way to the account, where it takes one."""
    return f', {keyword}"{paths.way(model)}"' if paths.way(model) else ""
