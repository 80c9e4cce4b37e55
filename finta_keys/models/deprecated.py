"""Old names of methods of a key, kept for one release."""

from __future__ import annotations

from typing import Any

from django.db import models

from finta_keys.deprecation import warn_renamed


class DeprecatedMethods:
    scoped: Any
    add_to_scope: Any

    def narrow(self, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
        """Deprecated: use ``scoped()``."""
        warn_renamed("ApiKey.narrow()", "ApiKey.scoped()")
        return self.scoped(queryset, path)  # type: ignore[no-any-return]

    def admit(self, account: models.Model) -> None:
        """Deprecated: use ``add_to_scope()``."""
        warn_renamed("ApiKey.admit()", "ApiKey.add_to_scope()")
        self.add_to_scope(account)
