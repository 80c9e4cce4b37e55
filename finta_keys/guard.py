"""The guard around a handler: it checks the rows of the URL, the rows that are saved, and the
response.

For a request by a key, a handler that forgets the scope fails before anything is committed or sent.
The database decides whether a row is inside the scope.
"""

from __future__ import annotations

import inspect
from functools import cached_property, lru_cache, partial, wraps
from typing import Any, Self

from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, OperationalError, connections
from rest_framework.permissions import SAFE_METHODS

from finta_keys import limited_rows, scope_queries, shown, url_rows
from finta_keys.callers import is_unlimited, key_of
from finta_keys.database import key_database
from finta_keys.marks import is_unscoped
from finta_keys.request_state import RequestState, current_guard
from finta_keys.responses import (
    EXEMPT_STATUSES,
    RESPONSE_ERRORS,
    Conflict,
    RowOutsideScope,
    is_conflict,
    is_exempt_error,
    saved_row,
    shown_rows,
)
from finta_keys.save_checks import SaveChecks
from finta_keys.transactions import NO_TRANSACTION, atomic

PSYCOPG_INERROR = 3  # ``psycopg.pq.TransactionStatus.INERROR``; psycopg2 has the same number

_is_async = lru_cache(maxsize=1024)(inspect.iscoroutinefunction)


@lru_cache(maxsize=1024)
def _may_change_response(view_class: Any) -> bool:
    """Return True if a view class overrides a method that may change the response of the
    handler."""
    names = ("dispatch", "finalize_response", "handle_exception")
    return not all(url_rows.is_of_drf(getattr(view_class, name)) for name in names)


def guard_handler(view: Any, request: Any, state: RequestState, view_guard: Guard) -> None:
    """Put the guard in the place of the handler that Django REST framework is about to call."""
    method: str = request.method
    name = url_rows.handler_name(view, method)
    handler = getattr(view, name)
    original = {name: handler} if name in view.__dict__ else {}  # A viewset binds its actions on the instance.

    def new_guard(request: Any) -> Guard:
        del view.__dict__[name]  # Put the handler back: another handler may call it.
        view.__dict__.update(original)
        state.key, state.is_guarded = key_of(request), True
        guard = view_guard.handler_guard = Guard(view, request, state, handler, method)
        guard.is_unsafe = guard.is_unsafe or view_guard.is_unsafe
        return guard

    def guarded_handler(request: Any, *args: Any, **kwargs: Any) -> Any:
        return new_guard(request).run(args, kwargs)

    async def guarded_async_handler(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await new_guard(request).run_async(args, kwargs)

    setattr(view, name, guarded_async_handler if _is_async(getattr(handler, "__func__", handler)) else guarded_handler)


def require_guarded(view: Any, state: RequestState, response: Any) -> None:
    """Raise ``ImproperlyConfigured`` if a handler has responded to a key outside the guard."""
    if not state.is_guarded and not getattr(response, "exception", False):
        raise ImproperlyConfigured(
            f"{type(view).__module__}.{type(view).__qualname__} bypassed the guard. If you override dispatch(), "
            "look up the handler after initial(), as Django REST framework does."
        )


class Guard:
    """The checks around a handler, by ``run()``.

    Without a handler it is a context manager around the ``dispatch()`` of a view, and checks each
    row when it is saved.
    """

    is_paused = False  # whether ``unscoped_rows()`` has switched off the checks of saved rows
    url_row: Any = None
    outer: Guard | None = None  # inside which this guard runs
    handler_guard: Guard | None = None  # of the handler, if this is the guard of its view

    def __init__(self, view: Any, request: Any, state: RequestState, handler: Any = None, method: str = "") -> None:
        self.view, self.request, self.state, self.handler = view, request, state, handler
        self.method = method  # of the request as it came. The view may change that of the request.
        self.is_unsafe = method not in SAFE_METHODS
        self.scoped_before = state.scoped_before

    @cached_property  # because requests that only read need none
    def save_checks(self) -> SaveChecks:
        return SaveChecks(self)

    @property
    def is_unscoped(self) -> bool:
        return is_unscoped(self.view, self.handler)

    @property
    def is_write_by_key(self) -> bool:
        """False until ``initial()`` has authenticated the request."""
        if self.state.key is None:
            return False
        # The guard of a view is asked when a row is saved. initial() may have changed the method.
        return self.is_unsafe or (self.handler is None and self.request.method not in SAFE_METHODS)

    @property
    def is_exempt(self) -> bool:
        """True if the project has promised that the rows saved now need not be inside the
        scope."""
        return self.is_paused or self.is_unscoped

    @property
    def checks_saves(self) -> bool:
        """True if the rows that are saved now have to be inside the scope."""
        return self.is_write_by_key and not self.is_exempt

    @property
    def has_scoped(self) -> bool:
        return self.state.scoped_count > self.scoped_before or bool(self.save_checks.saved)

    def __enter__(self) -> Self:
        """Make this the guard that ``key.scoped()`` and the signals of saved rows find."""
        self.outer = current_guard.get()
        self._token = current_guard.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        current_guard.reset(self._token)
        self.handler_guard = None  # It refers to this guard. Without the cycle, both are freed at once.

    def check_end(self, response: Any) -> None:
        """Check the response of a view after its ``dispatch()``.

        Raise ``RowOutsideScope`` if a row was rejected, and code around the handler has caught
        that. Check the shown rows again if code around the handler may have added some.
        """
        if self.state.key is None:
            return
        is_error, guard = getattr(response, "exception", False), self.handler_guard or self
        if not is_error and "save_checks" in self.__dict__ and self.save_checks.is_rejected:
            raise RowOutsideScope
        if (is_error or _may_change_response(self.view.__class__)) and not guard.is_unscoped:
            guard.check_shown_rows(response)

    def run(self, args: Any, kwargs: Any) -> Any:
        """Look up the rows in the URL, call the handler, check its response and the saved rows,
        and commit."""
        is_write = self.is_write_by_key
        with self:
            try:
                with atomic() if is_write else NO_TRANSACTION:
                    self._look_up_url_rows()
                    try:
                        response = self.handler(self.request, *args, **kwargs)
                        self._check_response(response)
                        if self.url_row is not None and self.state.key is not None and self.method != "OPTIONS":
                            shown.record_url_row(self.view, self.state, self.url_row)
                    except RESPONSE_ERRORS as error:
                        self._check_error(error)
                        raise
                    if is_write:
                        self.save_checks.checks_immediately = True  # on_commit() callbacks may save rows.
                return response
            except (IntegrityError, OperationalError) as error:
                self._translate_error(error)
                raise
            finally:
                url_rows.forget(self.view)
                self.state.open_view = self.view  # The handler may have called another view with the same request.

    async def run_async(self, args: Any, kwargs: Any) -> Any:
        """Like ``run()``, for async handlers: all but the handler runs in the thread of the
        database connection."""
        self.handler = wraps(self.handler)(async_to_sync(self.handler))
        return await sync_to_async(self.run)(args, kwargs)

    def _look_up_url_rows(self) -> None:
        has_key = self.state.key is not None
        if not self.is_unscoped and (has_key or not is_unlimited(self.request, self.view)):
            can_reuse = has_key or self.method in SAFE_METHODS
            self.url_row = url_rows.look_up(self.view, self.request, self.method, self.handler, can_reuse=can_reuse)

    def _check_response(self, response: Any) -> None:
        """Raise if this response must not be sent to a key."""
        if self.state.key is None:
            return
        self._reject_cache_page()
        is_write = self.is_write_by_key
        if is_write:
            self._check_transaction()
        if self.is_unscoped:
            return
        if is_write:
            self.save_checks.check_saved()
        if not (self.has_scoped or self._shows_no_rows(response) or self._shows_saved_row(response)):
            raise ImproperlyConfigured(self._nothing_scoped_message)
        self.check_shown_rows(response)
        if self.state.watch is not None:
            self.state.watch.check_written()

    def _check_error(self, error: Exception) -> None:
        """Raise if the response to this exception must not be sent to a key."""
        if self.state.key is not None and not (self.is_unscoped or self.has_scoped or is_exempt_error(error)):
            raise ImproperlyConfigured(self._nothing_scoped_message) from error

    def _translate_error(self, error: Exception) -> None:
        """Raise the 503 or 404 that an error of the database means, if it means one."""
        if is_conflict(error):
            raise Conflict from error
        if isinstance(error, IntegrityError) and self.checks_saves:
            self.save_checks.check_referenced()

    def _reject_cache_page(self) -> None:
        if "_cache_update_cache" in vars(self.request):  # Django's cache middleware sets it on a miss.
            raise ImproperlyConfigured(
                f"cache_page() on {self.handler_label} would serve the response of one key to other keys. "
                "Cache inside the handler, with self.scope_cache_key(*parts)."
            )

    def _check_transaction(self) -> None:
        """Raise if the transaction can only be rolled back, although the handler returned a
        response.

        Under ``ATOMIC_REQUESTS`` it commits after the guard, so check deferred constraints now.
        """
        connection: Any = connections[key_database()]
        info = getattr(connection.connection, "info", None)  # of psycopg
        if connection.needs_rollback or getattr(info, "transaction_status", 0) == PSYCOPG_INERROR:
            raise ImproperlyConfigured(
                f"{self.handler_label} caught a database error and returned a response, but the transaction can only "
                "be rolled back. Put transaction.atomic() around the statement that may fail."
            )
        if connection.settings_dict.get("ATOMIC_REQUESTS") and connection.in_atomic_block:
            tables = [model._meta.db_table for model in self.save_checks.saved]
            connection.check_constraints(table_names=tables or None)

    def _shows_no_rows(self, response: Any) -> bool:
        """Return True if the response shows no rows: a denial, or the description of a view."""
        is_metadata = self.method == "OPTIONS" and url_rows.is_of_drf(self.handler)
        return is_metadata or getattr(response, "status_code", None) in EXEMPT_STATUSES

    def _shows_saved_row(self, response: Any) -> bool:
        """Return True if a serializer's ``save()`` returned the row of the response, such as by
        ``get_or_create()``."""
        row = saved_row(getattr(response, "data", None)) if self.is_write_by_key else None
        return row is not None and scope_queries.belongs_to_account(type(row))

    def check_shown_rows(self, response: Any) -> None:
        """Raise ``RowOutsideScope`` if a response shows rows outside the scope."""
        rows = shown_rows(getattr(response, "data", None), partial(limited_rows.are_limited, self.state))
        for model, pks in scope_queries.pks_by_model(row for row in rows if row != self.url_row).items():
            unchecked = pks - self.save_checks.saved.get(model, set()) - {None}
            self.save_checks.require_inside(model, unchecked, scope_queries.view_paths(self.view, model))

    @property
    def handler_label(self) -> str:
        return f"{self.method} of {type(self.view).__module__}.{type(self.view).__qualname__}"

    @property
    def _nothing_scoped_message(self) -> str:
        return (
            f"{self.handler_label} responded to an API key without limiting anything to its scope. Use "
            "self.get_queryset() or self.scoped(queryset), or mark the handler "
            '@unscoped("why it shows rows of no account").'
        )
