"""Find, without a query, rows that were limited to the scope of a key.

``key.scoped()`` adds a filter to the ``query`` of a queryset. Methods such as ``filter()`` and
slicing keep it, so it can be recognized. Lists have no query. So limited lists, and pages of
limited querysets, are remembered during the request. They count as limited until they change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import models
from django.db.models import F
from django.db.models.expressions import Col
from django.db.models.sql.where import AND
from rest_framework.pagination import BasePagination

from finta_keys import account_paths, conf
from finta_keys.models import ApiKey
from finta_keys.request_state import RequestState
from finta_keys.url_rows import is_of_drf


def are_limited(state: RequestState, rows: Any) -> bool:
    """Return True if ``rows`` are known to be inside the scope of the key of a request."""
    if any(rows is limited and rows == copy for limited, copy in state.limited_rows):
        return True
    return state.key is not None and isinstance(rows, models.QuerySet) and _has_filter(state.key, rows.query)


def remember(state: RequestState, rows: Any) -> None:
    """Remember that these rows were limited."""
    # A handler may add to a list later. A queryset is not evaluated here.
    state.limited_rows = (*state.limited_rows, (rows, rows.copy() if isinstance(rows, list) else rows))


def remember_page(view: Any, state: RequestState, page: Any, rows: Any) -> None:
    """Remember a page of limited rows, if a paginator of Django REST framework has made it."""
    paginator: BasePagination = view.paginator
    if page is not None and is_of_drf(paginator.paginate_queryset) and are_limited(state, rows):
        remember(state, page)


def _has_filter(key: ApiKey, query: Any) -> bool:
    if query.combined_queries:
        return all(_has_filter(key, combined) for combined in query.combined_queries)
    paths = account_paths.all_paths(query.model)
    if not paths:
        return True  # The rows belong to no account.
    if query.where.connector != AND or query.where.negated:
        return False
    return any(_has_filter_along(path, key, query) for path in paths)


def _has_filter_along(path: str, key: ApiKey, query: Any) -> bool:
    joins, conditions = _filter(query.model, path, key.share_all_accounts)
    values = (key.owner_id, key.pk)  # in the order of the conditions; an unrestricted key has only the first
    return all(query.alias_map.get(alias) == join for alias, join in joins.items()) and all(
        any(condition.matches(child, value) for child in query.where.children)
        for condition, value in zip(conditions, values, strict=False)
    )


class _Condition(NamedTuple):
    """A condition of a filter on a column."""

    lookup: type[models.Lookup[Any]]
    alias: str
    field: models.Field[Any, Any]

    def matches(self, child: Any, value: Any) -> bool:
        column = getattr(child, "lhs", None)
        return (
            type(child) is self.lookup
            and type(column) is Col
            and column.alias == self.alias
            and column.target == self.field
            and child.rhs == value
        )


@conf.cached
def _filter(model: Any, path: str, share_all_accounts: bool) -> tuple[dict[str, Any], tuple[_Condition, ...]]:
    """Return the joins and the conditions of the filter of ``key.scoped()`` along a path: that of
    the owner, and that of the key if it is restricted."""
    names = account_paths.lookups(model, path)[: 1 if share_all_accounts else 2]
    # F("pk") stands for any value: only the joins and columns are read.
    query: Any = models.QuerySet(model).filter(*((name, F("pk")) for name in names)).query
    joins = {alias: join for alias, join in query.alias_map.items() if query.alias_refcount[alias]}
    conditions = (_Condition(type(child), child.lhs.alias, child.lhs.target) for child in query.where.children)
    return joins, tuple(conditions)
