"""Look up the rows that a URL names, before the handler runs (rule S7.4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db import DataError, models
from django.http import Http404
from rest_framework import generics
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import override_method

from finta_keys import account_paths, pk_lookup, scope_rows
from finta_keys.callers import is_unlimited, limited, owner_pk, scoped
from finta_keys.relations import is_shared, limited_choices
from finta_keys.request_state import state_of
from finta_keys.responses import RowOutsideScope
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
    if is_marked(view, handler):
        return
    # As before a handler, which a hidden row reaches if the permission lets it pass: with the same queries.
    with nullcontext() if request.method in SAFE_METHODS else atomic():
        check(view, request, handler, can_reuse=True)
    forget(view)


# raised by a project's own look-up for missing and malformed values
NOT_FOUND = (Http404, ObjectDoesNotExist, ValueError, ValidationError, OverflowError, DataError)


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
    # get_object() has to run if a filter backend may exclude the row.
    is_async = inspect.iscoroutinefunction(getattr(view, "get_object", None))
    if can_reuse and not is_async and (is_permitted or not view.filter_backends):
        _reuse(view, row, is_permitted)
    return row


def wrapped_get_object(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Check the result of a project's ``get_object()``. That of Django REST framework gets the row by kept SQL."""
    return _with_kept_sql(get_object) if get_object is generics.GenericAPIView.get_object else checked(get_object)


def _with_kept_sql(get_object: Callable[..., Any]) -> Callable[..., Any]:
    def get(view: Any) -> Any:
        name = view.lookup_url_kwarg or "pk"
        if view.lookup_field != "pk" or name not in view.kwargs:
            return get_object(view)
        row = _get_object_or_404(view.filter_queryset(view.get_queryset()), view.kwargs[name])
        view.check_object_permissions(view.request, row)
        return row

    return get


def _get_object_or_404(rows: Any, pk: Any) -> Any:
    """Like the function of Django REST framework, which calls ``rows.get(pk=pk)``."""
    if not pk_lookup.is_sealed(rows):
        return generics.get_object_or_404(rows, pk=pk)
    try:
        return pk_lookup.get(rows, pk)
    except (rows.model.DoesNotExist, TypeError, ValueError, ValidationError):
        raise Http404 from None


def checked(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the ``get_object()`` of a project. A row that its caller may not access is missing."""
    if inspect.iscoroutinefunction(get_object):

        async def get_checked_object_async(view: Any, *args: Any, **kwargs: Any) -> Any:
            with _Check(view) as check:
                row = await get_object(view, *args, **kwargs)
            await sync_to_async(check.require_accessible)(row)
            return row

        return get_checked_object_async

    def get_checked_object(view: Any, *args: Any, **kwargs: Any) -> Any:
        with _Check(view) as check:
            row = get_object(view, *args, **kwargs)
        check.require_accessible(row)
        return row

    return get_checked_object


class _Check:
    """The check of the result of ``get_object()``, unless a subclass that calls ``super()`` makes it."""

    def __init__(self, view: Any) -> None:
        self.view, self.request = view, getattr(view, "request", None)
        guard = state_of(self.request).guard if self.request else None
        self.is_needed = (
            self.request is not None
            and "_in_get_object" not in view.__dict__
            and not (guard is not None and guard.is_marked)
            and not is_unlimited(self.request, view)
        )

    def __enter__(self) -> _Check:
        if self.is_needed:
            self.view._in_get_object = True
            self.count = state_of(self.request).scoped_count
        return self

    def __exit__(self, error_type: type[BaseException] | None, *exc_info: object) -> None:
        """Raise ``Http404`` for the errors of a look-up that finds no row."""
        if not self.is_needed:
            return
        del self.view._in_get_object
        if error_type is not None and issubclass(error_type, NOT_FOUND):
            state_of(self.request).scoped_count += 1  # A hidden row gets the same response.
            raise Http404 from None

    def require_accessible(self, row: Any) -> None:
        """Raise ``Http404`` for a row that the caller may not access.

        Raises ``ImproperlyConfigured`` for anything else than a row, such as a dict of ``values()``, unless
        ``get_object()`` has limited the rows it comes from.
        """
        if not self.is_needed or row is None:
            return
        if isinstance(row, models.Model):
            if not row._state.adding and not self._may_access(row):
                raise RowOutsideScope
        elif state_of(self.request).scoped_count == self.count:
            cls = type(self.view)
            raise ImproperlyConfigured(
                f"get_object() of {cls.__module__}.{cls.__qualname__} returned a {type(row).__name__}, which cannot be "
                "checked. Return a model instance, or look it up in self.get_queryset() or self.scoped(queryset)."
            )

    def _may_access(self, row: models.Model) -> bool:
        model: Any = row._meta.model  # row.__class__ of a lazy object such as request.user
        path = self.view.account_path
        if scope_rows.has_paths(model):
            paths = (path,) if account_paths.leads_to_account(model, path) else None
            state_of(self.request).scoped_count += 1
            return not scope_rows.outside(partial(limited, self.request), model, {row.pk}, paths)
        if isinstance(row, get_user_model()):
            return bool(row.pk == owner_pk(self.request))
        if is_shared(model) or not account_paths.paths_to_user(model):
            return True
        return limited_choices(self.request, model._base_manager.filter(pk=row.pk)).exists()


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
        if field == "pk" and pk_lookup.is_sealed(rows):
            return pk_lookup.get(rows, value)
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
    rows = scoped(request, model._default_manager.all(), path)
    try:
        has_row = rows.filter(**{field: value}).exists()  # Several rows may have the value.
    except NO_ROW:
        has_row = False
    if not has_row:
        raise Http404


def _names_row(view: Any, lookup_kwarg: str | None, overrides_get_object: bool) -> bool:
    if lookup_kwarg in view.kwargs and lookup_kwarg not in view.scoped_kwargs:
        return overrides_get_object or _has_queryset(view)
    return overrides_get_object and bool(view.args or undeclared_kwargs(view, set(view.kwargs)))


def _lookup_kwarg(view: Any) -> str | None:
    return getattr(view, "lookup_url_kwarg", None) or getattr(view, "lookup_field", None)


def _has_queryset(view: Any) -> bool:
    if not hasattr(view, "get_object") or not hasattr(view, "get_queryset"):
        return False  # A plain ViewSet may have a queryset for its permissions only.
    return getattr(view, "queryset", None) is not None or not is_of_drf(getattr(type(view), "get_queryset", None))


def _overrides_get_object(view: Any) -> bool:
    """Return True for a ``get_object()`` of the project that can be called without arguments."""
    method = getattr(view, "get_object", None)
    if method is None or is_of_drf(getattr(type(view), "get_object", None)):
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
    return is_of_drf(handler) and hasattr(view, "get_object")


def is_of_drf(method: Any) -> bool:
    """Return True for a method of Django REST framework."""
    # functools.wraps() copies the module, so a wrapped method counts as the one inside.
    return method is None or getattr(method, "__module__", "").startswith("rest_framework.")


def _call(get_object: Callable[[], Any]) -> Any:
    if inspect.iscoroutinefunction(get_object):
        get_object = async_to_sync(get_object)
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
