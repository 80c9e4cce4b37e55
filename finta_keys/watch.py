"""Find statements of a request by a key that read or change rows outside the key's scope (rule
S7.8).

For tests and for projects with ``DEBUG``. Nothing here is imported in production.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from itertools import chain
from typing import Any, NoReturn

from django.db import connections, models
from django.db.models.constants import OnConflict

from finta_keys import account_paths
from finta_keys.database import key_database
from finta_keys.marks import is_unscoped
from finta_keys.request_state import state_of, watch_is_silent
from finta_keys.watch_origin import Origin, find_origin
from finta_keys.watch_rows import VENDORS, CannotCheck, Model, ScopedTables
from finta_keys.watch_sql import affected_rows, fetch, read_by_update, text_of

READ = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE | re.DOTALL)
WRITE = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE)\b", re.IGNORECASE)
LOCK = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
SOLUTION = (
    "Limit the rows by self.scoped(queryset) or scoped(request, queryset). If the response shows none of them, put "
    '`with unscoped_rows("why"):` around the code, or mark the handler @unscoped("why it shows rows of no account").'
)


class ScopeLeak(AssertionError):
    """A request by a key read or changed rows outside the key's scope."""


running: ContextVar[Watch | None] = ContextVar("finta_keys_watch", default=None)  # None while a statement is checked
open_blocks: list[list[str]] = []  # the messages of each ``watch_scope()`` block that is open


class Watch:
    """The statements of one request."""

    def __init__(self, request: Any) -> None:
        self.request, self.state = request, state_of(request)
        self.updated: dict[Model, set[Any]] = {}  # primary keys
        self.upserted: list[tuple[Model, models.Model]] = []  # by ignore_conflicts or update_conflicts: without a pk
        self.places: dict[Model, str] = {}  # where in the project's code rows were last written
        self.checked_collectors: list[Any] = []  # deletions whose rows were checked
        self._tables: ScopedTables | None = None

    @property
    def tables(self) -> ScopedTables:
        if self._tables is None:
            self._tables = ScopedTables(self.state.key)
        return self._tables

    def _is_on(self) -> bool:
        """Return True if a statement that is sent now has to keep to the scope of a key."""
        return self.state.key is not None and not watch_is_silent.get() and not self._is_unscoped()

    def _is_unscoped(self) -> bool:
        view: Any = self.state.open_view
        if view is None:
            return False
        method = self.request.method.lower()
        name = getattr(view, "action", None) or ("get" if method == "head" else method)
        return is_unscoped(view, getattr(type(view), name, None))

    def execute(self, connection: Any, sql: Any, params: Any, send: Callable[[], Any]) -> Any:
        """Send a statement, and check it if a key has to keep to its scope."""
        token = running.set(None)
        try:
            origin = find_origin(sql)
            if origin.is_by_finta_keys or not self._is_on() or connection.vendor not in VENDORS:
                return send()
            return self._send_checked(connection, text_of(connection, sql), params, send, origin)
        finally:
            running.reset(token)

    def _send_checked(self, connection: Any, sql: str, params: Any, send: Callable[[], Any], origin: Origin) -> Any:
        compiler = origin.compiler
        if compiler is not None and compiler.query.model is not None:  # None for the query of Q.check()
            self.tables.add_model(compiler.query.model)
        tables = self.tables.mentioned(sql)
        if not tables:
            return send()
        path = getattr(self.state.open_view, "account_path", "")
        for model in tables:
            if account_paths.leads_to_account(model, path):
                self.tables.paths.setdefault(model, set()).add(path)
        if READ.match(sql) and not _writes_by_cte(sql):
            result = send()
            if not origin.reads_to_change:
                self._check_read(connection, sql, params, tables, origin)
            return result
        if compiler is None:
            return self._send_raw(connection, sql, send, tables, origin)
        if origin.collector is not None:
            self._check_deleted(connection, origin)
            return send()
        if hasattr(compiler.query, "objs"):
            return self._send_insert(connection, compiler.query, send, origin)
        self._check_changed(connection, sql, tables, origin)
        return send()

    def _check_read(self, connection: Any, sql: str, params: Any, tables: list[Model], origin: Origin) -> None:
        try:
            depends_on_hidden = self.tables.depends_on_hidden(connection, sql, params, origin.compiler)
        except CannotCheck as error:
            self._fail(f"ran a statement that watch_scope() cannot check ({error}) on", tables, origin.place)
        if depends_on_hidden:
            self._fail("read", tables, origin.place)

    def _send_raw(self, connection: Any, sql: str, send: Callable[[], Any], tables: list[Model], origin: Origin) -> Any:
        """Raw SQL may change rows in any way, so compare the hidden rows before and after."""
        if not WRITE.search(sql):
            return send()
        before = self.tables.snapshot(connection, tables)
        result = send()
        if self.tables.snapshot(connection, tables) != before:
            self._fail("changed", tables, origin.place)
        return result

    def _send_insert(self, connection: Any, query: Any, send: Callable[[], Any], origin: Origin) -> Any:
        """The new rows are checked later: an account may join the scope after it was created."""
        model = query.model._meta.concrete_model
        if query.on_conflict == OnConflict.UPDATE:
            names = [field.attname for field in query.unique_fields]
            existing = _matching(model, names, query.objs).using(connection.alias)
            self._require_writable(connection, model, _pks(connection, existing), "changed", origin)
        result = send()
        self.places[model] = origin.place
        if query.on_conflict is None:
            self.tables.created.setdefault(model, []).extend(query.objs)
        else:
            self.upserted += [(model, row) for row in query.objs]
        return result

    def _check_changed(self, connection: Any, sql: str, tables: list[Model], origin: Origin) -> None:
        """Check the rows that an UPDATE or DELETE matches, and what its conditions and values
        read."""
        model = origin.compiler.query.model._meta.concrete_model
        pks = _pks(connection, affected_rows(origin.compiler))
        self._require_writable(connection, model, pks, "changed", origin)
        if "SELECT" in sql:
            self._check_read(connection, *read_by_update(connection, origin.compiler), tables, origin)

    def _check_deleted(self, connection: Any, origin: Origin) -> None:
        """Check all rows of a ``delete()`` before the first of them is gone, and the scope with
        it."""
        collector = origin.collector
        if any(collector is checked for checked in self.checked_collectors):
            return
        self.checked_collectors.append(collector)
        for model, rows in collector.data.items():
            self._require_writable(connection, model, {row.pk for row in rows}, "deleted", origin)
        for rows in collector.fast_deletes:
            self._require_writable(connection, rows.model, _pks(connection, rows), "deleted", origin)
        for rows in chain(*collector.field_updates.values()):
            self._require_writable(connection, rows.model, _pks(connection, rows), "changed", origin)

    def _require_writable(self, connection: Any, model: Any, pks: set[Any], verb: str, origin: Origin) -> None:
        model = model._meta.concrete_model
        self.tables.add_model(model)
        if self.tables.has_hidden(connection, model, pks):
            self._fail(verb, [model], origin.place)
        self.updated.setdefault(model, set()).update(pks)
        self.places[model] = origin.place

    def check_written(self) -> None:
        """Check the rows that were saved, as they are now."""
        if self._tables is None:
            return
        token = running.set(None)
        connection = connections[key_database()]
        created, self.tables.created = self.tables.created, {}
        updated, self.updated = self.updated, {}
        upserted, self.upserted = self.upserted, []
        try:
            for model, rows in created.items():
                updated.setdefault(model, set()).update({row.pk for row in rows} - {None})
            for model, row in upserted:
                names = [field.attname for field in model._meta.local_concrete_fields if field.is_relation]
                updated.setdefault(model, set()).update(_pks(connection, _matching(model, names, [row])))
            for model, pks in updated.items():
                if self.tables.has_hidden(connection, model, pks):
                    self._fail("saved", [model], self.places[model])
        finally:
            running.reset(token)

    def _fail(self, verb: str, tables: list[Model], place: str) -> NoReturn:
        view: Any = self.state.open_view
        name = f"{type(view).__module__}.{type(view).__qualname__}" if view is not None else self.request.path
        labels = ", ".join(model._meta.label for model in tables)
        message = (
            f"{self.request.method} of {name} {verb} rows of {labels} outside the scope of its API key"
            f"{f', at {place}' if place else ''}. {SOLUTION}"
        )
        for messages in open_blocks:
            messages.append(message)
        raise ScopeLeak(message)


def _writes_by_cte(sql: str) -> bool:
    return sql.lstrip()[:4].upper() == "WITH" and bool(WRITE.search(LOCK.sub("", sql)))


def _matching(model: Model, names: list[str], rows: list[models.Model]) -> models.QuerySet[Any]:
    """Return the stored rows that have the same values as one of these rows."""
    condition = models.Q()
    for row in rows:
        condition |= models.Q(**{name: getattr(row, name) for name in names})
    return models.QuerySet(model).filter(condition)


def _pks(connection: Any, rows: models.QuerySet[Any]) -> set[Any]:
    return {pk for (pk,) in fetch(connection, rows.values_list("pk"))}
