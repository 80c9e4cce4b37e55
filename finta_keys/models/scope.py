"""The accounts that a restricted key can access, one row per key and account."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from finta_keys import conf
from finta_keys.database import KeyDatabaseManager

# Raise a clear error for a missing setting. The foreign key below would fail first, with an obscure
# one.
conf.account_label()


class KeyAccountScope(models.Model):
    """One account in the scope of one restricted key."""

    # Without an index of its own: the constraint below begins with the key.
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
