"""The gate of a view: it accepts API keys, and puts guards around the view and its handler.

``install()`` wraps methods of a view class. Django REST framework authenticates in ``initial()``,
and the authentication class accepts a key only once the wrapped ``initial()`` of the view has
begun. So a view without a gate never opens to keys.

The guard around ``dispatch()`` checks the rows that the view saves before and after its handler.

The guard rejects the response of a handler that has limited nothing to the scope: ``scoped()``
increments ``state.scoped_count``. Permissions, throttles and filters limit rows too, but not those
of the response. So the gate sets the count back after them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from types import CoroutineType
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.http import Http404
from django.utils.cache import patch_vary_headers
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from finta_keys import conf, expiry, url_rows, view_objects, view_querysets
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.callers import key_of
from finta_keys.guard import Guard, guard_handler, require_guarded
from finta_keys.key_headers import presented_secrets
from finta_keys.marks import declares_scope
from finta_keys.read_only import ReadOnlyKey, is_rejected, only_reads, reject_read_only
from finta_keys.request_state import current_guard, current_state, http_request, state_of
from finta_keys.responses import RowOutsideScope


def install(view_class: type) -> None:
    """Wrap the methods of a view class that the gate needs. A method that the class does not have
    is left out.

    The wrapped method is the one that attribute lookup finds, so the mixin may stand anywhere
    among the bases.
    """
    for name, wrap in (SCOPED_WRAPPERS if getattr(view_class, "is_scoped", False) else WRAPPERS).items():
        method = getattr(view_class, name, None)
        if method is not None and not _is_wrapped(method):
            wrapped = wraps(method)(wrap(method))
            wrapped.gate_wrapper = wrapped  # type: ignore[attr-defined]  # not True: a decorator's wraps() would copy it
            setattr(view_class, name, wrapped)


@cache  # once per class
def _wrap_replaced_methods(view_class: Any) -> None:
    """Wrap methods that were replaced after the class was created, such as by a decorator on the
    class."""
    install(view_class)


def opens_to_keys(view_class: type) -> bool:
    """Return True for a view class that is scoped or marked, and has its gate."""
    # One of them is enough: the first dispatch() wraps methods that a decorator has replaced.
    return declares_scope(view_class) and any(
        _is_wrapped(getattr(view_class, name, None)) for name in ("dispatch", "initial")
    )


def _is_wrapped(method: Any) -> bool:
    return method is not None and getattr(method, "gate_wrapper", None) is method


def _wrap_initial(initial: Callable[..., None]) -> Callable[..., None]:
    """Open the view to keys, and run ``initial()``.

    Then reject read-only keys, and put a guard in the place of the handler.
    """

    def initial_with_gate(view: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        guard = current_guard.get()
        # Skip the gate if the initial() of a subclass, which has its own, called this by super().
        # Also if the view does not open to keys: its dispatch() has no guard then.
        if view.__dict__.get("_in_initial") or guard is None or guard.view is not view:
            initial(view, request, *args, **kwargs)
            return
        state, django_request = state_of(request), http_request(request)
        guard.request = request
        state.open_view, state.secrets = view, presented_secrets(request)
        state.scoped_before = state.scoped_count
        state.status = 500  # unless finalize_response() gets a response
        if state.secrets:
            _prefer_keys(request)
        # Do not keep vars() in a variable: error reports show variables, and it has the headers.
        original_user = {"user": vars(django_request)["user"]} if "user" in vars(django_request) else {}
        view._in_initial = True
        try:
            initial(view, request, *args, **kwargs)
        finally:
            del view._in_initial
        if state.secrets and state.key is None:
            _ = request.user  # Authenticate now if the view has put it off: an invalid key is a 401.
        if state.key is not None:  # Django REST framework has made the owner the user of Django's request too.
            vars(django_request).pop("user", None)
            vars(django_request).update(original_user)
        reject_read_only(view, request)
        guard_handler(view, request, state, guard)

    return initial_with_gate


def _wrap_dispatch(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Run a view inside a guard."""
    is_inherited = dispatch is APIView.dispatch

    def dispatch_inside_guard(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        outer = current_guard.get()
        # Skip the guard if the dispatch() of a subclass, which has its own, called this by super().
        if (outer is not None and outer.view is view) or not declares_scope(type(view)):
            return dispatch(view, request, *args, **kwargs)
        _wrap_replaced_methods(view.__class__)
        with Guard(view, request, state_of(request), method=request.method) as guard:
            try:
                # Read it for each request: watch_scope() and packages for tracing replace it.
                response = (APIView.dispatch if is_inherited else dispatch)(view, request, *args, **kwargs)
                if isinstance(response, CoroutineType):
                    return _dispatch_async(guard, response)
                guard.check_end(response)
            except RowOutsideScope as error:
                response = _respond_not_found(guard, error)
        return response

    return dispatch_inside_guard


async def _dispatch_async(guard: Guard, coroutine: Any) -> Any:
    with guard:
        try:
            response = await coroutine
            await sync_to_async(guard.check_end)(response)
        except RowOutsideScope as error:
            response = await sync_to_async(_respond_not_found)(guard, error)
    return response


def _respond_not_found(guard: Guard, error: RowOutsideScope) -> Any:
    """Return the response to an error that was raised outside the handler."""
    view = guard.view
    view.headers = view.default_response_headers  # finalize_response() may have removed some.
    try:
        response = view.handle_exception(error)
        guard.check_end(response)
    except RowOutsideScope:  # The view's own exception handler saves or shows the row.
        response = cast(Response, exception_handler(error, {}))
        response.exception = True
    # Not by the view's own finalize_response(), which may have raised the error.
    return _finalize_as_drf(view, view.request, response)


def _prefer_keys(request: Any) -> None:
    """Ask our authentication class first, wherever the view lists it."""
    request.authenticators = sorted(
        request.authenticators, key=lambda authenticator: not isinstance(authenticator, ApiKeyAuthentication)
    )


def _wrap_handle_exception(handle_exception: Callable[..., Any]) -> Callable[..., Any]:
    """Remove Django's message from the 404 of a key. For a missing row it names the model, for a
    malformed id it does not."""

    def handle_with_plain_404(view: Any, exception: Exception) -> Any:
        is_plain = isinstance(exception, Http404) and key_of(view.request) is not None
        return handle_exception(view, Http404() if is_plain else exception)

    return handle_with_plain_404


def _wrap_finalize_response(finalize_response: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``Vary``. For a key: require the guard, and forbid caching. A ``Cache-Control`` that the
    view sets stays."""

    def finalize_with_checks(view: Any, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        state = state_of(request)
        if state.open_view is not view:
            return finalize_response(view, request, response, *args, **kwargs)
        key = state.key or key_of(request)
        if key is None:
            response = finalize_response(view, request, response, *args, **kwargs)
            _add_vary(response)
            return response
        require_guarded(view, state, response)
        response = finalize_response(view, request, response, *args, **kwargs)
        _add_vary(response)
        response.headers.setdefault("Cache-Control", "private, no-store")
        if key.expires_at is not None:
            response.headers["X-Key-Expires"] = expiry.to_json(key.expires_at)
        state.status, state.only_reads = response.status_code, only_reads(view, request.method)
        return response

    return finalize_with_checks


_finalize_as_drf = _wrap_finalize_response(APIView.finalize_response)


def _add_vary(response: Any) -> None:
    names = conf.secret_header_names()
    if "Vary" in response.headers:
        patch_vary_headers(response, names)
    else:
        response.headers["Vary"] = ", ".join(names)


def _restore_scoped_count(method: Callable[..., Any]) -> Callable[..., Any]:
    """Set ``scoped_count`` back after a method that limits other rows than those of the
    response."""

    def call_and_restore(view: Any, *args: Any, **kwargs: Any) -> Any:
        state = current_state()
        if state is None:  # The project calls the method outside a request.
            return method(view, *args, **kwargs)
        count = state.scoped_count
        try:
            return method(view, *args, **kwargs)
        finally:
            state.scoped_count = count

    return call_and_restore


def _wrap_check_permissions(check_permissions: Callable[..., Any]) -> Callable[..., Any]:
    """If a permission denies a key, look up the rows in the URL first, and raise ``Http404`` for
    missing and hidden rows.

    Otherwise a permission that queries by the URL reveals hidden rows: it denies a missing row
    (403), and allows a hidden row of the owner, which is a 404 later.
    """
    check_and_restore = _restore_scoped_count(check_permissions)

    def check_after_404(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if is_rejected(view, request):
            # Do not ask the permissions: one that queries by the URL would reveal hidden rows.
            if view.__dict__.get("_in_initial"):
                return None
            raise ReadOnlyKey  # for the metadata and the forms of the browsable API
        try:
            return check_and_restore(view, request, *args, **kwargs)
        except Exception:
            # Forms of the browsable API ask again later, and expect the denial.
            if view.__dict__.get("_in_initial") and key_of(request) is not None:
                with suppress(AttributeError):  # The view's initial() may yet have to set what get_queryset() reads.
                    url_rows.require_before_denial(view, request)
            raise

    return check_after_404


def _wrap_filter_queryset(filter_queryset: Callable[..., Any]) -> Callable[..., Any]:
    return view_querysets.wrap_filter_queryset(_restore_scoped_count(filter_queryset))


WRAPPERS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "dispatch": _wrap_dispatch,
    "initial": _wrap_initial,
    "handle_exception": _wrap_handle_exception,
    "finalize_response": _wrap_finalize_response,
    "check_permissions": _wrap_check_permissions,
}
SCOPED_WRAPPERS = WRAPPERS | {
    "check_object_permissions": _restore_scoped_count,
    "check_throttles": _restore_scoped_count,
    "filter_queryset": _wrap_filter_queryset,
    "get_queryset": view_querysets.wrap_get_queryset,
    "get_object": view_objects.wrap_get_object,
    "paginate_queryset": view_querysets.wrap_paginate_queryset,
}
