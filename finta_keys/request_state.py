"""The state of a request that may present an API key.

It is kept on Django's ``HttpRequest``. Django REST framework wraps that in a request of its own,
which it also clones without copying attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from finta_keys.secret import Secret

if TYPE_CHECKING:
    from finta_keys.guard import Guard
    from finta_keys.models import ApiKey


@dataclass
class RequestState:
    key: ApiKey | None = None  # found by the authentication class or by get_key()
    is_key_final: bool = False  # whether ``key`` has been looked up, and stays as it is
    headers_removed: bool = False  # because the view does not open to keys
    open_view: Any = None  # the view that opens to keys, once its gate was entered
    secrets: set[Secret] | None = field(default=None, repr=False)  # in the headers when the gate was entered
    is_guarded: bool = False  # whether the handler ran inside a guard
    scoped_count: int = 0  # how often rows were limited to the caller for the response
    scoped_before: int = 0  # ``scoped_count`` when the gate was entered
    watch: Any = None  # of tests and of DEBUG: finds statements outside the scope
    status: int = 200  # of the response. It stays 200 outside Django REST framework.
    only_reads: bool = False  # whether the method only reads, although it is not safe
    # Lists and querysets that were limited to the caller, each with a copy of the list.
    limited_rows: tuple[tuple[Any, Any], ...] = ()
    shown: set[Any] = field(default_factory=set)  # the primary keys of the accounts that the response shows


# The guard around the view or the handler that is running, in a view that opens to keys.
current_guard: ContextVar[Guard | None] = ContextVar("finta_keys_guard", default=None)


# True while ``watch_scope()`` reports nothing: inside ``unscoped_rows()``, and in code whose rows
# are checked afterwards. Keys can access no more rows by it.
watch_is_silent: ContextVar[bool] = ContextVar("finta_keys_watch_is_silent", default=False)


def http_request(request: Any) -> Any:
    """Return Django's request for one of Django or of Django REST framework."""
    return request.__dict__.get("_request", request)


def state_of(request: Any) -> RequestState:
    """Return the state of a request, made on first use."""
    attributes = request.__dict__.get("_request", request).__dict__
    state: RequestState | None = attributes.get("_finta_keys")
    if state is None:
        state = attributes["_finta_keys"] = RequestState()
    return state


def current_request() -> Any:
    """Return the request of Django REST framework that is running, or None."""
    guard = current_guard.get()
    return None if guard is None else guard.request


def current_state() -> RequestState | None:
    """Return the state of the request that is running, or None."""
    guard = current_guard.get()
    return None if guard is None else guard.state


def count_scoping(key: ApiKey) -> None:
    """Note that rows were limited to the scope of the key whose request is running."""
    state = current_state()
    if state is not None and state.key == key:
        state.scoped_count += 1


def active_guard() -> Guard | None:
    """Return the innermost guard that checks the rows that are saved, or None.

    If the innermost guard is that of a request that only reads or has no key, the next outer one
    applies: a handler may call another view, even with a new request. An exempt guard ends the
    search.
    """
    guard = current_guard.get()
    while guard is not None and not guard.is_exempt:
        if guard.is_write_by_key:
            return guard
        guard = guard.outer
    return None


@contextmanager
def unscoped_rows(reason: str) -> Iterator[None]:
    """Switch off the check of saved rows, and ``watch_scope()``, for code that needs other rows.

    Such as counters or an audit log. ``scoped()`` and ``get_queryset()`` stay limited: start from
    the model's manager. ``reason`` says why.
    """
    require_reason("unscoped_rows", reason)
    guard, was_silent = active_guard(), watch_is_silent.get()
    watch_is_silent.set(True)  # not reset by a token: a generator may end in another context
    if guard is not None:
        guard.is_paused = True
    try:
        yield
    finally:
        watch_is_silent.set(was_silent)
        if guard is not None:
            guard.is_paused = False


def require_reason(name: str, reason: object) -> None:
    """Raise ``TypeError`` unless ``reason`` is a text."""
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError(f'{name} needs a reason, such as {name}("shows rows of no account").')
