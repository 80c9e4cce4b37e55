"""The database that holds keys, scope rows, nonces and accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DataError, models, router

M = TypeVar("M", bound=models.Model)

# raised by a lookup for values that its field cannot have
INVALID_VALUE_ERRORS = (ValueError, ValidationError, OverflowError, DataError)
BATCH = 500


def key_database() -> str:
    """Return the alias of the database that keys are written to.

    Keys and the rows they can access are read from it too, because a replica may lag behind a
    change (rule K4).
    """
    return router.db_for_write(key_model())


def batches(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the values in lists that fit into one query: databases limit its parameters."""
    values = list(values)
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


@cache
def key_model() -> Any:
    """Return the class ``ApiKey``, for modules that ``ApiKey`` itself imports."""
    return apps.get_model("finta_keys", "ApiKey")


class KeyDatabaseManager(models.Manager[M]):
    """Reads from the database that keys are written to, even if the router sends reads elsewhere.

    Related managers and prefetches are built on this class, so they do the same. Only an explicit
    ``using()`` or ``db_manager()`` selects another database.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().using(self._db or key_database())
