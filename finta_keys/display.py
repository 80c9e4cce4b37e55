"""How the host's accounts are named and grouped on the pages of this app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from finta_keys import conf

Groups = list[tuple[str, list[Any]]]


def label(account: Any) -> str:
    """Return what names an account within its group: ``FINTA_KEYS_ACCOUNT_LABEL``, else its ``str()``."""
    attribute = conf.account_label_attribute()
    return str(getattr(account, attribute)) if attribute else str(account)


def grouped(accounts: Iterable[Any]) -> Groups:
    """Return the accounts in groups of ``FINTA_KEYS_ACCOUNT_GROUP``, in the order in which they come.

    Where the host does not set it, and for accounts that are in no group, the group's name is empty.
    """
    attribute = conf.account_group_attribute()
    groups: dict[str, list[Any]] = {}
    for account in accounts:
        name = getattr(account, attribute) if attribute else None
        groups.setdefault("" if name is None else str(name), []).append(account)
    return sorted(groups.items(), key=lambda group: not group[0])  # The nameless one comes last.
