"""The variant of the project for this process: Django reads settings and models once.

``HOST_KEYS`` is the type of primary keys: ``int`` (with the stock ``auth.User``), ``uuid`` or ``text``. With
``HOST_LOCAL`` the project is in German, without time zones, with its own base template, and without trailing slashes.
"""

import os
import uuid
from typing import Any

from django.db import models

KEYS = os.environ.get("HOST_KEYS", "int")
LOCAL = bool(os.environ.get("HOST_LOCAL"))

# Distinct primary keys that must not be confused with each other or with parts of a path, query, page or pattern.
ODD = (
    "two words",
    "a/b",
    "a%2Fb",
    "100 %",
    "Köln",
    """it's "quoted" <b>&amp;""",
    "None",
    "..",
    "?q=1&r=2#3",
    "x" * 400,
    "a,b;c_2C",
    "1",
    " leading and trailing ",
)


def key_field() -> "models.Field[Any, Any]":
    # Django sets serialize=False for primary keys, and makemigrations writes it.
    if KEYS == "uuid":
        return models.UUIDField(primary_key=True, default=uuid.uuid4, serialize=False)
    if KEYS == "text":
        return models.CharField(primary_key=True, max_length=400, serialize=False)
    return models.BigAutoField(primary_key=True, serialize=False)


def key(text: str) -> dict[str, str]:
    """Return the primary key argument for a new row, if the database does not generate it."""
    return {"pk": text} if KEYS == "text" else {}


def never_existed() -> list[str]:
    """Return primary keys that match no row, and malformed ones."""
    return {
        "int": ["987654321", "0", "-1", "9" * 30, "abc", "1.0", "None", " ", "½"],
        "uuid": [str(uuid.uuid4()), "None", "1", "x" * 500, "%"],
        "text": ["no such key", "x" * 401, "NONE", "Koln", "two  words", "a", "%25"],
    }[KEYS]
