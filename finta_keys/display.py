"""The words, labels and groups that the pages use for the project's accounts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import lazy
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from finta_keys import conf

Groups = list[tuple[str, list[Any]]]

MAX_NAMES = 6  # names of accounts in a sentence
VISIBLE = "LNPS"  # Unicode categories: letters, numbers, punctuation, symbols


def words() -> dict[str, str]:
    """Return the project's words for accounts. The keys are the placeholders in translatable
    texts."""
    one, several = conf.account_words()
    # "a" before a u: users and units are more likely than umbrellas.
    article = _("an %(word)s") if one[:1].lower() in "aeio" else _("a %(word)s")
    return {"account_word": one, "account_words": several, "an_account_word": article % {"word": one}}


def _worded(text: Any) -> str:
    return str(text) % words()


# The lazy result of ``text % words()``: the language and the setting may change per request.
worded = lazy(_worded, str)


def label(account: Any) -> str:
    """Return the text for an account: ``FINTA_KEYS_ACCOUNT_LABEL``, or its ``str()``.

    If it has no visible characters, the text is the account's primary key instead.
    """
    attribute = conf.account_label_attribute()
    text = str(getattr(account, attribute)) if attribute else str(account)
    if any(unicodedata.category(character)[0] in VISIBLE for character in text):
        return text
    return f"{capfirst(conf.account_words()[0])} {account.pk}"


def label_html(account: Any) -> SafeString:
    """Return the label isolated from the text around it, whose order it could change otherwise."""
    return format_html("<bdi>{}</bdi>", label(account))


def first_labels(accounts: QuerySet[Any]) -> SafeString:
    """Return the labels of the first accounts, as ``join_html()`` does, without loading the
    others."""
    return join_html(map(label_html, accounts[: MAX_NAMES + 1]))


def join_html(labels: Iterable[Any]) -> SafeString:
    """Return the first ``MAX_NAMES`` labels, separated by commas, and "…" if there are more."""
    labels = list(labels)
    if len(labels) > MAX_NAMES:
        labels = [*labels[:MAX_NAMES], "…"]
    return format_html_join(", ", "{}", [(text,) for text in labels])


def group_of(account: Any) -> str:
    """Return the value of ``FINTA_KEYS_ACCOUNT_GROUP``, or "" if there is none."""
    attribute = conf.account_group_attribute()
    name = getattr(account, attribute) if attribute else None
    return "" if name is None else str(name)


def grouped(accounts: Iterable[Any]) -> Groups:
    """Group the accounts by ``FINTA_KEYS_ACCOUNT_GROUP`` and keep their order.

    The name of a group is empty if the setting is not set, or for accounts without a group.
    """
    groups: dict[str, list[Any]] = {}
    for account in accounts:
        groups.setdefault(group_of(account), []).append(account)
    return sorted(groups.items(), key=lambda group: not group[0])  # unnamed group last
