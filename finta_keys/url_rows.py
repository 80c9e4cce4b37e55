"""Look up the rows that a URL names, before the handler runs (rule S7.4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DataError, models
from django.http import Http404
from rest_framework.request import override_method

from finta_keys import account_paths, scope_rows
from finta_keys.callers import limited, scoped
from finta_keys.transactions import atomic

STANDARD_ACTIONS = frozenset({"retrieve", "update", "partial_update", "destroy"})
NO_ROW = (TypeError, ValueError, ValidationError, OverflowError, DataError)  # raised for malformed values


def handler_name(view: Any, request: Any) -> str:
    """Return the name of the method that Django REST framework calls for a request."""
    name: str = request.method.lower()
    return name if name in view.http_method_names and hasattr(view, name) else "http_method_not_allowed"


def is_marked(view: Any, handler: Any) -> bool:
    """Return True if a view or its handler has ``@unscoped``: then the rows in the URL are not looked up."""
    return "unscoped_reason" in vars(type(view)) or hasattr(handler, "unscoped_reason")


def check_denied(view: Any, request: Any) -> None:
    """Raise ``Http404`` if the URL of a denied request names a row that the caller may not access."""
    handler = getattr(view, handler_name(view, request))
    if not is_marked(view, handler):
        check(view, request, handler, can_reuse=False)


def check(view: Any, request: Any, handler: Callable[..., Any], *, can_reuse: bool) -> Any:
    """Look up the parents and the row in the URL. Return the row, or None if the URL names none.

    If ``can_reuse``, the first ``get_object()`` of the handler gets the same row without another query. Otherwise the
    row is not locked here, because the handler may open its own transaction. Raises ``Http404``.
    """
    if not view.kwargs and not view.args:
        return None
    if request.method == "OPTIONS" or handler.__name__ == "http_method_not_allowed":
        with override_method(view, request, "GET") as get_request:  # Check the row as for a GET.
            return _check(view, get_request, getattr(view, "get", None), can_reuse)
    return _check(view, request, handler, can_reuse)


def _check(view: Any, request: Any, handler: Any, can_reuse: bool) -> Any:
    for name, target in view.scoped_kwargs.items():
        if target is not None and name in view.kwargs:
            _check_parent(request, target, view.kwargs[name])
    overrides = _overrides_get_object(view)
    name = _lookup_kwarg(view)
    if not _names_row(view, name, overrides):
        return None
    with nullcontext() if can_reuse else atomic():  # get_queryset() may lock the row.
        if overrides or _is_standard(view, handler):
            row, is_permitted = _call(view.get_object), True
        else:
            row, is_permitted = get_row(view.get_queryset(), view.lookup_field, view.kwargs[name]), False
    if (
        overrides
        and isinstance(row, models.Model)
        and scope_rows.outside(partial(limited, request), type(row), {row.pk}, _path_of(view, type(row)))
    ):
        raise Http404
    # get_object() has to run if a filter backend may exclude the row.
    if can_reuse and (is_permitted or not view.filter_backends):
        _reuse(view, row, is_permitted)
    return row


def _path_of(view: Any, model: type[models.Model]) -> tuple[str, ...] | None:
    return (view.account_path,) if account_paths.leads_to_account(model, view.account_path) else None


def undeclared_kwargs(view: Any, names: set[Any]) -> set[Any]:
    """Return the URL arguments that a scoped view neither looks up nor declares in ``scoped_kwargs``.

    ``view`` may be the class.
    """
    version = getattr(view.versioning_class, "version_param", None)
    known: set[Any] = {view.settings.FORMAT_SUFFIX_KWARG, version, _lookup_kwarg(view), *view.scoped_kwargs}
    return names - known


def get_row(rows: Any, field: str, value: Any) -> Any:
    """Return the row of a queryset, or of a list, whose field has a value. Raises ``Http404``."""
    try:
        if account_paths.can_filter(rows):
            return rows.get(**{field: value})
        return next(row for row in rows if str(getattr(row, field)) == str(value))
    except (StopIteration, *NO_ROW):
        raise Http404 from None
    except Exception as error:
        if isinstance(error, getattr(getattr(rows, "model", None), "DoesNotExist", ())):
            raise Http404 from None
        raise


def _check_parent(request: Any, target: Any, value: Any) -> None:
    model, field = target if isinstance(target, tuple) else (target, "pk")
    path = account_paths.shortest_path(model)
    if path is None:
        raise ImproperlyConfigured(f"scoped_kwargs names {model._meta.label}, which has no foreign key to an account.")
    get_row(scoped(request, model._default_manager.all(), path), field, value)


def _names_row(view: Any, lookup_kwarg: str | None, overrides_get_object: bool) -> bool:
    if lookup_kwarg in view.kwargs and lookup_kwarg not in view.scoped_kwargs:
        return overrides_get_object or _has_queryset(view)
    return overrides_get_object and bool(view.args or undeclared_kwargs(view, set(view.kwargs)))


def _lookup_kwarg(view: Any) -> str | None:
    return getattr(view, "lookup_url_kwarg", None) or getattr(view, "lookup_field", None)


def _has_queryset(view: Any) -> bool:
    if not hasattr(view, "get_object") or not hasattr(view, "get_queryset"):
        return False  # A plain ViewSet may have a queryset for its permissions only.
    return getattr(view, "queryset", None) is not None or not _is_of_drf(getattr(type(view), "get_queryset", None))


def _overrides_get_object(view: Any) -> bool:
    """Return True for a ``get_object()`` of the project that can be called without arguments."""
    method = getattr(view, "get_object", None)
    if method is None or _is_of_drf(getattr(type(view), "get_object", None)):
        return False
    try:
        inspect.signature(method).bind()
    except TypeError:
        return False
    return True


def _is_standard(view: Any, handler: Any) -> bool:
    """Return True for the handlers and actions of Django REST framework that call ``get_object()``."""
    if getattr(view, "action_map", None):
        return view.action in STANDARD_ACTIONS and hasattr(view, "get_object")
    return _is_of_drf(handler) and hasattr(view, "get_object")


def _is_of_drf(method: Any) -> bool:
    # functools.wraps() copies the module, so a wrapped method counts as the one inside.
    return method is None or getattr(method, "__module__", "").startswith("rest_framework.")


def _call(get_object: Callable[[], Any]) -> Any:
    try:
        return get_object()
    except (OverflowError, DataError):  # The database cannot hold the value, so no row has it.
        raise Http404 from None


def _reuse(view: Any, row: Any, is_permitted: bool) -> None:
    def get_object(*args: Any, **kwargs: Any) -> Any:
        forget(view)
        if args or kwargs:
            return view.get_object(*args, **kwargs)
        if not is_permitted:
            view.check_object_permissions(view.request, row)
        return row

    view.get_object = get_object


def forget(view: Any) -> None:
    """Let ``get_object()`` look up rows again."""
    view.__dict__.pop("get_object", None)
