"""Queries that the ORM builds once in a process, and that are then only executed.

To build a query costs the ORM many times what the database needs to answer it by an index (docs/benchmarks.md). What is
kept is the text of the query and how its rows become objects; nothing that was read is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


class CompiledQuery(Generic[M]):
    """The query of a queryset whose parameters are all of ``field``, to be executed with other values.

    The queryset may have ``select_related()`` of foreign keys of its own model. Executed through a cursor of Django, so
    wrappers, counted queries and a connection that was lost are as with any other query.
    """

    def __init__(self, queryset: models.QuerySet[M], field: models.Field[Any, Any]) -> None:
        compiler: Any = queryset.query.get_compiler(queryset.db)
        self.alias = queryset.db
        self.sql, self._examples = compiler.as_sql()
        self._field = field
        # Without the compiler, which holds the connection of this thread.
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        self._converters = [
            (place, convert, column) for place, (all_, column) in converters.items() for convert in all_
        ]
        self._parts = [self._part(compiler, compiler.klass_info)]
        self._parts += [self._part(compiler, info) for info in compiler.klass_info["related_klass_infos"]]

    def execute(self, values: Sequence[Any]) -> list[M]:
        """Return the objects, read from the database now."""
        connection = connections[self.alias]
        if len(values) != len(self._examples):
            raise ValueError(f"This query takes {len(self._examples)} values, not {len(values)}.")
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [self._field.get_db_prep_value(value, connection) for value in values])
            rows = cursor.fetchall()
        return [self._object(self._converted(row, connection)) for row in rows]

    def _converted(self, row: Sequence[Any], connection: Any) -> list[Any]:
        values = list(row)
        for place, convert, column in self._converters:
            values[place] = convert(values[place], column, connection)
        return values

    @staticmethod
    def _part(compiler: Any, info: dict[str, Any]) -> Any:
        """Return the model of a part of the row, its columns, where they stand, and the foreign key to it."""
        positions = info["select_fields"]
        names = [compiler.select[position][0].target.attname for position in positions]
        return info["model"], names, slice(positions[0], positions[-1] + 1), info.get("field")

    def _object(self, row: list[Any]) -> M:
        (model, names, place, _), *related = self._parts
        found: M = model.from_db(self.alias, names, row[place])
        for model, names, place, foreign_key in related:
            foreign_key.set_cached_value(found, model.from_db(self.alias, names, row[place]))
        return found
