"""The response of a handler: what needs scoping, and which rows it shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from traceback import walk_tb
from types import NoneType
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models.manager import BaseManager
from django.http import Http404
from rest_framework import exceptions
from rest_framework.serializers import BaseSerializer

from finta_keys.transactions import is_serialization_failure

RESPONSE_ERRORS = (exceptions.APIException, Http404, PermissionDenied)  # Django REST framework makes responses of them.
EXEMPT_ERRORS = (exceptions.ParseError, exceptions.UnsupportedMediaType, PermissionDenied)
PLAIN_TYPES = frozenset({str, int, float, bool, NoneType, UUID, Decimal, date, datetime})  # They contain no rows.
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


def shown_rows(data: Any, are_limited: Callable[[Any], bool]) -> Iterator[models.Model]:
    """Yield the rows in the data of a response, and those that its serializers have shown.

    Leave out lists and querysets if ``are_limited()`` returns True for them.
    """
    visited: dict[int, Any] = {}
    for rows in _instances(data, are_limited):
        yield from _rows(rows, are_limited, visited)


def _instances(data: Any, are_limited: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the rows, querysets and dataclasses in the data of a response, and the ``instance`` of
    each serializer whose ``data`` is in it. Do not search the fields of serializers."""
    serializer = data if isinstance(data, BaseSerializer) else getattr(data, "serializer", None)
    if serializer is not None:
        yield getattr(serializer, "instance", None)
        values: Iterable[Any] = _added_values(data, serializer)
    elif isinstance(data, (dict, Mapping)):
        values = data.values()
    elif isinstance(data, (models.Model, models.QuerySet)) or is_dataclass(data):
        yield data
        return
    # No other iterables: reading an iterator would empty it.
    elif isinstance(data, (list, Collection)) and not isinstance(data, (str, bytes)) and not are_limited(data):
        values = data
    else:
        return
    for value in values:
        if type(value) not in PLAIN_TYPES:
            yield from _instances(value, are_limited)


def _added_values(data: Any, serializer: Any) -> Iterable[Any]:
    """Return the values in the ``data`` of a serializer that are not those of its fields."""
    if isinstance(data, list):
        names = set(getattr(getattr(serializer, "child", None), "fields", ()))
        added = [item[name] for item in data if type(item) is dict for name in item.keys() - names]
        return added + [value for value in data if type(value) is not dict]
    if isinstance(data, dict):
        return [data[name] for name in data.keys() - set(getattr(serializer, "fields", ()))]
    return ()


def _rows(rows: Any, are_limited: Callable[[Any], bool], visited: dict[int, Any]) -> Iterator[models.Model]:
    """Yield the rows in the ``instance`` of a serializer: a row, or an iterable, a mapping or a
    dataclass of rows.

    ``visited`` has the dataclasses that were read, by id: they may refer to each other.
    """
    if isinstance(rows, models.Model):
        yield rows
        return
    if isinstance(rows, BaseManager):
        rows = rows.all()
    elif is_dataclass(rows) and id(rows) not in visited:
        visited[id(rows)] = rows  # The object too: Python reuses the id of a freed one.
        rows = {field.name: getattr(rows, field.name, None) for field in fields(rows)}
    if isinstance(rows, Mapping):
        for value in rows.values():
            # A queryset that was not evaluated was not shown.
            if getattr(value, "_result_cache", ()) is not None:
                yield from _rows(value, are_limited, visited)
    elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Iterator)) and not are_limited(rows):
        for row in rows:
            if type(row) not in PLAIN_TYPES:
                yield from _rows(row, are_limited, visited)


def saved_row(data: Any) -> models.Model | None:
    """Return the row that a serializer returned from ``save()``, if the response is that
    serializer's ``data``."""
    serializer = getattr(data, "serializer", None)
    row = getattr(serializer, "instance", None)
    return row if hasattr(serializer, "initial_data") and isinstance(row, models.Model) else None


def _is_validation_by_library(error: Exception) -> bool:
    """Return True for a ``ValidationError`` that Django REST framework, django-filter or this app
    raised, such as in ``is_valid(raise_exception=True)``, or that a serializer raised in
    ``create()`` or ``update()``."""
    if not isinstance(error, exceptions.ValidationError):
        return False
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    package = modules[-1].partition(".")[0]
    return package in ("rest_framework", "django_filters", "finta_keys") or "rest_framework.serializers" in modules


def is_conflict(error: Exception) -> bool:
    """Return True for a database error if the same request may succeed when it is sent again."""
    return is_serialization_failure(error) or "database is locked" in str(error)
