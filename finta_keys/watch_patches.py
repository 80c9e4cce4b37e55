"""Turn ``watch`` on: for a block of a test, or for one request if ``DEBUG`` is on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from threading import Lock
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.http import FileResponse
from rest_framework.views import APIView

from finta_keys import account_paths
from finta_keys.database import key_database
from finta_keys.request_state import http_request, state_of
from finta_keys.watch import ScopeLeak, Watch, open_blocks, running
from finta_keys.watch_rows import VENDORS


@contextmanager
def _watching(request: Any) -> Iterator[Watch]:
    state = state_of(request)
    if state.watch is None:
        state.watch = Watch(http_request(request))
    token = running.set(state.watch)
    try:
        yield state.watch
    finally:
        running.reset(token)


def _watch_cursor(execute_with_wrappers: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute_with_wrappers)
    def execute(cursor: Any, sql: Any, params: Any, *args: Any, **kwargs: Any) -> Any:
        send = partial(execute_with_wrappers, cursor, sql, params, *args, **kwargs)
        watch = running.get()
        return send() if watch is None else watch.execute(cursor.db, sql, params, send)

    return execute


def _record_paths(limit_to_key: Callable[..., Any]) -> Callable[..., Any]:
    """Remember the paths that the view limits rows by: a row that is visible along one of them
    may be read."""

    @wraps(limit_to_key)
    def limit(key: Any, queryset: Any, account_path: str = "") -> Any:
        rows = limit_to_key(key, queryset, account_path)
        watch = running.get()
        if watch is not None and watch.state.key is not None:
            watch.tables.paths.setdefault(rows.model._meta.concrete_model, set()).add(account_path)
        return rows

    return limit


def _watch_response(get_response: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_response)
    def watched(handler: Any, request: Any) -> Any:
        with _watching(request) as watch:
            response = get_response(handler, request)
            watch.check_written()
        return _watch_body(response, request)

    return watched


def _watch_async_response(get_response_async: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_response_async)
    async def watched(handler: Any, request: Any) -> Any:
        with _watching(request) as watch:
            response = await get_response_async(handler, request)
            await sync_to_async(watch.check_written)()
        return _watch_body(response, request)

    return watched


def _watch_view(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Tests may call a view of Django REST framework without a handler of Django."""

    @wraps(dispatch)
    def watched(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        with _watching(request):
            return dispatch(view, request, *args, **kwargs)

    return watched


def _watch_body(response: Any, request: Any) -> Any:
    if response.streaming and not isinstance(response, FileResponse):
        body = response.streaming_content
        response.streaming_content = _async_body(body, request) if response.is_async else _body(body, request)
    return response


def _body(body: Iterator[Any], request: Any) -> Iterator[Any]:
    while True:
        with _watching(request):
            try:
                part = next(body)
            except StopIteration:
                return
        yield part


async def _async_body(body: AsyncIterator[Any], request: Any) -> AsyncIterator[Any]:
    while True:
        with _watching(request):
            try:
                part = await anext(body)
            except StopAsyncIteration:
                return
        yield part


class Patches:
    """Functions that are replaced while at least one block or request is watched."""

    def __init__(self, *patches: tuple[Any, str, Callable[[Any], Any]]) -> None:
        self.patches, self.originals = patches, [getattr(target, name) for target, name, _ in patches]
        self.count, self.lock = 0, Lock()

    def add(self, change: int) -> None:
        """Count one more or one less block or request, and replace or restore the functions."""
        with self.lock:
            self.count += change
            for (target, name, wrap), original in zip(self.patches, self.originals, strict=True):
                setattr(target, name, wrap(original) if self.count else original)

    def __enter__(self) -> None:
        self.add(1)

    def __exit__(self, *exc_info: object) -> None:
        self.add(-1)


statement_patches = Patches(
    (CursorWrapper, "_execute_with_wrappers", _watch_cursor), (account_paths, "limit_to_key", _record_paths)
)
request_patches = Patches(
    (BaseHandler, "get_response", _watch_response),
    (BaseHandler, "get_response_async", _watch_async_response),
    (APIView, "dispatch", _watch_view),
)


@contextmanager
def watch_scope() -> Iterator[list[str]]:
    """Fail if a request by a key reads or changes rows outside the key's scope, while the block
    runs.

    The statement raises ``ScopeLeak``, an ``AssertionError``. If the project catches it, the end of
    the block raises it. Yields the messages so far.
    """
    vendor = connections[key_database()].vendor
    if vendor not in VENDORS:
        raise ImproperlyConfigured(f"watch_scope() works on SQLite and PostgreSQL, not on {vendor}.")
    messages: list[str] = []
    open_blocks.append(messages)
    try:
        with statement_patches, request_patches:
            yield messages
    except BaseException as error:
        if messages and not isinstance(error, ScopeLeak):
            error.add_note("\n".join(messages))
        raise
    finally:
        open_blocks[:] = [block for block in open_blocks if block is not messages]
    if messages:
        raise ScopeLeak("\n".join(dict.fromkeys(messages)))


def watch_request(request: Any) -> None:
    """Watch a request until it is closed after the response. For projects with ``DEBUG``."""
    state = state_of(request)
    if state.watch is not None:
        return
    state.watch = Watch(request)
    statement_patches.add(1)
    outer_watch = running.get()
    running.set(state.watch)
    close = request.close

    def close_and_stop() -> None:
        running.set(outer_watch)
        statement_patches.add(-1)
        request.close = close
        request.close()

    request.close = close_and_stop
