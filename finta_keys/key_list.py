"""Query the list of keys: search, filters, sort order, and the accounts that each row shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import (
    Count,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    prefetch_related_objects,
)
from django.utils import timezone

from finta_keys import attention, conf, names, owners
from finta_keys.account_pages import MAX_SEARCHED, MAX_WORDS, searched_text
from finta_keys.database import key_database
from finta_keys.models import KeyAccountScope

ACCOUNTS_PER_ROW = 10
EXPIRING = timedelta(days=30)
LARGE_SCOPE = 100  # more accounts than this are counted, but not named

ORDERS: dict[str, list[Any]] = {
    "created": ["-created_at", "pk"],
    "last_used": [F("last_used_at").desc(nulls_last=True), "-created_at", "pk"],
    "name": ["name_key", "pk"],
    "expires": [F("expires_at").asc(nulls_last=True), "-created_at", "pk"],
}


def with_scope(keys: QuerySet[Any], owner_pk: Any) -> list[Any]:
    """Return the keys with their ``scoped_count`` and the first of their ``scoped_accounts``.

    Only the owner's accounts count: a scope may still name one that now belongs to another user.
    Large scopes get no ``scoped_accounts``, because finding the first ones sorts them all.
    """
    rows = list(keys)
    count_scopes(rows)
    first = Prefetch("accounts", owners.accounts_of(owner_pk)[:ACCOUNTS_PER_ROW], to_attr="scoped_accounts")
    prefetch_related_objects([key for key in rows if key.scoped_count <= LARGE_SCOPE], first)
    for key in rows:
        if key.scoped_count > LARGE_SCOPE:
            key.scoped_accounts = []
    return rows


def count_scopes(keys: list[Any]) -> None:
    """Set the number of the owner's accounts on each key: ``account_count``, and
    ``scoped_count`` of its scope."""
    owner = conf.owner_field()
    accounts = conf.account_model()._default_manager.using(key_database()).order_by()
    # Not annotations of the keys: SQLite would also count for all keys on earlier pages.
    owned = accounts.filter(**{f"{owner}__in": {key.owner_id for key in keys}})
    totals = dict(owned.values_list(owner).annotate(number=Count("pk")))
    restricted = [key.pk for key in keys if not key.share_all_accounts]
    # Grouped by owner instead of compared with the key's owner: for each scope row, PostgreSQL
    # would read all accounts of the owner.
    scoped = accounts.filter(finta_key_scopes__key__in=restricted)
    numbers = scoped.values_list("finta_key_scopes__key", owner).annotate(number=Count("pk"))
    counts = {(key_pk, owner_pk): number for key_pk, owner_pk, number in numbers}
    for key in keys:
        key.account_count = totals.get(key.owner_id, 0)
        key.scoped_count = counts.get((key.pk, key.owner_id), 0)


def conditions(owner_pk: Any) -> dict[str, Q]:
    """Return the condition of each filter of an owner's list."""
    now = timezone.now()
    return {
        "attention": attention.for_any_reason(owner_pk),
        "unused": attention.unused(),
        "expiring": Q(expires_at__lte=now + EXPIRING),  # or expired
        "read_only": Q(read_only=True),
    }


def filtered(keys: QuerySet[Any], owner_pk: Any, kind: str) -> QuerySet[Any]:
    return keys.filter(conditions(owner_pk)[kind]) if kind else keys


def counts(keys: QuerySet[Any], owner_pk: Any, match: Q) -> tuple[int, dict[str, int]]:
    """Return the number of all keys, and by filter the number of keys that match. The filter ``""``
    matches all."""
    filters = {name: Count("pk", filter=match & condition) for name, condition in conditions(owner_pk).items()}
    numbers = keys.order_by().aggregate(total=Count("pk"), match=Count("pk", filter=match or None), **filters)
    return numbers.pop("total"), {"": numbers.pop("match"), **numbers}


def search(owner_pk: Any, text: str) -> Q:
    """Match keys with every word in their name or accounts, or at the start of their hint."""
    words = list(dict.fromkeys(names.fold(text).split()))[:MAX_WORDS]
    prefix = conf.prefix().lower()
    hints = [word for word in words if word.startswith(prefix)]
    words = [word for word in words if not word.startswith(prefix)]
    match = Q()
    for word in hints:
        match &= Q(hint__istartswith=word.replace("...", "…"))  # fold() has replaced the ellipsis
    accounts = owners.accounts_of(owner_pk).order_by()[:MAX_SEARCHED] if words else ()
    texts = {account.pk: searched_text(account) for account in accounts}
    for word in words:
        match &= Q(name_key__contains=word) | _can_access([pk for pk, text in texts.items() if word in text])
    return match


def can_access(owner_pk: Any, account_pk: str) -> Q:
    """Match keys that can access this account. No key matches an account of another owner."""
    pks = owners.valid_pks([account_pk])
    # Not looked up before: accounts of other owners cost the same queries as missing ones.
    return Q(Exists(owners.accounts_of(owner_pk).filter(pk__in=pks))) & _can_access(pks)


def _can_access(account_pks: list[Any]) -> Q:
    if not account_pks:
        return Q(pk__in=[])
    # Exists() ends at the first account. A list of the keys of all matches took seconds for a
    # common word.
    rows = KeyAccountScope.objects.filter(key=OuterRef("pk"), account_id__in=account_pks)
    return Q(share_all_accounts=True) | Q(Exists(rows))
