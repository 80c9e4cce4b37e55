"""Check the row that ``get_object()`` of a view returns (rule S7.4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db import models
from django.http import Http404
from rest_framework import generics

from finta_keys import account_paths, pk_lookup, scope_queries
from finta_keys.callers import is_unlimited, limited, owner_pk
from finta_keys.database import INVALID_VALUE_ERRORS
from finta_keys.relations import is_shared, limited_choices
from finta_keys.request_state import current_guard, state_of
from finta_keys.responses import RowOutsideScope

NOT_FOUND_ERRORS = (Http404, ObjectDoesNotExist, *INVALID_VALUE_ERRORS)  # raised by a project's own lookup


def wrap_get_object(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Check the result of a project's ``get_object()``. That of Django REST framework looks up
    limited rows."""
    if get_object is generics.GenericAPIView.get_object:
        return _with_compiled_query(get_object)
    return _with_check_async(get_object) if inspect.iscoroutinefunction(get_object) else _with_check(get_object)


def _with_compiled_query(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same as ``GenericAPIView.get_object()``, but look up the row by ``pk_lookup``."""

    def get_object_by_pk(view: Any) -> Any:
        name = view.lookup_url_kwarg or "pk"
        if view.lookup_field != "pk" or name not in view.kwargs:
            return get_object(view)
        rows, pk = view.filter_queryset(view.get_queryset()), view.kwargs[name]
        row = _get_sealed_row(rows, pk) if pk_lookup.may_be_sealed(rows) else generics.get_object_or_404(rows, pk=pk)
        view.check_object_permissions(view.request, row)
        return row

    return get_object_by_pk


def _get_sealed_row(rows: Any, pk: Any) -> Any:
    try:
        return pk_lookup.get(rows, pk)
    except (rows.model.DoesNotExist, TypeError, ValueError, ValidationError):  # as in get_object_or_404()
        raise Http404 from None


def _with_check(get_object: Callable[..., Any]) -> Callable[..., Any]:
    def get_checked_object(view: Any, *args: Any, **kwargs: Any) -> Any:
        with _ObjectCheck(view) as check:
            row = get_object(view, *args, **kwargs)
        check.require_accessible(row)
        return row

    return get_checked_object


def _with_check_async(get_object: Callable[..., Any]) -> Callable[..., Any]:
    async def get_checked_object(view: Any, *args: Any, **kwargs: Any) -> Any:
        with _ObjectCheck(view) as check:
            row = await get_object(view, *args, **kwargs)
        await sync_to_async(check.require_accessible)(row)
        return row

    return get_checked_object


class _ObjectCheck:
    """The check of the result of ``get_object()``. A row that the caller may not access is missing.

    The ``get_object()`` of a subclass is checked, and not the one that it calls by ``super()``.
    """

    def __init__(self, view: Any) -> None:
        self.view, self.request = view, getattr(view, "request", None)
        guard = current_guard.get()
        self.is_needed = (
            self.request is not None
            and "_in_get_object" not in view.__dict__
            and not (guard is not None and guard.is_unscoped and guard.state is state_of(self.request))
            and not is_unlimited(self.request, view)
        )

    def __enter__(self) -> _ObjectCheck:
        if self.is_needed:
            self.view._in_get_object = True
            self.scoped_before = state_of(self.request).scoped_count
        return self

    def __exit__(self, error_type: type[BaseException] | None, *exc_info: object) -> None:
        """Raise ``Http404`` for the errors of a lookup that finds no row."""
        if not self.is_needed:
            return
        del self.view._in_get_object
        if error_type is not None and issubclass(error_type, NOT_FOUND_ERRORS):
            state_of(self.request).scoped_count += 1  # A hidden row gets the same response.
            raise Http404 from None

    def require_accessible(self, row: Any) -> None:
        """Raise ``Http404`` for a row that the caller may not access.

        Raises ``ImproperlyConfigured`` for anything else than a row, such as a dict of
        ``values()``, unless ``get_object()`` has limited the rows it comes from.
        """
        if not self.is_needed or row is None:
            return
        if isinstance(row, models.Model):
            if not row._state.adding and not self._may_access(row):
                raise RowOutsideScope
        elif state_of(self.request).scoped_count == self.scoped_before:
            view_class = type(self.view)
            raise ImproperlyConfigured(
                f"get_object() of {view_class.__module__}.{view_class.__qualname__} returned a {type(row).__name__}, "
                "which cannot be checked. Return a model instance, or look it up in self.get_queryset() or "
                "self.scoped(queryset)."
            )

    def _may_access(self, row: models.Model) -> bool:
        model: Any = row._meta.model  # row.__class__ of a lazy object such as request.user
        if scope_queries.belongs_to_account(model):
            state_of(self.request).scoped_count += 1
            paths = scope_queries.view_paths(self.view, model)
            return not scope_queries.values_outside(partial(limited, self.request), model, {row.pk}, paths)
        if isinstance(row, get_user_model()):
            return bool(row.pk == owner_pk(self.request))
        if is_shared(model) or not account_paths.paths_to_user(model):
            return True
        return limited_choices(self.request, model._base_manager.filter(pk=row.pk)).exists()
