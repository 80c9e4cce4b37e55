"""Storage Mode: the owner's setting that lets the service keep, and so serve, account data (rules M1 to M4)."""

from typing import Any

from django.db import transaction

from accounts_app.models import Transaction, User
from finta_keys import conf
from finta_keys.models import ApiKey


def switch_on(owner: User) -> None:
    """Switch Storage Mode on. Nothing else changes."""
    _write(owner, True)


def switch_off(owner: User) -> int:
    """Switch Storage Mode off, delete the owner's stored transactions, and return how many those were.

    Accounts and keys stay.
    """
    with transaction.atomic(using=conf.database()):
        # The owner's row first, as everywhere: a key created meanwhile comes wholly before or wholly after.
        # There may be none any more: then nothing is left to delete either.
        User.objects.select_for_update(no_key=True).filter(pk=owner.pk).first()
        _write(owner, False)
        _, deleted = Transaction.objects.filter(account__owner=owner).delete()
    return deleted.get(Transaction._meta.label, 0)


def switch_on_for_key(key: ApiKey, **kwargs: Any) -> None:
    """Creating a key switches Storage Mode on, in the same transaction (M2)."""
    switch_on(key.owner)


def _write(owner: User, on: bool) -> None:
    User.objects.filter(pk=owner.pk).exclude(storage_mode=on).update(storage_mode=on)
    owner.storage_mode = on
