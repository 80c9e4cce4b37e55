"""The accounts that a restricted key can access, one row per key and account."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from finta_keys import conf
from finta_keys.database import KeyDatabaseManager

# Raise a clear error if the setting is missing. The foreign key below would raise an obscure one.
conf.account_label()


class KeyAccountScope(models.Model):
    """One account in the scope of one restricted key."""

    # No index of its own: the index of the unique constraint on (key, account) serves it.
    key = models.ForeignKey("finta_keys.ApiKey", on_delete=models.CASCADE, related_name="scope_rows", db_index=False)
    account = models.ForeignKey(
        settings.FINTA_KEYS_ACCOUNT_MODEL, on_delete=models.CASCADE, related_name="finta_key_scopes"
    )

    objects = KeyDatabaseManager()

    class Meta:
        base_manager_name = "objects"  # for refresh_from_db()
        constraints = [models.UniqueConstraint(fields=["key", "account"], name="finta_keys_scope_row_unique")]

    def __str__(self) -> str:
        return f"{self.key_id} can access {self.account_id}"
