"""How often a key was used, per day (rule H2).

These rows have no foreign keys: they outlive the key and the account, until ``prunekeys`` deletes
them. Days are those of UTC.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from finta_keys.database import KeyDatabaseManager


class KeyUsage(models.Model):
    """The requests by one key on one day from one network and kind of program."""

    key_id = models.UUIDField()
    day = models.DateField()
    source = models.CharField(max_length=64)
    agent = models.CharField(max_length=40)
    requests = models.PositiveBigIntegerField()
    reads = models.PositiveBigIntegerField()
    writes = models.PositiveBigIntegerField()
    refused = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    objects: Any = KeyDatabaseManager()

    class Meta:
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["key_id", "day", "source", "agent"], name="finta_keys_key_usage_unique")
        ]
        indexes = [models.Index(fields=["day"], name="finta_keys_key_usage_day")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.day} {self.source}"


class AccountUsage(models.Model):
    """The responses to one key on one day that showed one account."""

    key_id = models.UUIDField()
    account_id = models.CharField(max_length=255)  # the primary key of an account, as text
    day = models.DateField()
    responses = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    objects: Any = KeyDatabaseManager()

    class Meta:
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["key_id", "account_id", "day"], name="finta_keys_account_usage_unique")
        ]
        indexes = [models.Index(fields=["day"], name="finta_keys_account_usage_day")]

    def __str__(self) -> str:
        return f"{self.key_id} showed {self.account_id} on {self.day}"
