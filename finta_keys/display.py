"""How the host's accounts are called, named and grouped on the pages of this app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.functional import lazy
from django.utils.translation import gettext as _

from finta_keys import conf

Groups = list[tuple[str, list[Any]]]


def words() -> dict[str, str]:
    """Return what pages call accounts, under the names that their texts have for it."""
    one, several = conf.account_words()
    # Not before a u: hosts have users and units more often than umbrellas.
    article = _("an %(word)s") if one[:1].lower() in "aeio" else _("a %(word)s")
    return {"account_word": one, "account_words": several, "an_account_word": article % {"word": one}}


def _worded(text: Any) -> str:
    return str(text) % words()


# A translated text with these words in their places, as they are when it is shown.
worded = lazy(_worded, str)


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
