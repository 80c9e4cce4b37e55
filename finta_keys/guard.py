"""The guard around a handler: it checks the rows of the URL, the rows that are saved, and the response.

For a request by a key, a handler that forgets the scope fails before anything is committed or sent. The database
decides whether a row is inside the scope.
"""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, OperationalError, connections
from rest_framework.permissions import SAFE_METHODS

from finta_keys import scope_queries, url_rows
from finta_keys.callers import is_unlimited, key_of
from finta_keys.database import key_database
from finta_keys.marks import is_unscoped
from finta_keys.models import ApiKey
from finta_keys.request_state import RequestState, current, current_request
from finta_keys.responses import (
    EXEMPT_STATUSES,
    RESPONSE_ERRORS,
    Conflict,
    is_conflict,
    is_exempt_error,
    saved_row,
    serialized_rows,
)
from finta_keys.save_checks import SaveChecks
from finta_keys.transactions import atomic

PSYCOPG_INERROR = 3


def replace_handler(view: Any, request: Any, state: RequestState) -> None:
    """Put the guard in the place of the handler that Django REST framework is about to call."""
    if state.is_presented and state.key is None:
        _ = request.user  # Authenticate now if the view has put it off: an invalid key is a 401.
    name = url_rows.handler_name(view, request)
    handler = getattr(view, name)
    own = name in view.__dict__  # A viewset binds its actions on the instance.

    def new_guard(request: Any) -> Guard:
        if own:
            view.__dict__[name] = handler
        else:
            del view.__dict__[name]
        return Guard(view, request, handler, state)

    def guarded_handler(request: Any, *args: Any, **kwargs: Any) -> Any:
        return new_guard(request).run(args, kwargs)

    async def guarded_async_handler(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await new_guard(request).run_async(args, kwargs)

    setattr(view, name, guarded_async_handler if inspect.iscoroutinefunction(handler) else guarded_handler)


def require_guarded(view: Any, state: RequestState, response: Any) -> None:
    """Raise ``ImproperlyConfigured`` if a handler has responded to a key outside the guard."""
    if not state.is_guarded and not getattr(response, "exception", False):
        raise ImproperlyConfigured(
            f"{type(view).__module__}.{type(view).__qualname__} bypassed the guard. If you override dispatch(), "
            "look up the handler after initial(), as Django REST framework does."
        )


def guard_saves(view: Any, request: Any, state: RequestState) -> AbstractContextManager[Any]:
    """Guard code outside the handler: ``initial()`` and ``finalize_response()``. A safe method only counts scoping."""
    return _Counting(state) if request.method in SAFE_METHODS else Guard(view, request, None, state)


class _Counting:
    def __init__(self, state: RequestState) -> None:
        self.state = state

    def __enter__(self) -> None:
        self.token = current.set(self.state)

    def __exit__(self, *exc_info: object) -> None:
        current.reset(self.token)


class Guard:
    """The checks around a handler, or around other code of the view if ``handler`` is None."""

    def __init__(self, view: Any, request: Any, handler: Any, state: RequestState) -> None:
        self.view, self.request, self.handler, self.state = view, request, handler, state
        self.scoped_before = state.scoped_before
        self.is_unscoped = is_unscoped(view, handler)
        self.row: Any = None
        # Without a handler there is no final check, so check each row when it is saved.
        self.rows = SaveChecks(state, type(view), self._handler_name, checks_at_once=handler is None)
        if handler is not None:
            state.key, state.is_guarded = key_of(request), True

    @property
    def key(self) -> ApiKey | None:
        """The key that calls. It is unknown until ``initial()`` has authenticated the request."""
        return self.state.key

    @property
    def is_unsafe(self) -> bool:
        return self.key is not None and self.request.method not in SAFE_METHODS

    @property
    def checks_saves(self) -> bool:
        """True if the rows that are saved now have to be inside the scope."""
        return self.is_unsafe and not self.is_unscoped

    def run(self, args: Any, kwargs: Any) -> Any:
        """Check the URL, call the handler, check its response and the saved rows, and commit."""
        with self:
            try:
                with self._transaction():
                    self._before()
                    try:
                        response = self.handler(self.request, *args, **kwargs)
                        self._check(response)
                    except RESPONSE_ERRORS as error:
                        self._check_error(error)
                        raise
                    self.rows.checks_at_once = True
                return response
            except (IntegrityError, OperationalError) as error:
                self._replace(error)
                raise

    async def run_async(self, args: Any, kwargs: Any) -> Any:
        """Like ``run()``, for async handlers: all but the handler runs in the thread of the database connection."""
        self.handler = wraps(self.handler)(async_to_sync(self.handler))
        return await sync_to_async(self.run)(args, kwargs)

    def _replace(self, error: Exception) -> None:
        """Raise the response that an error of the database means to a key, if there is one."""
        if is_conflict(error):
            raise Conflict from error
        if isinstance(error, IntegrityError) and self.checks_saves:
            self.rows.check_targets()

    def __enter__(self) -> None:
        """Make the state and the request available to ``scoped()`` and to the signals of saved rows."""
        is_counted = self.handler is None or self.key is not None
        self._tokens = current.set(self.state if is_counted else None), current_request.set(self.request)
        self._outer, self.state.guard = self.state.guard, self

    def __exit__(self, *exc_info: object) -> None:
        current.reset(self._tokens[0])
        current_request.reset(self._tokens[1])
        self.state.guard = self._outer
        url_rows.forget(self.view)

    def _transaction(self) -> AbstractContextManager[Any]:
        return atomic() if self.is_unsafe else nullcontext()

    def _before(self) -> None:
        if not self.is_unscoped and not is_unlimited(self.request, self.view):
            can_reuse = self.key is not None or self.request.method in SAFE_METHODS
            self.row = url_rows.check(self.view, self.request, self.handler, can_reuse=can_reuse)

    def _check(self, response: Any) -> None:
        """Raise if this response must not be sent to a key."""
        if self.key is None:
            return
        if "_cache_update_cache" in vars(self.request):  # Django's cache middleware sets it on a miss.
            raise ImproperlyConfigured(
                f"cache_page() on {self._handler_name} would serve the response of one key to other keys. "
                "Cache inside the handler, with self.scope_cache_key(*parts)."
            )
        if self.is_unsafe:
            self._check_transaction()
        if self.is_unscoped:
            return
        if self.is_unsafe:
            self.rows.check_saved()
        is_exempt = getattr(response, "status_code", None) in EXEMPT_STATUSES
        is_exempt |= self.request.method == "OPTIONS" and url_rows.is_of_drf(self.handler)
        if not (self.has_scoped or is_exempt or self._shows_saved_row(response)):
            raise ImproperlyConfigured(self._hint)
        self._check_serialized(response)
        if self.state.watch is not None:
            self.state.watch.check_written()

    def _check_error(self, error: Exception) -> None:
        """Raise if the response to this exception must not be sent to a key."""
        if self.key is not None and not (self.is_unscoped or self.has_scoped or is_exempt_error(error)):
            raise ImproperlyConfigured(self._hint) from error

    @property
    def has_scoped(self) -> bool:
        return self.state.scoped_count > self.scoped_before or bool(self.rows.saved)

    def _check_transaction(self) -> None:
        """Raise if the transaction can only be rolled back, although the handler returned a response.

        Under ``ATOMIC_REQUESTS`` it commits after the guard, so check deferred constraints now.
        """
        connection: Any = connections[key_database()]
        info = getattr(connection.connection, "info", None)  # of psycopg
        if connection.needs_rollback or getattr(info, "transaction_status", 0) == PSYCOPG_INERROR:
            raise ImproperlyConfigured(
                f"{self._handler_name} caught a database error and returned a response, but the transaction can only "
                "be rolled back. Put transaction.atomic() around the statement that may fail."
            )
        if connection.settings_dict.get("ATOMIC_REQUESTS") and connection.in_atomic_block:
            connection.check_constraints(table_names=[model._meta.db_table for model in self.rows.saved] or None)

    def _shows_saved_row(self, response: Any) -> bool:
        """Return True if a serializer's ``save()`` returned the row of the response, such as by ``get_or_create()``."""
        row = saved_row(getattr(response, "data", None)) if self.is_unsafe else None
        return row is not None and scope_queries.has_paths(type(row))

    def _check_serialized(self, response: Any) -> None:
        rows = serialized_rows(getattr(response, "data", None), with_lists=self.is_unsafe)
        for model, pks in scope_queries.pks_by_model(row for row in rows if row is not self.row).items():
            unchecked = pks - self.rows.saved.get(model, set()) - {None}
            self.rows.require_inside(model, unchecked, scope_queries.paths_of(self.view, model))

    @property
    def _handler_name(self) -> str:
        return f"{self.request.method} of {type(self.view).__module__}.{type(self.view).__qualname__}"

    @property
    def _hint(self) -> str:
        return (
            f"{self._handler_name} responded to an API key without limiting anything to its scope. Use "
            "self.get_queryset() or self.scoped(queryset), or mark the handler "
            '@unscoped("why it shows rows of no account").'
        )
