"""What may be done once: a repeated or stale submit is told, and changes nothing (rule K5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from finta_keys import conf

if TYPE_CHECKING:
    from finta_keys.models.key import ApiKey

NONCE_KEPT = timedelta(days=1)  # Far longer than the hour for which a create form's nonce is accepted.


class AlreadyDone(ValidationError):
    """What was asked was done before, or is out of date.

    ``key`` is the key as it is now, or None where it has been deleted since; ``at`` is when it was done.
    """

    def __init__(self, *, key: ApiKey | None, at: datetime) -> None:
        super().__init__(_("This was already done. Nothing was changed."), code="already_done")
        self.key = key
        self.at = at


class CreateNonce(models.Model):
    """A nonce that a create form has spent. No foreign key: it outlives its key, so that no reload brings one back."""

    value = models.CharField(max_length=43, primary_key=True)
    key_id = models.UUIDField()
    spent_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_spent(cls, value: str) -> bool:
        """Tell whether a nonce was spent, and not so long ago that ``spend()`` may forget it at any moment."""
        since = timezone.now() - NONCE_KEPT + timedelta(hours=1)
        return cls.objects.using(conf.database()).filter(value=value, spent_at__gt=since).exists()

    @classmethod
    def spend(cls, value: str, key: ApiKey) -> None:
        """Spend a nonce for this key. Raises ``AlreadyDone`` where it was spent before."""
        nonces = cls.objects.using(conf.database())
        nonces.filter(spent_at__lt=timezone.now() - NONCE_KEPT).delete()
        try:
            with transaction.atomic(using=conf.database()):
                nonces.create(value=value, key_id=key.pk)
        except IntegrityError:
            spent = nonces.get(value=value)
            made = type(key).objects.using(conf.database()).filter(pk=spent.key_id, owner_id=key.owner_id)
            raise AlreadyDone(key=made.first(), at=spent.spent_at) from None
