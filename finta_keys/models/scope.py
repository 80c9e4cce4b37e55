from __future__ import annotations

from django.conf import settings
from django.db import models

from finta_keys import conf
from finta_keys.database import KeyDatabaseManager

# Raises where the setting is missing or no label. This module is imported first of those whose relations read it, which
# would say less.
conf.account_label()


class KeyAccountScope(models.Model):
    """One account in the scope of one restricted key."""

    key = models.ForeignKey("finta_keys.ApiKey", on_delete=models.CASCADE, related_name="scope_rows")
    account = models.ForeignKey(settings.FINTA_KEYS_ACCOUNT_MODEL, on_delete=models.CASCADE, related_name="key_scopes")

    objects = KeyDatabaseManager()

    class Meta:
        base_manager_name = "objects"  # refresh_from_db() reads by it.
        constraints = [models.UniqueConstraint(fields=["key", "account"], name="finta_keys_scope_row_unique")]

    def __str__(self) -> str:
        return f"{self.key_id} sees {self.account_id}"
