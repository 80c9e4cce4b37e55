"""Secrets that a key had before it was rotated or deleted (rule H3)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy

from finta_keys import names, secret
from finta_keys.database import KeyDatabaseManager


class RetiredSecretQuerySet(models.QuerySet["RetiredSecret"]):
    def keep(self, retired: list[RetiredSecret]) -> None:
        """Insert these rows. A digest that has a row already keeps it unchanged."""
        self.bulk_create(retired, ignore_conflicts=True)

    def forget_user(self, user_pk: Any) -> None:
        """Remove the names of the keys of a deleted owner. The digests stay invalid."""
        self.filter(owner_pk=str(user_pk)).update(key_name="")


class RetiredSecret(models.Model):
    """The digest of a secret that no longer works. It has no foreign keys, because it outlives the
    key and the owner."""

    class Reason(models.TextChoices):
        ROTATED = "rotated", gettext_lazy("Rotated")
        DELETED = "deleted", gettext_lazy("Deleted")

    digest = models.BinaryField(max_length=secret.DIGEST_LENGTH, unique=True, editable=False)
    hint = models.CharField(gettext_lazy("hint"), max_length=64)
    key_id = models.UUIDField(gettext_lazy("key id"), db_index=True)
    key_name = models.CharField(gettext_lazy("key"), max_length=names.MAX_LENGTH, blank=True)
    owner_pk = models.CharField(gettext_lazy("owner"), max_length=255)
    reason = models.CharField(gettext_lazy("reason"), max_length=10, choices=Reason)
    retired_at = models.DateTimeField(gettext_lazy("retired at"), default=timezone.now, db_index=True)
    tries = models.PositiveBigIntegerField(gettext_lazy("tries"), default=0)
    last_tried_at = models.DateTimeField(gettext_lazy("last tried at"), null=True)
    last_network = models.CharField(gettext_lazy("last network"), max_length=50, blank=True)
    last_agent = models.CharField(gettext_lazy("last program"), max_length=50, blank=True)

    objects: ClassVar[Any] = KeyDatabaseManager.from_queryset(RetiredSecretQuerySet)()

    class Meta:
        verbose_name = gettext_lazy("retired secret")
        verbose_name_plural = gettext_lazy("retired secrets")
        ordering = ["-retired_at", "-pk"]
        base_manager_name = "objects"
        # db_index=True would create a second index on PostgreSQL, for LIKE.
        indexes = [models.Index(fields=["owner_pk"], name="finta_keys_retired_of_owner")]
        constraints = [
            models.CheckConstraint(
                condition=Exact(Length("digest"), secret.DIGEST_LENGTH), name="finta_keys_retired_digest_is_32_bytes"
            ),
        ]

    def __str__(self) -> str:
        return self.hint

    @classmethod
    def of(cls, key: Any, reason: str) -> RetiredSecret:
        """Return a row, not saved, for the current secret of a key that is about to be rotated or
        deleted."""
        return cls(
            digest=key.digest,
            hint=key.hint,
            key_id=key.pk,
            key_name=key.name,
            owner_pk=str(key.owner_id),
            reason=reason,
        )
