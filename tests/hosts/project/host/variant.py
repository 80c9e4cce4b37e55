"""Which of its variants the project is, for the whole process: Django reads settings and models once.

``HOST_KEYS`` says what identifies a shop, an order and a user: ``int`` (with the stock ``auth.User``), ``uuid`` or
``text``. With ``HOST_LOCAL`` it speaks German, has no time zones, puts the pages into a template of its
own, and its paths do not end in a slash.
"""

import os
import uuid
from typing import Any

from django.db import models

KEYS = os.environ.get("HOST_KEYS", "int")
LOCAL = bool(os.environ.get("HOST_LOCAL"))

# Each is a key of its own, and none may be taken for another or for a part of a path, a query, a page or a pattern.
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
    # serialize=False is what Django makes of a primary key, and what makemigrations writes.
    if KEYS == "uuid":
        return models.UUIDField(primary_key=True, default=uuid.uuid4, serialize=False)
    if KEYS == "text":
        return models.CharField(primary_key=True, max_length=400, serialize=False)
    return models.BigAutoField(primary_key=True, serialize=False)


def key(text: str) -> dict[str, str]:
    """Return what a new row is to be made with: the key, where the database makes none by itself."""
    return {"pk": text} if KEYS == "text" else {}


def never_existed() -> list[str]:
    """Return well-formed keys of no row, and malformed ones."""
    return {
        "int": ["987654321", "0", "-1", "9" * 30, "abc", "1.0", "None", " ", "½"],
        "uuid": [str(uuid.uuid4()), "None", "1", "x" * 500, "%"],
        "text": ["no such key", "x" * 401, "NONE", "Koln", "two  words", "a", "%25"],
    }[KEYS]
