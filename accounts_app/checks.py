"""System checks of the site's own settings."""

from collections.abc import Sequence
from typing import Any

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security)
def check_rate_limit(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    try:
        limits.parse(settings.API_RATE_LIMIT)
    except ValueError:
        return [
            checks.Error(
                f"API_RATE_LIMIT is {settings.API_RATE_LIMIT!r}, which is no rate.",
                hint="Write a number, a slash and a unit of time, such as 200/minute or 10/second.",
                id="accounts_app.E001",
            )
        ]
    return []
