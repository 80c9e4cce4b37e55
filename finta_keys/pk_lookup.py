"""Look up a row in the scope of a key by its primary key, with SQL that is compiled once.

``rows.get(pk=…)`` has the same SQL for every key and row, unless the project changes the queryset.
So ``get()`` keeps this SQL in memory. It uses the kept SQL only for a queryset that is both:

- *Plain*: its class overrides nothing of Django's ``QuerySet``. Its attributes and those of its
  query have the values of a new queryset, except for the database and the filter of the scope.
- *Sealed*: the filter of the scope is still in ``_deferred_filter``, an attribute of Django. Django
  moves a deferred filter into the query when anything reads ``queryset.query``. So while the filter
  is there, nothing has read the query.

For any other queryset, the ORM looks up the row with the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.core.signals import setting_changed
from django.db import models
from django.db.models.fields.related_lookups import RelatedExact
from django.db.models.lookups import Exact, IntegerFieldExact
from django.db.models.query import MAX_GET_RESULTS
from django.db.models.sql import Query
from django.db.models.sql.where import AND
from django.dispatch import receiver

from finta_keys.compiled import CompiledQuery

M = TypeVar("M", bound=models.Model)

PK_TYPES = frozenset((str, int, UUID))  # the types of values from URLs; for others, the SQL could be different
EXACT_LOOKUPS = (Exact, IntegerFieldExact, RelatedExact)  # have the same SQL for each value of these types


class ScopeFilter(NamedTuple):
    """The filter of a scope, as the tuple that Django expects in ``_deferred_filter``."""

    negate: bool
    args: tuple[tuple[str, Any], ...]  # lookups and their values, sorted, so that the same lookups have one SQL
    kwargs: dict[str, Any]


def is_plain(rows: Any) -> bool:
    """Return True for a queryset that differs from a new one at most in its database."""
    return isinstance(rows, models.QuerySet) and _is_plain(rows, None)


def sealed(rows: models.QuerySet[M], conditions: dict[str, Any], alias: str) -> models.QuerySet[M]:
    """Return ``rows.filter(**conditions).using(alias)``, sealed. ``rows`` must be plain."""
    queryset: Any = type(rows)(rows.model, using=alias)  # A plain queryset has nothing else to copy.
    queryset._deferred_filter = ScopeFilter(False, tuple(sorted(conditions.items())), {})
    return queryset  # type: ignore[no-any-return]


def may_be_sealed(rows: Any) -> bool:
    """Return True if ``rows`` has the filter of a scope. ``get()`` checks the rest by
    ``is_sealed()``."""
    return isinstance(getattr(rows, "_deferred_filter", None), ScopeFilter)


def is_sealed(rows: Any) -> bool:
    """Return True for a queryset that ``sealed()`` has returned, if nothing has read its query or
    changed it since."""
    scope = getattr(rows, "_deferred_filter", None)
    return isinstance(scope, ScopeFilter) and _is_plain(rows, scope)


def get(rows: models.QuerySet[M], pk: Any) -> M:
    """Return ``rows.get(pk=pk)``. Raises the same errors."""
    instances = _execute(rows, pk) if is_sealed(rows) else None
    if instances is None or len(instances) > 1:  # For several rows, the ORM raises MultipleObjectsReturned.
        return rows.get(pk=pk)
    if not instances:
        model: Any = rows.model
        raise model.DoesNotExist(f"{model._meta.object_name} matching query does not exist.")
    return instances[0]  # type: ignore[no-any-return]


def _execute(rows: Any, pk: Any) -> list[Any] | None:
    """Return the rows of a sealed queryset with this primary key, or None if the ORM has to look
    them up."""
    scope, alias = rows._deferred_filter, rows.db
    lookups = tuple(lookup for lookup, _ in scope.args)
    values = [*(value for _, value in scope.args), pk]
    if not PK_TYPES.issuperset(map(type, values)):
        return None
    try:
        query = _queries.get((rows.model, alias, lookups))
        if query is None:
            query = _queries[rows.model, alias, lookups] = PkQuery(rows.model, alias, (*lookups, "pk"), values)
        return query.execute(values) if query.is_usable else None
    except EmptyResultSet:  # No row can have this value, such as an integer that is too large.
        return None


class PkQuery(CompiledQuery[Any]):
    """The query of ``rows.get(pk=…)`` for a sealed queryset."""

    def __init__(self, model: type[models.Model], alias: str, lookups: tuple[str, ...], examples: list[Any]) -> None:
        rows: Any = models.QuerySet(model, using=alias)
        rows = rows.filter(*zip(lookups, examples, strict=True)).order_by()
        rows.query.set_limits(high=MAX_GET_RESULTS)
        super().__init__(rows)
        where = rows.query.where
        # The SQL serves all values only if each lookup is one condition with one parameter.
        self.is_usable = (
            where.connector == AND
            and not where.negated
            and len(where.children) == len(lookups) == len(self.names)
            and all(type(lookup) in EXACT_LOOKUPS for lookup in where.children)
        )
        self._preparations = [_preparation(lookup) for lookup in where.children] if self.is_usable else []

    def prepare(self, values: Sequence[Any], connection: Any) -> list[Any]:
        """Convert each value as its lookup does, and raise the same errors for invalid values."""
        return [prepare(value, connection) for prepare, value in zip(self._preparations, values, strict=True)]


def _preparation(lookup: Any) -> Callable[[Any, Any], Any]:
    """Return the function that converts the value of a lookup for the database."""
    lookup_class, column = type(lookup), lookup.lhs
    field = column.output_field
    # RelatedExact converts by the first of these fields, then by the second. Usually they are one.
    if lookup_class is RelatedExact and field.path_infos[-1].target_fields[-1] is field.target_field:
        field = field.target_field
    elif lookup_class is not Exact:
        return lambda value, connection: lookup_class(column, value).process_rhs(None, connection)[1][0]
    # The two steps of process_rhs(), without making a lookup for each value.
    return lambda value, connection: field.get_db_prep_value(field.get_prep_value(value), connection, prepared=True)


_queries: dict[tuple[type[models.Model], str, tuple[str, ...]], PkQuery] = {}


def _is_plain(rows: models.QuerySet[Any], deferred_filter: ScopeFilter | None) -> bool:
    """Return True if ``rows`` differs from a new queryset only in its database and this deferred
    filter."""
    attributes: dict[str, Any] = vars(rows)
    queryset_class: Any = type(rows)
    model: Any = rows.model
    query = attributes["_query"]
    new_attributes, new_query_attributes = _new_attributes(model)
    return (
        _overrides_nothing(queryset_class)
        and attributes
        == {**new_attributes, "_query": query, "_db": attributes["_db"], "_deferred_filter": deferred_filter}
        and type(query) is Query
        and vars(query) in new_query_attributes
    )


@lru_cache(maxsize=256)
def _new_attributes(model: type[models.Model]) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """Return the attributes of a new queryset, and those of its query: new, and copied once.

    Copying a query adds attributes to it.
    """
    new: Any = models.QuerySet(model)
    return vars(new), (vars(new.query), vars(new.all().query))


class _Subclass(models.QuerySet[Any]):
    """A class that overrides nothing. Its attributes are those that Python adds to each class."""


OVERRIDABLE = {*dir(models.QuerySet), *vars(models.QuerySet())} - vars(_Subclass).keys()


@lru_cache(maxsize=256)
def _overrides_nothing(queryset_class: type[models.QuerySet[Any]]) -> bool:
    bases = queryset_class.__mro__
    return all(OVERRIDABLE.isdisjoint(vars(base)) for base in bases[: bases.index(models.QuerySet)])


@receiver(setting_changed)
def _clear_caches(**kwargs: object) -> None:
    """Compile again after a test has changed settings."""
    _queries.clear()
