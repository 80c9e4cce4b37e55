"""The database that holds keys, scope rows, nonces and accounts."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from django.apps import apps
from django.db import models, router

M = TypeVar("M", bound=models.Model)


def key_database() -> str:
    """Return the alias of the database that keys are written to.

    Keys and the rows they can access are read from it too. A replica may lag behind a change (rule K4).
    """
    return router.db_for_write(_key_model())


@cache
def _key_model() -> type[models.Model]:
    return apps.get_model("finta_keys", "ApiKey")  # The module of ApiKey imports this one.


class KeyDatabaseManager(models.Manager[M]):
    """Read from the database that keys are written to, whatever the router says about reads.

    Related managers and prefetches are built on this class, so they do the same. Only an explicit
    ``using()`` or ``db_manager()`` chooses another database.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().using(self._db or key_database())
