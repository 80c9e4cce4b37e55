"""The response of a handler: what needs scoping, and which rows it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from traceback import walk_tb
from types import NoneType
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404
from rest_framework import exceptions

from finta_keys.transactions import is_serialization_failure

RESPONSE_ERRORS = (exceptions.APIException, Http404, PermissionDenied)  # Django REST framework makes responses of them.
EXEMPT_ERRORS = (exceptions.ParseError, exceptions.UnsupportedMediaType, PermissionDenied)
VALUES = (str, int, float, NoneType, UUID, Decimal, date)  # in a response; they contain no rows
EXEMPT_STATUSES = frozenset({401, 403, 405, 429})


class RowOutsideScope(Http404):
    """A row that the key may not access was read or saved."""


class Conflict(exceptions.APIException):
    """Another request changed the same rows at the same time. Nothing was changed; the caller
    may repeat it."""

    status_code = 503
    default_detail = "The request conflicts with another one. Nothing was changed. Send it again."
    default_code = "conflict"
    wait = 1  # seconds, as Retry-After


def is_exempt_error(error: Exception) -> bool:
    """Return True if a handler may raise this exception without scoping anything: it shows no
    rows."""
    return (
        isinstance(error, (RowOutsideScope, *EXEMPT_ERRORS))
        or getattr(error, "status_code", None) in EXEMPT_STATUSES
        or _is_validation_by_library(error)
    )


def serialized_rows(data: Any, *, with_lists: bool) -> Iterator[models.Model]:
    """Yield the rows that serializers in a response have shown."""
    serializer = getattr(data, "serializer", None)
    if serializer is not None:
        instance = getattr(serializer, "instance", None)
        if isinstance(instance, models.Model):
            yield instance
        elif with_lists and isinstance(instance, Iterable):
            yield from (row for row in instance if isinstance(row, models.Model))
    elif isinstance(data, list) and data and hasattr(data[0], "serializer"):
        for item in data:
            yield from serialized_rows(item, with_lists=with_lists)
    elif isinstance(data, dict):
        for value in data.values():
            if not isinstance(value, VALUES):
                yield from serialized_rows(value, with_lists=with_lists)


def saved_row(data: Any) -> models.Model | None:
    """Return the row that a serializer returned from ``save()``, if the response is that
    serializer's ``data``."""
    serializer = getattr(data, "serializer", None)
    row = getattr(serializer, "instance", None)
    return row if hasattr(serializer, "initial_data") and isinstance(row, models.Model) else None


def _is_validation_by_library(error: Exception) -> bool:
    """Return True for a ``ValidationError`` that Django REST framework or django-filter raised,
    such as by ``is_valid(raise_exception=True)``, or that a serializer raised in ``create()`` or
    ``update()``."""
    if not isinstance(error, exceptions.ValidationError):
        return False
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    is_by_library = modules and modules[-1].partition(".")[0] in ("rest_framework", "django_filters", "finta_keys")
    return bool(is_by_library) or "rest_framework.serializers" in modules


def is_conflict(error: Exception) -> bool:
    """Return True for a database error if the same request may succeed when it is sent again."""
    return is_serialization_failure(error) or "database is locked" in str(error)
