"""System checks of the site's own settings."""

import os
from collections.abc import Sequence
from typing import Any

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

RATES = (
    "API_RATE_LIMIT",
    "SIGN_IN_LIMIT",
    "SIGN_IN_SOURCE_LIMIT",
    "PASSWORD_RESET_LIMIT",
    "PASSWORD_RESET_SOURCE_LIMIT",
)


@checks.register(checks.Tags.security)
def check_rate_limits(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(
            f"{name} is {getattr(settings, name)!r}, which is no rate.",
            hint="Write a number, a slash and a unit of time, such as 200/minute or 10/5 minutes; "
            "several with ; between them hold all at once.",
            id="accounts_app.E001",
        )
        for name in RATES
        if not _is_rate(getattr(settings, name))
    ]


@checks.register(checks.Tags.security)
def check_kind_of_storage(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """With a storage that cannot be built, every request that is counted would fail. Its URL may hold a password."""
    try:
        storage_from_string(settings.RATE_LIMIT_STORAGE)  # It connects to nothing yet.
    except (ConfigurationError, ValueError):
        return [
            checks.Error(
                "RATE_LIMIT_STORAGE cannot be used.",
                hint="Set it to memory:// or to a Redis, such as redis://host:6379.",
                id="accounts_app.E004",
            )
        ]
    return []


@checks.register(checks.Tags.security, deploy=True)
def check_rate_limit_storage(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Several workers that count for themselves let through several times the limit. How many there will be is known
    only where gunicorn is told by the environment."""
    workers = os.environ.get("WEB_CONCURRENCY", "").strip()
    if not (workers.isdecimal() and int(workers) > 1 and settings.RATE_LIMIT_STORAGE.startswith("memory:")):
        return []
    return [
        checks.Warning(
            f"WEB_CONCURRENCY asks for {int(workers)} workers, and with RATE_LIMIT_STORAGE in memory "
            "each counts for itself: callers get that many times API_RATE_LIMIT and SIGN_IN_LIMIT.",
            hint="Set RATE_LIMIT_STORAGE to a Redis that all workers share, such as redis://localhost:6379/0, or "
            "WEB_CONCURRENCY to 1 and let threads do the work.",
            id="accounts_app.W002",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_trusted_proxies(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Behind a proxy that nobody has told of, all clients have its address and are limited as one."""
    if settings.TRUSTED_PROXY_COUNT is not None:
        return []
    return [
        checks.Warning(
            "TRUSTED_PROXY_COUNT is not set: behind a proxy all who sign in are one source, and slow each other down.",
            hint="Set it to how many proxies of yours each request comes through: 0 where clients connect directly, 1 "
            "behind one nginx or Caddy.",
            id="accounts_app.W003",
        )
    ]


def _is_rate(text: str) -> bool:
    try:
        limits.parse(text)
    except ValueError:
        return False
    return True
