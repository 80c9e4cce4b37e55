"""System checks of the site's own settings."""

from collections.abc import Sequence
from typing import Any

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security)
def check_rate_limits(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(
            f"{name} is {getattr(settings, name)!r}, which is no rate.",
            hint="Write a number, a slash and a unit of time, such as 200/minute or 10/5 minutes.",
            id="accounts_app.E001",
        )
        for name in ("API_RATE_LIMIT", "SIGN_IN_LIMIT")
        if not _is_rate(getattr(settings, name))
    ]


def _is_rate(text: str) -> bool:
    try:
        limits.parse(text)
    except ValueError:
        return False
    return True
