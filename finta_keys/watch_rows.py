"""Ask the database whether a statement reads or changes rows outside the scope of a key.

A statement that reads is repeated on tables that contain only the visible rows, or only the hidden
ones. Its result must not depend on the hidden rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.db import Error as AnyDatabaseError
from django.db import models
from django.db.models import Q

from finta_keys import account_paths, conf, relations, scope_queries
from finta_keys.database import key_model
from finta_keys.watch_sql import Row, comparable, compiled, execute, fetch, with_full_group_by

Model = type[models.Model]

SELECT_ALL = "SELECT * FROM"
VENDORS = frozenset({"sqlite", "postgresql"})
ALL, VISIBLE, HIDDEN, NONE = VARIANTS = ("all", "visible", "hidden", "none")
LOCKING = re.compile(r"\sFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b[^)]*$", re.IGNORECASE)
SLICE = re.compile(r"(\sLIMIT\s+-?\d+)?(\sOFFSET\s+\d+)?\s*$", re.IGNORECASE)
SCHEMA = r'"?\b(main|public)"?\s*\.\s*(?="?({tables})\b)'


class CannotCheck(Exception):
    """The database cannot repeat a statement on the visible rows."""


def is_watched(model: Model) -> bool:
    return scope_queries.belongs_to_account(model) and not relations.is_shared(model)


@conf.cached
def _project_tables() -> dict[str, Model]:
    return {
        model._meta.db_table.lower(): model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and not model._meta.swapped and is_watched(model)
    }


@lru_cache(maxsize=64)
def _pattern(tables: tuple[str, ...]) -> str:
    return "|".join(re.escape(table) for table in sorted(tables, key=len, reverse=True))


class ScopedTables:
    """The tables of a database as one key may read and change them."""

    def __init__(self, key: Any) -> None:
        self.key = copy(key)  # as it is now
        self.tables = dict(_project_tables())
        self.paths: dict[Model, set[str]] = {}  # that the view has limited rows by
        self.created: dict[Model, list[models.Model]] = {}  # They may join the scope later.

    def add_model(self, model: Model) -> None:
        """Add a model that the app registry does not list, and those that it is related to."""
        for related in (model, *(field.related_model for field in model._meta.get_fields())):
            if isinstance(related, type) and is_watched(related):
                self.tables.setdefault(related._meta.db_table.lower(), related._meta.concrete_model or related)

    def limit(self, rows: models.QuerySet[Any], account_path: str = "") -> models.QuerySet[Any]:
        return account_paths.limit_to_key(self.key, rows, account_path).using(rows.db)

    def mentioned(self, sql: str) -> list[Model]:
        """Return the models whose tables a statement names."""
        names = re.findall(rf"\b({_pattern(tuple(self.tables))})\b", sql, re.IGNORECASE) if self.tables else []
        return [self.tables[name] for name in dict.fromkeys(name.lower() for name in names)]

    def created_pks(self, model: Model) -> set[Any]:
        pks = {row.pk for row in self.created.get(model, ())}
        return pks - {None}

    def readable(self, model: Model, alias: str) -> models.QuerySet[Any]:
        """Return the rows that the key may read: along the paths that the view uses, or else
        along all paths."""
        rows: models.QuerySet[Any] = models.QuerySet(model).using(alias)  # No manager of the project filters it.
        if not (paths := self.paths.get(model)):
            return self.writable(model, alias)
        condition = Q()
        for path in paths:
            condition |= Q(pk__in=self.limit(rows, path).values("pk"))
        return rows.filter(condition | self._is_created(model))

    def writable(self, model: Model, alias: str) -> models.QuerySet[Any]:
        """Return the rows that the key may change: none of their paths leads to a hidden
        account."""
        rows: models.QuerySet[Any] = models.QuerySet(model).using(alias)
        inside = scope_queries.inside_scope(self.limit, rows, account_paths.all_paths(model))
        return rows.filter(Q(pk__in=inside.values("pk")) | self._is_created(model))

    def _is_created(self, model: Model) -> Q:
        return Q(pk__in=pks) if (pks := self.created_pks(model)) else Q()

    def has_hidden(self, connection: Any, model: Model, pks: Iterable[Any]) -> bool:
        """Return True if one of these rows exists and is outside the scope. Always False for
        models without a path."""
        if not is_watched(model):
            return False
        values = list(pks)

        def has_hidden() -> bool:
            hidden = self.hidden(connection, model)
            return any(
                fetch(connection, hidden.filter(pk__in=values[start : start + 500]).values_list("pk"))
                for start in range(0, len(values), 500)
            )

        return self._is_still_true(connection, has_hidden)

    def _is_still_true(self, connection: Any, is_outside: Callable[[], bool]) -> bool:
        """Ask again if the key was changed to share all accounts during the request."""
        if not is_outside():
            return False
        keys = key_model()._base_manager.filter(pk=self.key.pk, share_all_accounts=True)
        if not fetch(connection, keys.values_list("pk")):
            return True
        self.key.share_all_accounts = True
        return is_outside()

    def hidden(self, connection: Any, model: Model) -> models.QuerySet[Any]:
        """Return the rows that the key may not change."""
        writable = self.writable(model, connection.alias)
        return models.QuerySet(model).using(connection.alias).exclude(pk__in=writable.values("pk"))

    def snapshot(self, connection: Any, tables: list[Model]) -> list[Counter[Row]]:
        """Return all hidden rows of these tables."""
        return [
            Counter(
                comparable(
                    fetch(
                        connection,
                        self.hidden(connection, model).values_list(
                            *(field.attname for field in model._meta.local_concrete_fields)
                        ),
                    )
                )
            )
            for model in tables
        ]

    def depends_on_hidden(self, connection: Any, sql: str, params: Any, compiler: Any = None) -> bool:
        """Return True if hidden rows change the result of a statement. Raises ``CannotCheck``."""
        if compiler is not None and " GROUP BY " in sql:
            sql, params = with_full_group_by(compiler, connection)
        sql = LOCKING.sub("", sql.strip().rstrip(";"))
        sql = re.sub(SCHEMA.format(tables=_pattern(tuple(self.tables))), "", sql, flags=re.IGNORECASE)
        return self._is_still_true(connection, lambda: self._depends_on_hidden(connection, sql, params))

    def _depends_on_hidden(self, connection: Any, sql: str, params: Any) -> bool:
        results = self._results(connection, sql, params)
        if not _differ(results):
            return False
        unlimited = SLICE.sub("", sql)
        if unlimited != sql:  # Rows that sort equally may be in another order.
            results = self._results(connection, unlimited, params)
        rerun = self._run(connection, ALL, unlimited, params)
        if Counter(rerun) == Counter(results[ALL]):
            return _differ(results)
        # Some columns are random or the current time. Compare the others, and the number of rows.
        row_counts: dict[str, list[Row]] = {variant: [()] * len(rows) for variant, rows in results.items()}
        return _differ(row_counts) or any(
            _differ({variant: [(row[position],) for row in rows] for variant, rows in results.items()})
            for position in _equal_columns(results[ALL], rerun)
        )

    def _results(self, connection: Any, sql: str, params: Any) -> dict[str, list[Row]]:
        return {variant: self._run(connection, variant, sql, params) for variant in VARIANTS}

    def _run(self, connection: Any, variant: str, sql: str, params: Any) -> list[Row]:
        """Execute a statement on tables with the rows of one variant."""
        quote = connection.ops.quote_name
        outer, inner, outer_params = [], [], []
        for number, model in enumerate(self.mentioned(sql)):
            condition, condition_params = self._condition(connection, model, variant)
            table, name = quote(model._meta.db_table), quote(f"finta_keys_{number}")
            outer.append(f"{name} AS ({SELECT_ALL} {table} WHERE {condition})")
            inner.append(f"{table} AS ({SELECT_ALL} {name})")
            outer_params += condition_params
        # The inner names hide the real tables. The outer ones are made from the real tables.
        start = f"WITH {', '.join(outer)} {SELECT_ALL} (WITH {', '.join(inner)} {SELECT_ALL} ("
        end = ") q) r"
        if params is None:
            sql, params = sql.replace("%", "%%"), ()
        if isinstance(params, Mapping):
            names = [f"finta_keys_{number}" for number in range(len(outer_params))]
            start %= tuple(f"%({name})s" for name in names)
            params = {**params, **dict(zip(names, outer_params, strict=True))}
        else:
            params = (*outer_params, *params)
        try:
            return comparable(execute(connection, f"{start}{sql}{end}", params))
        except AnyDatabaseError as error:
            raise CannotCheck(str(error).partition("\n")[0]) from error

    def _condition(self, connection: Any, model: Model, variant: str) -> tuple[str, Any]:
        if variant in (ALL, NONE):
            return ("1 = 1" if variant == ALL else "1 = 0"), ()
        columns = ", ".join(connection.ops.quote_name(field.column) for field in model._meta.pk_fields)
        sql, params = compiled(connection, self.readable(model, connection.alias).values("pk"))
        return f"({columns}) {'NOT ' if variant == HIDDEN else ''}IN ({sql})", params


def _equal_columns(rows: list[Row], other_rows: list[Row]) -> list[int]:
    """Return the positions of the columns that have the same values in both results, in any
    order."""
    columns = zip(zip(*rows, strict=True), zip(*other_rows, strict=True), strict=False)
    return [position for position, (column, other) in enumerate(columns) if Counter(column) == Counter(other)]


def _differ(results: dict[str, list[Row]]) -> bool:
    """Return True if hidden rows change the result next to the visible rows, or alone. The order is
    ignored.

    The second comparison finds ``MAX()`` and the like if the row with the maximum is visible.
    """
    counted = {variant: Counter(rows) for variant, rows in results.items()}
    return counted[ALL] != counted[VISIBLE] or counted[HIDDEN] != counted[NONE]
