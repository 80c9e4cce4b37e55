"""The accounts of an owner: search and pagination."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet

from finta_keys import display, names, owners

ACCOUNTS_PER_PAGE = 100
MAX_SEARCHED = 10_000  # accounts; each is loaded to read its label
MAX_TEXT, MAX_WORDS = 200, 10  # characters and words of a search


class AccountPages:
    """The accounts of an owner with every word of ``text`` in their group or label."""

    def __init__(self, owner_pk: Any, text: str = "") -> None:
        self.owner_pk = owner_pk
        self.words = names.fold(text[:MAX_TEXT]).split()[:MAX_WORDS]

    @cached_property
    def total(self) -> int:
        """The number of accounts, regardless of the search."""
        return owners.accounts_of(self.owner_pk).count()

    @cached_property
    def paginator(self) -> Paginator[Any]:
        return Paginator(self.matches, ACCOUNTS_PER_PAGE)

    @property
    def has_several(self) -> bool:
        """True if one page cannot show all accounts."""
        return self.total > ACCOUNTS_PER_PAGE

    @property
    def search_limit(self) -> int:
        """The number of accounts that the search was limited to, or 0 if it was not."""
        return MAX_SEARCHED if self.words and self.total > MAX_SEARCHED else 0

    @cached_property
    def matches(self) -> QuerySet[Any] | list[Any]:
        accounts = ordered(owners.accounts_of(self.owner_pk))
        if not self.words:
            return accounts
        return [account for account in accounts[:MAX_SEARCHED] if self._is_match(account)]

    def _is_match(self, account: Any) -> bool:
        text = searched_text(account)
        return all(word in text for word in self.words)

    def match_pks(self) -> set[str]:
        """Return the primary keys of the accounts of all pages, as texts."""
        if isinstance(self.matches, QuerySet):
            return {str(pk) for pk in self.matches.values_list("pk", flat=True)}
        return {str(account.pk) for account in self.matches}


def searched_text(account: Any) -> str:
    """Return the group and label of an account, folded.

    The group and label may be Python properties of the project's model, so the database cannot
    search them.
    """
    return names.fold(f"{display.group_of(account)} {display.label(account)}"[:MAX_TEXT])


def ordered(accounts: QuerySet[Any]) -> QuerySet[Any]:
    """Return the accounts in the order of their queryset or model.

    The primary key is added as the last column, because pages would overlap if rows sorted equally.
    """
    ordering = accounts.query.order_by or accounts.model._meta.ordering
    return accounts.order_by(*ordering, "pk")
