"""Query the list of keys: search, sort order, and the accounts that each row shows."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    Count,
    F,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    prefetch_related_objects,
)
from django.db.models.functions import Coalesce

from finta_keys import conf, names, owners
from finta_keys.models import KeyAccountScope

ACCOUNTS_PER_ROW = 10
LARGE_SCOPE = 100  # more accounts than this are counted, but not named
MAX_WORDS = 10
MAX_MATCHES = 10_000  # accounts per word, because databases limit the parameters of a query

ORDERS: dict[str, list[Any]] = {
    "created": ["-created_at", "pk"],
    "last_used": [F("last_used_at").desc(nulls_last=True), "-created_at", "pk"],
    "name": ["name_key", "pk"],
}


def with_scope(keys: QuerySet[Any], owner_pk: Any) -> list[Any]:
    """Return the keys with their ``scoped_count`` and the first of their ``scoped_accounts``.

    Only the owner's accounts count: a scope may still name one that now belongs to another user.
    Large scopes get no ``scoped_accounts``, because finding the first ones sorts them all.
    """
    accounts = owners.accounts_of(owner_pk)
    count = count_accounts(accounts.filter(finta_key_scopes__key=OuterRef("pk")))
    rows = list(keys.annotate(scoped_count=count))
    first = Prefetch("accounts", accounts[:ACCOUNTS_PER_ROW], to_attr="scoped_accounts")
    prefetch_related_objects([key for key in rows if key.scoped_count <= LARGE_SCOPE], first)
    for key in rows:
        if key.scoped_count > LARGE_SCOPE:
            key.scoped_accounts = []
    return rows


def count_accounts(accounts: QuerySet[Any]) -> Coalesce:
    """Count per owner in a subquery: with joins, two counts would multiply each other."""
    counts = accounts.order_by().values(conf.owner_field()).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts), 0, output_field=IntegerField())


def search(keys: QuerySet[Any], owner_pk: Any, text: str) -> QuerySet[Any]:
    """Return the keys with every word in their name or accounts, or at the start of their hint."""
    words = list(dict.fromkeys(names.fold(text).split()))[:MAX_WORDS]
    prefix = conf.prefix().lower()
    hints = [word for word in words if word.startswith(prefix)]
    words = [word for word in words if not word.startswith(prefix)]
    for word in hints:
        keys = keys.filter(hint__istartswith=word.replace("...", "…"))  # fold() has replaced the ellipsis
    labels = _folded_labels(owner_pk) if words else {}
    for word in words:
        keys = keys.filter(_matches(word, [pk for pk, label in labels.items() if word in label]))
    return keys


def _folded_labels(owner_pk: Any) -> dict[Any, str]:
    # The label of an account is Python code of the project, so the database cannot search it.
    return {account.pk: names.fold(str(account)) for account in owners.accounts_of(owner_pk)}


def _matches(word: str, account_pks: list[Any]) -> Q:
    condition = Q(name_key__contains=word)
    if account_pks:
        rows = KeyAccountScope.objects.filter(account_id__in=account_pks[:MAX_MATCHES])
        condition |= Q(share_all_accounts=True) | Q(pk__in=rows.values("key_id"))
    return condition
