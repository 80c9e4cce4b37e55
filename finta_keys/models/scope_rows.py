"""Change the rows of a scope."""

from __future__ import annotations

from typing import Any

from finta_keys import owners
from finta_keys.database import batches
from finta_keys.models.scope import KeyAccountScope


def replace(key: Any, accounts: list[Any], shown: list[Any] | None = None) -> tuple[set[Any], set[Any]]:
    """Save these accounts as the scope. Return the primary keys of those added and of those
    removed.

    If ``shown`` is given, keep the accounts that are in neither list.
    """
    selected = set(owners.lock_accounts(key.owner_id, accounts, may_be_empty=shown is not None))
    rows = KeyAccountScope.objects.filter(key=key)
    existing = set(rows.values_list("account_id", flat=True))
    removable = existing if shown is None else existing.intersection(owners.valid_pks(shown))
    for batch in batches(removable - selected):
        rows.filter(account_id__in=batch).delete()
    rows.bulk_create(KeyAccountScope(key=key, account_id=pk) for pk in selected - existing)
    if not selected and not owners.accounts_of(key.owner_id).filter(finta_key_scopes__key=key).exists():
        owners.reject_empty_scope()
    return selected - existing, removable - selected


def clear(key: Any) -> set[Any]:
    """Delete all rows. Return the primary keys of their accounts."""
    rows = KeyAccountScope.objects.filter(key=key)
    removed = set(rows.values_list("account_id", flat=True))
    rows.delete()
    return removed
