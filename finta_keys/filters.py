"""A filter backend for django-filter whose choices keep to the rows that the caller may access."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django_filters import AllValuesFilter, AllValuesMultipleFilter
from django_filters.filters import QuerySetRequestMixin
from django_filters.rest_framework import DjangoFilterBackend

from finta_keys.relations import limited_choices


class ScopedFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # it ships no types
    """A ``DjangoFilterBackend`` that accepts only rows and values that the caller may access.

    A hidden row in a parameter gets the same error as a missing one. Querysets of filters may be callables.
    """

    def get_filterset(self, request: Any, queryset: Any, view: Any) -> Any:
        """Return the filterset, limited to the caller, or None if the view filters by nothing."""
        filterset = super().get_filterset(request, queryset, view)
        for filter_ in getattr(filterset, "filters", {}).values():
            if isinstance(filter_, QuerySetRequestMixin):
                _limit_choices(filter_)
            elif isinstance(filter_, AllValuesFilter | AllValuesMultipleFilter):
                _limit_values(filter_, request)
        return filterset


def _limit_choices(filter_: Any) -> None:
    get_queryset = filter_.get_queryset

    def get_limited_queryset(request: Any) -> Any:
        queryset = get_queryset(request)
        return None if queryset is None else limited_choices(request, queryset)

    filter_.get_queryset = get_limited_queryset


def _limit_values(filter_: Any, request: Any) -> None:
    """The filter reads its values from the default manager of its model."""
    model = filter_.model
    rows = limited_choices(request, model._default_manager.all())
    filter_.model = SimpleNamespace(_meta=model._meta, _default_manager=rows)
