"""Storage Mode: the owner's setting that lets the service store and serve account data (rules M1 to
M4)."""

from typing import Any

from django.db import transaction

from accounts_app.models import Transaction, User
from finta_keys import standby
from finta_keys.database import key_database
from finta_keys.models import ApiKey


def switch_on(owner: User) -> None:
    _save(owner, True)


def switch_off(owner: User) -> int:
    """Switch Storage Mode off and delete the owner's transactions. Return the number deleted.

    Accounts and keys stay.
    """
    with transaction.atomic(using=key_database()):
        # Locks the owner first (T2), so a key created at the same time comes before or after all of
        # this. If the owner has been deleted, there is nothing to lock or delete.
        User.objects.select_for_update(no_key=True).filter(pk=owner.pk).first()
        _save(owner, False)
        standby.confirm_change()
        _, deleted = Transaction.objects.filter(account__owner=owner).delete()
    return deleted.get(Transaction._meta.label, 0)


def switch_on_for_key(key: ApiKey, **kwargs: Any) -> None:
    """Switch Storage Mode on in the transaction that creates a key (M2)."""
    switch_on(key.owner)


def _save(owner: User, is_on: bool) -> None:
    User.objects.filter(pk=owner.pk).exclude(storage_mode=is_on).update(storage_mode=is_on)
    owner.storage_mode = is_on
