"""Query the Accounts page: the accounts of one page, and the keys that can access each."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, IntegerField, OuterRef, Prefetch, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from accounts_app.models import Account
from finta_keys import display
from finta_keys.models import ApiKey, KeyAccountScope

ACCOUNTS_PER_PAGE = 100
MAX_NAMED_KEYS = 5  # per account; if there are more, they are only counted


class Row(NamedTuple):
    account: Account
    keys: list[ApiKey]  # at most MAX_NAMED_KEYS
    key_count: int


def paginate(accounts: QuerySet[Account], keys: QuerySet[ApiKey], number: Any) -> Page[Any]:
    """Return a page of an owner's accounts, with ``restricted_keys`` and their ``restricted_count``.

    If there is no page with this number, return the first or the last one.
    """
    restricted = keys.filter(share_all_accounts=False)
    scopes = KeyAccountScope.objects.filter(account=OuterRef("pk"), key__in=restricted).order_by().values("account")
    count = Subquery(scopes.annotate(number=Count("pk")).values("number"))
    accounts = accounts.annotate(restricted_count=Coalesce(count, 0, output_field=IntegerField()))
    accounts = accounts.prefetch_related(Prefetch("finta_keys", restricted[:MAX_NAMED_KEYS], to_attr="restricted_keys"))
    # Accounts without an institution come last, as on the page.
    rows = accounts.order_by(Exact(F("institution_name"), Value("")), "institution_name", "name", "pk")
    return Paginator(rows, ACCOUNTS_PER_PAGE).get_page(number)


def grouped_rows(page: Page[Any], keys: QuerySet[ApiKey]) -> list[tuple[str, list[Row]]]:
    """Return the rows of a page by institution."""
    sharing = keys.filter(share_all_accounts=True)
    named, count = list(sharing[:MAX_NAMED_KEYS]), sharing.count()
    groups = display.grouped(page.object_list)
    return [(name, [_row(account, named, count) for account in accounts]) for name, accounts in groups]


def _row(account: Any, sharing: list[ApiKey], sharing_count: int) -> Row:
    keys = sorted([*sharing, *account.restricted_keys], key=lambda key: key.created_at, reverse=True)
    return Row(account, keys[:MAX_NAMED_KEYS], sharing_count + account.restricted_count)
