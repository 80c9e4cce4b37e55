"""System checks of the lookups of scoped views: search, filters and ordering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from rest_framework.filters import OrderingFilter

from finta_keys import account_paths
from finta_keys.checks.findings import ViewError, ViewWarning, hint_once, once_per_view
from finta_keys.checks.routes import RoutedView, scoped_views
from finta_keys.checks.settings import Messages


@checks.register(checks.Tags.security)
def check_to_many_lookups(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report searches, filters and orderings over to-many relations, which would match hidden
    rows."""
    lookups = ((view, name) for view in scoped_views() for name in _lookups(view) if _is_to_many(view, name))
    return [
        ViewError(
            view,
            f"searches, filters or orders by {name!r}, which crosses a to-many relation and cannot be limited.",
            hint="Remove it, or write a filter that uses scoped().",
            id="finta_keys.E025",
        )
        for view, name in once_per_view(lookups)
    ]


@checks.register(checks.Tags.security)
def check_other_paths(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report searches, filters and orderings by columns of rows that ``account_path`` does not lead
    through."""
    lookups = ((view, name) for view in scoped_views() for name in _lookups(view) if _leaves_path(view, name))
    return hint_once(
        [
            ViewWarning(
                view,
                f"searches, filters or orders by {name!r}, which is not on its account_path. The row may belong to a "
                "hidden account, and the responses reveal its values.",
                hint="Remove it, or write a filter that uses scoped(). If get_queryset() limits these rows, silence "
                "this finding for the view.",
                id="finta_keys.W027",
            )
            for view, name in once_per_view(lookups)
        ]
    )


def filterset_names(view: RoutedView) -> Iterable[str]:
    """Return the names in ``filterset_fields`` of a view."""
    names = view.get("filterset_fields", None) or ()
    if names == "__all__":
        model: Any = view.row_model
        return [field.name for field in (*model._meta.fields, *model._meta.many_to_many)] if model else ()
    return names


def fields_on(model: Any, lookup: str) -> list[Any]:
    """Return the fields that the first parts of a lookup name. Transforms and the like end it."""
    fields: list[Any] = []
    for name in lookup.split("__"):
        try:
            field = model._meta.get_field(name) if model else None
        except FieldDoesNotExist:
            break
        if field is None:
            break
        fields.append(field)
        model = getattr(field, "related_model", None)
    return fields


def _lookups(view: RoutedView) -> Iterator[str]:
    """Yield the lookups that a view uses to find, search, filter and order rows."""
    yield view.get("lookup_field", "pk")
    yield from (name.lstrip("^=@$") for name in _names(view, "search_fields"))
    yield from filterset_names(view)
    orders = list(_orders(view))
    for filter_ in getattr(view.get("filterset_class"), "base_filters", {}).values():
        orders += getattr(filter_, "param_map", {}).values()  # of django-filter's OrderingFilter
        lookup = filter_.lookup_expr  # may go on to another row, as in "name__icontains"
        yield "__".join(str(part) for part in (filter_.field_name or "", lookup) if part != "exact")
    for name in orders:
        yield from _columns(view.row_model, name)


def _orders(view: RoutedView) -> Iterator[str]:
    """Yield the columns of Django REST framework's ``ordering`` parameter, and of the default."""
    yield from (name.lstrip("-") for attribute in ("ordering", "ordering_fields") for name in _names(view, attribute))
    backends = [cls for cls in view.get("filter_backends", ()) if isinstance(cls, type)]
    if view.get("ordering_fields", None) in (None, "__all__") and any(
        issubclass(cls, OrderingFilter) for cls in backends
    ):
        # If they are not set, these are the fields of the serializer.
        model: Any = view.row_model
        yield from (field.name for field in model._meta.fields) if model else ()


def _columns(model: Any, name: str, depth: int = 0) -> Iterator[str]:
    """Yield the columns that sort rows if they are ordered by a name: for a relation, those of
    ``Meta.ordering`` of its model."""
    last = fields_on(model, name)[-1:]
    related: Any = last[0].related_model if last and last[0].is_relation and name.endswith(last[0].name) else None
    ordering = () if related is None or depth > 5 else related._meta.ordering
    if not ordering:
        yield name
    for entry in ordering:
        column = getattr(getattr(entry, "expression", entry), "name", entry)  # of F() and OrderBy()
        if isinstance(column, str):
            yield from _columns(model, f"{name}__{column.lstrip('-')}", depth + 1)


def _names(view: RoutedView, attribute: str) -> Iterable[str]:
    """Return an attribute of a view that is one name or several."""
    names = view.get(attribute, None) or ()
    if isinstance(names, str):
        return () if names == "__all__" else (names,)
    return [name for name in names if isinstance(name, str)] if isinstance(names, Iterable) else ()


def _is_to_many(view: RoutedView, name: str) -> bool:
    return any(field.one_to_many or field.many_to_many for field in fields_on(view.row_model, name))


def _leaves_path(view: RoutedView, lookup: str) -> bool:
    """Return True if a lookup reads a column of a related row that has an account and is not on the
    ``account_path``."""
    fields, path = fields_on(view.row_model, lookup), f"{view.get('account_path')}__"
    prefix = ""
    for field, column in pairwise(fields):
        prefix += f"{field.name}__"
        has_account = account_paths.shortest_path(field.related_model) is not None
        if has_account and not path.startswith(prefix) and not getattr(column, "primary_key", False):
            return not _is_to_many(view, lookup)
    return False
