"""One-use nonces for the form that creates a key, so that submitting it twice creates one key
(rule K5)."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.db import IntegrityError, models
from django.utils import timezone

from finta_keys import transactions
from finta_keys.database import KeyDatabaseManager
from finta_keys.exceptions import AlreadyDone

if TYPE_CHECKING:
    from finta_keys.models.key import ApiKey

MAX_AGE = timedelta(hours=1)  # of a form
RETENTION = timedelta(days=1)  # of spent nonces; much longer than a form is valid
SALT = "finta_keys.nonces"


def make(owner_pk: Any) -> str:
    """Return a new signed nonce for a form that is shown to this owner."""
    return signing.dumps([str(owner_pk), secrets.token_urlsafe(32)], salt=SALT)


def read(signed: str, owner_pk: Any, *, max_age: timedelta | None = MAX_AGE) -> str:
    """Return the nonce in ``signed``: 43 characters, for ``ApiKey.objects.create_key()``.

    Raise ``signing.BadSignature`` if the signature is wrong or the nonce was made for another
    owner. Raise its subclass ``signing.SignatureExpired`` if the nonce is older than
    ``max_age``.
    """
    owner, nonce = signing.loads(signed, salt=SALT, max_age=max_age)
    if owner != str(owner_pk):
        raise signing.BadSignature("This nonce was made for another user.")
    return str(nonce)


class CreateNonce(models.Model):
    """A spent nonce. It has no foreign key, because it outlives its key: a reload must not
    create the key again."""

    value = models.CharField(max_length=43, primary_key=True)
    key_id = models.UUIDField()
    spent_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = KeyDatabaseManager()

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_spent(cls, value: str) -> bool:
        """Return True if the nonce is spent and will not be purged within the next hour."""
        since = timezone.now() - RETENTION + timedelta(hours=1)
        return cls.objects.filter(value=value, spent_at__gt=since).exists()

    @classmethod
    def spend(cls, value: str, key: ApiKey) -> None:
        """Spend a nonce for this key and purge old nonces. Raise ``AlreadyDone`` if the nonce is
        spent."""
        cls.objects.filter(spent_at__lt=timezone.now() - RETENTION).delete()
        try:
            with transactions.atomic():
                cls.objects.create(value=value, key_id=key.pk)
        except IntegrityError:
            spent = cls.objects.filter(value=value).first()
            if spent is None:  # spent by a concurrent transaction that this one cannot see
                raise
            keys = type(key).objects.filter(pk=spent.key_id, owner_id=key.owner_id)
            raise AlreadyDone(key=keys.first(), at=spent.spent_at) from None
