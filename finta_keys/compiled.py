"""Queries that the ORM compiles once per process.

For a lookup by an index, compiling takes the ORM many times longer than the database takes to run
the query (see docs/benchmarks.md). Only the SQL and the mapping of rows to instances are kept,
never data.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


class Converter(NamedTuple):
    """A function of a field or of the database backend that converts the values of a column."""

    position: int  # of the column in the row
    function: Callable[..., Any]  # called with the backend's ``ops``, the value, the column and the connection
    column: Any
    keeps_null: bool  # whether it returns None for None, so that it need not be called


class ModelColumns(NamedTuple):
    """The part of a row that holds one model."""

    model: Any
    names: list[str]  # of the model's columns
    columns: slice
    foreign_key: Any  # that leads to the model, for ``select_related()``


class NamedSql(str):
    """SQL with named parameters, such as ``%(p0)s``.

    At each execution, the SQLite cursor of Django computes ``sql % {"p0": ":p0"}``. This class
    computes that once. It keeps no other result of ``%``, because those contain data.
    """

    sqlite_names: dict[str, str]
    sqlite_sql: str

    def __new__(cls, sql: str, names: Sequence[str]) -> NamedSql:
        named_sql = super().__new__(cls, sql)
        named_sql.sqlite_names = {name: f":{name}" for name in names}
        named_sql.sqlite_sql = sql % named_sql.sqlite_names
        return named_sql

    def __mod__(self, parameters: Any) -> str:
        return self.sqlite_sql if parameters == self.sqlite_names else super().__mod__(parameters)


class CompiledQuery(ABC, Generic[M]):
    """The compiled query of a queryset. It can run again with other values for its parameters.

    The queryset may use ``select_related()`` for foreign keys of its own model. The query runs
    through a Django cursor, so execute wrappers, query counts and reconnecting work as usual.
    """

    def __init__(self, queryset: models.QuerySet[M]) -> None:
        compiler: Any = queryset.query.get_compiler(queryset.db)
        self.alias = queryset.db
        sql, examples = compiler.as_sql()
        # Name the parameters: Django's SQLite cursor replaces each "%s" by "?" at each call, with a
        # regular expression, which is slower.
        self.names = [f"p{number}" for number in range(len(examples))]
        self.sql = NamedSql(sql % tuple(f"%({name})s" for name in self.names), self.names)
        # Keep neither the compiler nor methods of its connection: another thread has another
        # connection.
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        self._converters = [
            _converter(position, function, column, compiler.connection)
            for position, (functions, column) in converters.items()
            for function in functions
        ]
        self._models = [
            _model_columns(compiler, info)
            for info in (compiler.klass_info, *compiler.klass_info.get("related_klass_infos", ()))
        ]

    def execute(self, values: Sequence[Any]) -> list[M]:
        """Run the query with these values and return the instances.

        Raise ``ValueError`` if the number of values differs from that of the compiled queryset.
        """
        connection = connections[self.alias]
        rows = self.fetch(connection, self.prepare(values, connection))
        return [self._make(self._converted(row, connection)) for row in rows]

    def fetch(self, connection: Any, prepared: Sequence[Any], **extra: Any) -> Sequence[Any]:
        """Run the query with prepared values and return the rows. ``extra`` adds parameters by
        name."""
        parameters = dict(zip(self.names, prepared, strict=True), **extra)
        with connection.cursor() as cursor:
            cursor.execute(self.sql, parameters)
            rows: Sequence[Any] = cursor.fetchall()
        return rows

    def prepare(self, values: Sequence[Any], connection: Any) -> Sequence[Any]:
        """Return the values as parameters for the database."""
        raise NotImplementedError

    def _converted(self, row: Sequence[Any], connection: Any) -> list[Any]:
        values, ops = list(row), connection.ops
        for position, function, column, keeps_null in self._converters:
            value = values[position]
            if value is not None or not keeps_null:
                values[position] = function(ops, value, column, connection)
        return values

    def _make(self, row: list[Any]) -> M:
        """Return the instance of a row, with those of ``select_related()`` in its foreign keys."""
        (model, names, columns, _), *related = self._models
        instance: M = model.from_db(self.alias, names, row[columns])
        for model, names, columns, foreign_key in related:
            foreign_key.set_cached_value(instance, model.from_db(self.alias, names, row[columns]))
        return instance


def _model_columns(compiler: Any, info: dict[str, Any]) -> ModelColumns:
    positions = info["select_fields"]
    names = [compiler.select[position][0].target.attname for position in positions]
    return ModelColumns(info["model"], names, slice(positions[0], positions[-1] + 1), info.get("field"))


def _converter(position: int, function: Any, column: Any, connection: Any) -> Converter:
    """Return a converter that does not hold the connection."""
    if getattr(function, "__self__", None) is connection.ops:
        return Converter(position, function.__func__, column, keeps_null=function(None, column, connection) is None)
    # A field of the project may replace None. Only calls for real rows should reach it, so do not
    # call it here to find out.
    return Converter(position, lambda ops, *arguments: function(*arguments), column, keeps_null=False)
