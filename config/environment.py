"""Values of the environment or of ``.env``.

One that cannot be used stops the start with a sentence that says what to write instead, and quotes
nothing that may be secret.
"""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
env.read_env(Path(__file__).resolve().parent.parent / ".env")

ON = ("true", "1", "yes", "y", "on", "ok")
OFF = ("false", "0", "no", "n", "off", "")


def flag(name: str) -> bool:
    """Return whether something is switched on; it is not where nothing is said."""
    value = env.str(name, default="").strip()
    if value.lower() in ON + OFF:
        return value.lower() in ON
    raise ImproperlyConfigured(f"{name} is {value!r}. Set it to true or false.")


def peppers(name: str) -> list[str]:
    found = [text for part in env.list(name) if (text := part.strip())]
    if found and all(re.fullmatch("[0-9A-Fa-f]{64}", pepper) for pepper in found):
        return found
    raise ImproperlyConfigured(
        f"{name} has to be peppers of 64 hex digits each, with commas between them. "
        "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
    )


def database(name: str) -> dict[str, Any]:
    return _url(name, env.db, "postgres://user:password@host/name", engine="ENGINE")


def mail(name: str, default: str) -> dict[str, Any]:
    return _url(name, env.email, "smtp+tls://user:password@host:587", engine="EMAIL_BACKEND", default=default)


def _url(name: str, read: Callable[..., Any], example: str, *, engine: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # A warning of what cannot be read would quote the password in it.
    with suppress(ImproperlyConfigured, ValueError), warnings.catch_warnings(action="ignore"):
        found = read(name, **options)
    # Else a scheme that is not known stands there, as if it were a module.
    if "." in found.get(engine, ""):
        return found
    raise ImproperlyConfigured(f"{name} cannot be read. Write it like {example}.")
