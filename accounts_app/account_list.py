"""Query the Accounts page: the accounts of one page, and the keys that can access each."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Prefetch, QuerySet, Value, prefetch_related_objects
from django.db.models.lookups import Exact

from accounts_app.models import Account
from finta_keys import display
from finta_keys.models import ApiKey, KeyAccountScope

ACCOUNTS_PER_PAGE = 100
MAX_NAMED_KEYS = 5  # per account; if there are more, they are only counted


class Row(NamedTuple):
    account: Account
    keys: list[ApiKey]  # incomplete if there are more than MAX_NAMED_KEYS
    key_count: int


def paginate(accounts: QuerySet[Account], keys: QuerySet[ApiKey], number: Any) -> Page[Any]:
    """Return a page of an owner's accounts, with ``restricted_keys`` and their
    ``restricted_count``.

    If there is no page with this number, return the first or the last one.
    """
    # Accounts without an institution come last, as on the page.
    rows = accounts.order_by(Exact(F("institution_name"), Value("")), "institution_name", "name", "pk")
    page: Page[Any] = Paginator(rows, ACCOUNTS_PER_PAGE).get_page(number)
    page.object_list = list(page.object_list)
    restricted = keys.filter(share_all_accounts=False)
    scopes = KeyAccountScope.objects.filter(account__in=page.object_list, key__in=restricted).order_by()
    # Not an annotation of the accounts: SQLite would also count for the accounts of all other
    # pages.
    counts = dict(scopes.values_list("account").annotate(number=Count("pk")))
    for account in page.object_list:
        account.restricted_count = counts.get(account.pk, 0)
    # The page names the keys of these accounts only.
    few = [account for account in page.object_list if account.restricted_count <= MAX_NAMED_KEYS]
    prefetch_related_objects(few, Prefetch("finta_keys", restricted, to_attr="restricted_keys"))
    return page


class Group(NamedTuple):
    institution: str
    rows: list[Row]
    is_synced: bool  # False if an account is manual


def grouped_rows(page: Page[Any], keys: QuerySet[ApiKey]) -> list[Group]:
    """Return the rows of a page by institution."""
    sharing = keys.filter(share_all_accounts=True)
    named, count = list(sharing[:MAX_NAMED_KEYS]), sharing.count()
    groups = display.grouped(page.object_list)
    return [
        Group(
            name,
            [_row(account, named, count) for account in accounts],
            is_synced=not any(account.is_manual for account in accounts),
        )
        for name, accounts in groups
    ]


def _row(account: Any, sharing: list[ApiKey], sharing_count: int) -> Row:
    keys = sorted([*sharing, *getattr(account, "restricted_keys", [])], key=lambda key: key.created_at, reverse=True)
    return Row(account, keys[:MAX_NAMED_KEYS], sharing_count + account.restricted_count)
