"""Look up the rows that a URL names, before the handler runs (rule S7.4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError
from django.http import Http404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import override_method

from finta_keys import account_paths, pk_lookup
from finta_keys.callers import scoped
from finta_keys.database import INVALID_VALUE_ERRORS
from finta_keys.marks import is_unscoped
from finta_keys.transactions import NO_TRANSACTION, atomic

STANDARD_ACTIONS = frozenset({"retrieve", "update", "partial_update", "destroy"})


def look_up(view: Any, request: Any, method: str, handler: Callable[..., Any], *, can_reuse: bool) -> Any:
    """Look up the parents and the row in the URL. Return the row, or None if the URL names none.

    If ``can_reuse``, the first ``get_object()`` of the handler may return the same row without
    another query. Otherwise this looks up the row in a short transaction of its own: then
    ``select_for_update()`` works, and the lock ends with that transaction. Raises ``Http404``.
    """
    if not view.kwargs and not view.args:
        return None
    if method == "OPTIONS" or handler.__name__ == "http_method_not_allowed":
        with override_method(view, request, "GET") as get_request:  # Look up the row as for a GET.
            # Keep the class of the project, and attributes that its initial() has set.
            get_request.__class__ = type(request)
            vars(get_request).update(vars(request) | vars(get_request))
            return _look_up_as(view, get_request, "GET", getattr(view, "get", None), can_reuse)
    return _look_up_as(view, request, method, handler, can_reuse)


def require_before_denial(view: Any, request: Any) -> None:
    """Raise ``Http404`` if the URL of a denied request names a row that the caller may not
    access."""
    method: str = request.method
    handler = getattr(view, handler_name(view, method))
    if is_unscoped(view, handler):
        return
    # With the transaction and queries of Guard.run(): a permission that queries by the URL may deny
    # a missing row, which gets here, and allow a hidden row, which gets to Guard.run().
    with NO_TRANSACTION if method in SAFE_METHODS else atomic():
        look_up(view, request, method, handler, can_reuse=True)
    forget(view)


def forget(view: Any) -> None:
    """Let ``get_object()`` look up rows again."""
    view.__dict__.pop("get_object", None)


def handler_name(view: Any, method: str) -> str:
    """Return the name of the handler that Django REST framework calls for an HTTP method."""
    name = method.lower()
    return name if name in view.http_method_names and hasattr(view, name) else "http_method_not_allowed"


def undeclared_kwargs(view: Any, names: set[Any]) -> set[Any]:
    """Return the URL arguments that a scoped view neither looks up nor declares in
    ``scoped_kwargs``.

    ``view`` may be the class.
    """
    version = getattr(view.versioning_class, "version_param", None)
    known: set[Any] = {view.settings.FORMAT_SUFFIX_KWARG, version, _lookup_kwarg(view), *view.scoped_kwargs}
    return names - known


def is_of_drf(method: Any) -> bool:
    """Return True for None, and for a method of Django REST framework."""
    # functools.wraps() copies the module, so a wrapped method counts as the one inside.
    return method is None or getattr(method, "__module__", "").startswith("rest_framework.")


def _look_up_as(view: Any, request: Any, method: str, handler: Any, can_reuse: bool) -> Any:
    for name, target in view.scoped_kwargs.items():
        if target is not None and name in view.kwargs:
            _require_parent(request, target, view.kwargs[name])
    overrides_get_object = _overrides_get_object(view)
    if not _names_row(view, overrides_get_object):
        return None
    by_get_object = overrides_get_object or _calls_get_object(view, handler)
    with NO_TRANSACTION if can_reuse else atomic():  # get_queryset() may lock the row.
        if by_get_object:
            row = _get_object(view.get_object)
        else:
            row = _get_row(view.get_queryset(), view.lookup_field, view.kwargs[_lookup_kwarg(view)])
    # A handler of the project may change the row before it calls get_object().
    stays_current = method in SAFE_METHODS or is_of_drf(handler)
    is_async = overrides_get_object and inspect.iscoroutinefunction(view.get_object)
    # A filter backend may exclude the row, so then get_object() has to run.
    if can_reuse and stays_current and not is_async and (by_get_object or not view.filter_backends):
        _cache_for_get_object(view, row, is_permitted=by_get_object)
    return row


def _require_parent(request: Any, target: Any, value: Any) -> None:
    """Raise ``Http404`` unless the caller may access a row that an entry of ``scoped_kwargs``
    names."""
    model, field = target if isinstance(target, tuple) else (target, "pk")
    path = account_paths.shortest_path(model)
    if path is None:
        raise ImproperlyConfigured(f"scoped_kwargs names {model._meta.label}, which has no foreign key to an account.")
    rows = scoped(request, model._default_manager.all(), path)
    try:
        has_row = rows.filter(**{field: value}).exists()  # Several rows may have the value.
    except (TypeError, *INVALID_VALUE_ERRORS):
        has_row = False
    if not has_row:
        raise Http404


def _names_row(view: Any, overrides_get_object: bool) -> bool:
    """Return True if the URL names a row of the view itself."""
    name = _lookup_kwarg(view)
    if name in view.kwargs and name not in view.scoped_kwargs:
        return overrides_get_object or _has_queryset(view)
    return overrides_get_object and bool(view.args or undeclared_kwargs(view, set(view.kwargs)))


def _lookup_kwarg(view: Any) -> str | None:
    return getattr(view, "lookup_url_kwarg", None) or getattr(view, "lookup_field", None)


def _attributes(view: Any) -> dict[str, Any]:
    """Return the attributes that a handler may have changed. Django REST framework changes
    ``request`` for OPTIONS."""
    attributes: dict[str, Any] = vars(view) | {"kwargs": dict(view.kwargs)}
    attributes.pop("get_object", None)
    attributes.pop("request", None)
    return attributes


def _has_queryset(view: Any) -> bool:
    if not hasattr(view, "get_object") or not hasattr(view, "get_queryset"):
        return False  # A plain ViewSet may have a queryset for its permissions only.
    return getattr(view, "queryset", None) is not None or not is_of_drf(getattr(type(view), "get_queryset", None))


def _overrides_get_object(view: Any) -> bool:
    """Return True for a ``get_object()`` of the project that can be called without arguments."""
    if is_of_drf(getattr(type(view), "get_object", None)):
        return False
    try:
        inspect.signature(view.get_object).bind()
    except TypeError:
        return False
    return True


def _calls_get_object(view: Any, handler: Any) -> bool:
    """Return True if ``get_object()`` looks up the row of the URL: for the standard actions of a
    viewset, and for handlers of Django REST framework."""
    return view.action in STANDARD_ACTIONS if getattr(view, "action_map", None) else is_of_drf(handler)


def _get_object(get_object: Callable[[], Any]) -> Any:
    if inspect.iscoroutinefunction(get_object):
        get_object = async_to_sync(get_object)
    try:
        return get_object()
    except (OverflowError, DataError):  # The database cannot hold the value, so no row has it.
        raise Http404 from None


def _get_row(rows: Any, field: str, value: Any) -> Any:
    """Return the row of a queryset, or of a list, whose field has a value. Raises ``Http404``."""
    not_found = getattr(getattr(rows, "model", None), "DoesNotExist", ())
    try:
        if field == "pk" and pk_lookup.may_be_sealed(rows):
            return pk_lookup.get(rows, value)
        if account_paths.can_filter(rows):
            return rows.get(**{field: value})
        return next(row for row in rows if str(getattr(row, field)) == str(value))
    except (StopIteration, TypeError, *INVALID_VALUE_ERRORS):
        raise Http404 from None
    except not_found:
        raise Http404 from None


def _cache_for_get_object(view: Any, row: Any, *, is_permitted: bool) -> None:
    """Let the first ``get_object()`` without arguments return this row, after checking permissions
    for it.

    ``get_object()`` may look up another row if the handler has changed ``kwargs`` or an attribute
    of the view.
    """
    attributes = _attributes(view)

    def get_object(*args: Any, **kwargs: Any) -> Any:
        forget(view)
        if args or kwargs or _attributes(view) != attributes:
            return view.get_object(*args, **kwargs)
        if not is_permitted:
            view.check_object_permissions(view.request, row)
        return row

    view.get_object = get_object
