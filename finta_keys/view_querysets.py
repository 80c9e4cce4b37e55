"""Limit the rows that ``get_queryset()`` and ``filter_queryset()`` of a view return to those of
its caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.sql.where import AND

from finta_keys import account_paths, conf, limited_rows, scope_queries, url_rows
from finta_keys.callers import is_unlimited, limited
from finta_keys.request_state import state_of


def wrap_get_queryset(get_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Limit the result of the outermost ``get_queryset()`` by a join, and that of its ``super()``
    calls by a subquery.

    A join for each would duplicate rows that an override combines with ``|``.
    """

    def get_limited_queryset(view: Any, *args: Any, **kwargs: Any) -> Any:
        request = getattr(view, "request", None)
        if request is None:
            return get_queryset(view, *args, **kwargs)
        if view.__dict__.get("_in_get_queryset"):
            return _limit_by_subquery(view, get_queryset(view, *args, **kwargs))
        view._in_get_queryset = True
        state = state_of(request)
        count = state.scoped_count
        try:
            rows = get_queryset(view, *args, **kwargs)
        finally:
            view._in_get_queryset = False
        return _limit(view, rows, has_scoped=state.scoped_count > count)

    return get_limited_queryset


class InheritedQueryset:
    """The ``get_queryset()`` of the mixin: that of the classes after it in the MRO, limited.

    It is a descriptor, because Django REST framework asks ``hasattr(view, "get_queryset")``. That
    must be False if none of them has the method.
    """

    def __init__(self, mixin: type) -> None:
        self.mixin = mixin

    def __get__(self, view: Any, owner: type) -> Any:
        next_class: Any = super(self.mixin, owner)
        inherited = next_class.get_queryset  # AttributeError if there is none
        return inherited if view is None else MethodType(wrap_get_queryset(inherited), view)


def _limit_by_subquery(view: Any, rows: Any) -> Any:
    path = view.account_path
    if not account_paths.can_filter(rows) or not account_paths.leads_to_account(rows.model, path):
        return rows
    if is_unlimited(view.request, view):
        return rows
    manager: Any = conf.account_model()._base_manager
    accounts = limited(view.request, manager.all(), view=view)
    return rows.using(accounts.db).filter(**{f"{path or 'pk'}__in": accounts})


def _limit(view: Any, rows: Any, *, has_scoped: bool) -> Any:
    """Return the rows of ``get_queryset()`` that the caller may access.

    If they cannot be filtered along ``account_path``, such as a list, a slice or a model with a
    many-to-many relation to accounts, then ``get_queryset()`` must have used ``scoped()``
    itself.
    """
    if not has_scoped or _can_limit(view, rows):
        return view.scoped(rows)
    limited_rows.remember(state_of(view.request), rows)
    return rows


def _can_limit(view: Any, rows: Any) -> bool:
    is_queryset = isinstance(rows, BaseManager) or account_paths.can_filter(rows)
    return is_queryset and account_paths.leads_to_account(rows.model, view.account_path)


def wrap_filter_queryset(filter_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Limit the rows again if a filter has replaced the queryset, such as by the hits of a
    search engine."""

    def filter_limited_queryset(view: Any, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        rows = filter_queryset(view, queryset, *args, **kwargs)
        if _keeps_conditions(queryset, rows) or is_unlimited(view.request, view):
            return rows
        if account_paths.can_filter(rows):
            return limited(view.request, rows, view.account_path, view=view)
        rows = _without_hidden_rows(view, rows)
        limited_rows.remember(state_of(view.request), rows)
        return rows

    return filter_limited_queryset


def wrap_paginate_queryset(paginate_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Remember pages of limited rows, so that showing them costs no query."""
    is_inherited = url_rows.is_of_drf(paginate_queryset)

    def paginate_and_remember(view: Any, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        page = paginate_queryset(view, queryset, *args, **kwargs)
        if is_inherited:
            limited_rows.remember_page(view, state_of(view.request), page, queryset)
        return page

    return paginate_and_remember


def _keeps_conditions(queryset: Any, rows: Any) -> bool:
    """Return True if ``rows`` can contain no other rows than ``queryset``."""
    if rows is queryset:
        return True
    if isinstance(queryset, list) and isinstance(rows, list):
        known = {id(row) for row in queryset}
        return all(id(row) in known for row in rows)
    if not (isinstance(queryset, QuerySet) and isinstance(rows, QuerySet)):
        return False
    queries = rows.query.combined_queries or (rows.query,)
    return all(_has_conditions(query.where, queryset.query.where) for query in queries)


def _has_conditions(where: Any, conditions: Any) -> bool:
    is_narrower = where.connector == AND and not where.negated
    return is_narrower and all(condition in where.children for condition in conditions.children)


def _without_hidden_rows(view: Any, rows: Any) -> Any:
    """Return a slice, a union or a list of rows, without those that the caller may not access."""
    rows = rows if isinstance(rows, QuerySet) else list(rows)
    for row in rows:
        model = type(row)
        if not (isinstance(row, Model) and account_paths.leads_to_account(model, view.account_path)):
            raise ImproperlyConfigured(
                f"filter_queryset() of {type(view).__qualname__} returned a {model.__name__}, which account_path does "
                "not lead from. Return rows of the queryset that it got."
            )
    limit = partial(limited, view.request, view=view)
    hidden = {
        model: scope_queries.values_outside(limit, model, pks, (view.account_path,))
        for model, pks in scope_queries.pks_by_model(rows).items()
    }
    return [row for row in rows if row.pk not in hidden[type(row)]] if any(hidden.values()) else rows
