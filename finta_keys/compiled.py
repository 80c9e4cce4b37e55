"""Queries that the ORM compiles once per process.

For a look-up by an index, compiling takes the ORM many times longer than the database takes to run the query (see
docs/benchmarks.md). Only the SQL and the mapping of rows to instances are kept, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


class CompiledQuery(Generic[M]):
    """The compiled query of a queryset, executed with other values for its parameters.

    All parameters must be values of ``field``. The queryset may use ``select_related()`` for foreign keys of its own
    model. The query runs through a Django cursor, so execute wrappers, query counts and reconnecting work as usual.
    """

    def __init__(self, queryset: models.QuerySet[M], field: models.Field[Any, Any]) -> None:
        compiler: Any = queryset.query.get_compiler(queryset.db)
        self.alias = queryset.db
        sql, examples = compiler.as_sql()
        # Named: for "%s", Django's SQLite cursor searches the whole text with a regular expression at each call.
        self._names = [f"p{number}" for number in range(len(examples))]
        self.sql = sql % tuple(f"%({name})s" for name in self._names)
        self._field = field
        # Do not keep the compiler: it holds the connection of this thread.
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        self._converters = [
            (position, convert, column) for position, (converts, column) in converters.items() for convert in converts
        ]
        self._parts = [self._part(compiler, compiler.klass_info)]
        self._parts += [self._part(compiler, info) for info in compiler.klass_info["related_klass_infos"]]

    def execute(self, values: Sequence[Any]) -> list[M]:
        """Run the query with these values and return the instances.

        Raise ``ValueError`` if the number of values differs from that of the compiled queryset.
        """
        connection = connections[self.alias]
        if len(values) != len(self._names):
            raise ValueError(f"This query takes {len(self._names)} values, not {len(values)}.")
        values = [self._field.get_db_prep_value(value, connection) for value in values]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, dict(zip(self._names, values, strict=True)))
            rows = cursor.fetchall()
        return [self._instance(self._converted(row, connection)) for row in rows]

    def _converted(self, row: Sequence[Any], connection: Any) -> list[Any]:
        values = list(row)
        for position, convert, column in self._converters:
            values[position] = convert(values[position], column, connection)
        return values

    @staticmethod
    def _part(compiler: Any, info: dict[str, Any]) -> Any:
        """Return a model of the query, the names of its columns, their slice of the row, and the foreign key to it."""
        positions = info["select_fields"]
        names = [compiler.select[position][0].target.attname for position in positions]
        return info["model"], names, slice(positions[0], positions[-1] + 1), info.get("field")

    def _instance(self, row: list[Any]) -> M:
        (model, names, columns, _), *related = self._parts
        instance: M = model.from_db(self.alias, names, row[columns])
        for model, names, columns, foreign_key in related:
            foreign_key.set_cached_value(instance, model.from_db(self.alias, names, row[columns]))
        return instance
