"""System checks of the site's settings."""

from collections.abc import Sequence
from typing import Any

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from accounts_app import limiter

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
            f"{name} is not a rate.",
            hint="Write a number, a slash and a unit of time, such as 200/minute or 10/5 minutes. "
            "Separate several rates with ; to apply all of them.",
            id="accounts_app.E001",
        )
        for name in RATES
        if not _is_rate(getattr(settings, name))
    ]


@checks.register(checks.Tags.security)
def check_rate_limit_storage_url(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Report a storage URL that is invalid or names a Redis Cluster, without quoting it: it may
    contain a password."""
    try:
        if "+cluster:" in settings.RATE_LIMIT_STORAGE:
            raise ConfigurationError("Its client connects at once.")
        storage_from_string(settings.RATE_LIMIT_STORAGE)  # This does not connect yet.
    except (ConfigurationError, ValueError):
        return [
            checks.Error(
                "RATE_LIMIT_STORAGE is not a valid storage.",
                hint="Set it to memory:// or to the URL of a Redis or its sentinels, such as redis://host:6379. "
                "Redis Cluster is not supported.",
                id="accounts_app.E004",
            )
        ]
    return []


@checks.register(checks.Tags.security, deploy=True)
def check_rate_limit_storage_is_shared(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Warn if several workers count separately. Their number is known only from
    ``WEB_CONCURRENCY``."""
    workers = limiter.worker_count()
    if workers < 2 or not settings.RATE_LIMIT_STORAGE.startswith("memory:"):
        return []
    return [
        checks.Warning(
            f"WEB_CONCURRENCY is {workers}, and RATE_LIMIT_STORAGE is in memory: each worker counts "
            f"separately, so callers get {workers} times API_RATE_LIMIT and SIGN_IN_LIMIT.",
            hint="Set RATE_LIMIT_STORAGE to a Redis that all workers share, such as redis://localhost:6379/0, "
            "or use one worker with threads.",
            id="accounts_app.W002",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_trusted_proxies(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.TRUSTED_PROXY_COUNT is not None:
        return []
    return [
        checks.Warning(
            "TRUSTED_PROXY_COUNT is not set. Behind a proxy, all clients count as one source, "
            "so failed sign-ins of one user slow down all others.",
            hint="Set it to the number of your own proxies that each request passes through: "
            "0 if clients connect directly, 1 behind one nginx or Caddy.",
            id="accounts_app.W003",
        )
    ]


def _is_rate(text: str) -> bool:
    try:
        limits.parse(text)
    except ValueError:
        return False
    return True
