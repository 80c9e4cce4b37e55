"""Make statements for ``watch_rows``, and execute them by a cursor of the driver, so that no
test counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models.sql import Query

Row = tuple[str, ...]  # values that can be compared


def text_of(connection: Any, sql: Any) -> str:
    """Return the text of a statement, which may be composed by psycopg."""
    return sql.as_string(connection.connection) if hasattr(sql, "as_string") else str(sql)


def compiled(connection: Any, rows: models.QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    sql, params = rows.order_by().query.get_compiler(connection.alias).as_sql()
    return sql, tuple(params)


def fetch(connection: Any, rows: models.QuerySet[Any]) -> list[Any]:
    """Return the rows of a ``values_list()`` as Django does."""
    compiler = rows.order_by().query.get_compiler(connection.alias)
    try:
        results = execute(connection, *compiler.as_sql())
    except EmptyResultSet:
        return []
    return list(compiler.results_iter([results], tuple_expected=True))


def execute(connection: Any, sql: str, params: Any) -> list[Any]:
    """Return the rows of a statement, without the wrappers and the log of Django's cursors."""
    with _savepoint(connection), connection.wrap_database_errors, closing(connection.create_cursor()) as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


@contextmanager
def _savepoint(connection: Any) -> Iterator[None]:
    """On PostgreSQL, an error would end the transaction of the request."""
    if connection.vendor != "postgresql" or not connection.in_atomic_block:
        yield
        return
    with closing(connection.create_cursor()) as cursor:
        cursor.execute("SAVEPOINT finta_keys_watch")
        try:
            yield
        except BaseException:
            cursor.execute("ROLLBACK TO SAVEPOINT finta_keys_watch")
            raise
        finally:
            cursor.execute("RELEASE SAVEPOINT finta_keys_watch")


def affected_rows(compiler: Any) -> models.QuerySet[Any]:
    """Return the primary keys of the rows that an UPDATE or DELETE of Django matches."""
    query = compiler.query.chain(klass=Query)
    query.select_related = False
    query.clear_ordering(force=True)
    query.extra, query.select = {}, ()
    return models.QuerySet(query.model, query=query, using=compiler.using).values_list("pk")


def read_by_update(connection: Any, compiler: Any) -> tuple[str, tuple[Any, ...]]:
    """Return a SELECT with the conditions and the new values of an UPDATE or DELETE that Django
    has compiled."""
    sql, params = compiled(connection, affected_rows(compiler))
    values = [value for _, _, value in getattr(compiler.query, "values", ()) if hasattr(value, "as_sql")]
    if not values:
        return sql, params
    expressions = [compiler.compile(value) for value in values]
    start, columns = "SELECT ", ", ".join(column for column, _ in expressions)
    return (
        f"{start}{columns}, {sql.removeprefix(start)}",
        (*(param for _, column_params in expressions for param in column_params), *params),
    )


def with_full_group_by(compiler: Any, connection: Any) -> tuple[str, Any]:
    """Django groups by the primary key alone, which PostgreSQL accepts for real tables only."""
    connection.features.allows_group_by_selected_pks = False
    try:
        sql, params = compiler.query.clone().get_compiler(connection.alias).as_sql()
    finally:
        del connection.features.allows_group_by_selected_pks
    return sql, params


def comparable(rows: Iterable[Any]) -> list[Row]:
    return [tuple(map(_plain, row)) for row in rows]


def _plain(value: Any) -> str:
    if isinstance(value, memoryview):
        value = value.tobytes()
    return f"{value:.9g}" if isinstance(value, float) else repr(value)  # A sum of floats depends on their order.
