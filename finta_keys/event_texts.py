"""Sentences about events and retired secrets, for the pages of owners and the admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from finta_keys import display, expiry
from finta_keys.models import KeyEvent, RetiredSecret
from finta_keys.sources import NONE, OTHER, UNKNOWN
from finta_keys.templatetags.finta_keys import ago, day, short_day

Action, Actor = KeyEvent.Action, KeyEvent.Actor


def sentences(event: KeyEvent) -> list[SafeString]:
    """Return the changes of an event, as HTML."""
    return [format_html("{}", text) for text in _SENTENCES[event.action](event.changes)]


def actor(event: KeyEvent, *, is_public: bool = True) -> str:
    """Return who made a change. ``is_public`` leaves out the name of an operator, for owners."""
    if not is_public and event.actor_name and event.actor in (Actor.PERSON, Actor.OPERATOR, Actor.COMMAND):
        return _("by %(name)s") % {"name": event.actor_name}
    return {
        Actor.PERSON: _("by you") if is_public else _("by the owner"),
        Actor.OPERATOR: _("by an operator"),
        Actor.COMMAND: _("by a command"),
        Actor.KEY: _("by the key itself"),
        Actor.CODE: _("by the service"),
    }[Actor(event.actor)]


def address(event: KeyEvent) -> str:
    """Return the address for the owner: not that of an operator."""
    return "" if event.actor == Actor.OPERATOR else event.address


def tries(secret: RetiredSecret, *, name: str = "") -> SafeString:
    """Return a sentence about a retired secret that was tried. ``name`` is that of its key."""
    which = format_html(_("The old secret of “<bdi>{}</bdi>”"), name) if name else _("The old secret")
    text = ngettext("was tried %(number)s time since %(day)s", "was tried %(number)s times since %(day)s", secret.tries)
    tried = text % {"number": secret.tries, "day": day(secret.retired_at)}
    return format_html("<strong>{} {}</strong>, {}.", which, tried, _last_try(secret))


def tries_of_key(secret: RetiredSecret) -> str:
    """Return the number of tries of an old secret of a key, and the last one."""
    text = ngettext(
        "%(number)s time since %(day)s, %(last)s.", "%(number)s times since %(day)s, %(last)s.", secret.tries
    )
    return text % {"number": secret.tries, "day": short_day(secret.retired_at), "last": _last_try(secret)}


def _last_try(secret: RetiredSecret) -> str:
    at: Any = secret.last_tried_at
    last = _("last %(ago)s") % {"ago": ago(at)}
    if secret.last_network not in ("", UNKNOWN, OTHER):
        last = _("%(last)s from %(network)s") % {"last": last, "network": secret.last_network}
    if secret.last_agent not in ("", NONE, OTHER):
        last = f"{last} ({secret.last_agent})"
    return last


def _created(state: dict[str, Any]) -> Iterator[Any]:
    yield _("Created.")
    yield from _state(state)


def _deleted(state: dict[str, Any]) -> Iterator[Any]:
    yield _("Deleted.")
    yield from _state(state)


def _state(state: dict[str, Any]) -> Iterator[Any]:
    if not state:  # forgotten with the owner
        return
    if state["share_all_accounts"]:
        yield _("It can access all %(account_words)s.") % display.words()
    else:
        yield format_html(_("It can access {}."), _names(state["accounts"]) or _("nothing"))
    if state["read_only"]:
        yield _read_only([None, True])
    if state["expires_at"]:
        yield _expires([None, state["expires_at"]])


def _renamed(changes: dict[str, Any]) -> Iterator[Any]:
    if "name" in changes:
        yield format_html(_("Renamed from “<bdi>{}</bdi>” to “<bdi>{}</bdi>”."), *changes["name"])
    else:
        yield _("Renamed.")


def _rotated(changes: dict[str, Any]) -> Iterator[Any]:
    if "hint" in changes:
        yield format_html(_("Rotated. <code>{}</code> was replaced by <code>{}</code>."), *changes["hint"])
    else:
        yield _("Rotated.")


def _scope_edited(changes: dict[str, Any]) -> Iterator[Any]:
    yield _("Scope edited.")
    if "share_all_accounts" in changes:
        text = _("It shares all %(account_words)s now.") if changes["share_all_accounts"][1] else ""
        yield (text or _("It no longer shares all %(account_words)s.")) % display.words()
    if changes.get("added"):
        yield format_html(_("Added: {}."), _names(changes["added"]))
    if changes.get("removed"):
        yield format_html(_("Removed: {}."), _names(changes["removed"]))
    if "read_only" in changes:
        yield _read_only(changes["read_only"])
    if "expires_at" in changes:
        yield _expires(changes["expires_at"])


def _account_joined(changes: dict[str, Any]) -> Iterator[Any]:
    yield format_html(_("Created {} and added it to its scope."), _names(changes.get("added", ())) or _account())


def _account_gained(changes: dict[str, Any]) -> Iterator[Any]:
    text = _("{} was added.") if changes.get("reason") == "created" else _("{} was transferred to the owner.")
    yield format_html(text, _changed_account(changes))


def _account_lost(changes: dict[str, Any]) -> Iterator[Any]:
    text = _("{} was deleted.") if changes.get("reason") == "deleted" else _("{} was transferred to another owner.")
    yield format_html(text, _changed_account(changes))


def _known(changes: dict[str, Any]) -> Iterator[Any]:
    yield _("History begins here. Earlier changes are not known.")


def _read_only(values: list[Any]) -> str:
    return _("It is read only.") if values[1] else _("It can read and write.")


def _expires(values: list[Any]) -> str:
    at = parse_datetime(values[1]) if values[1] else None
    return _("It expires on %(day)s.") % {"day": _day(at)} if at else _("It does not expire.")


def _day(at: datetime) -> str:
    return f"{expiry.day_of(at):%Y-%m-%d}"


def _changed_account(changes: dict[str, Any]) -> SafeString | str:
    return _names([changes["account"]]) if "account" in changes else _account()


def _account() -> str:
    return _("One %(account_word)s") % display.words()


def _names(pairs: Any) -> SafeString:
    """Return the labels of accounts; if there are many, in an element that opens."""
    labels = [format_html("<bdi>{}</bdi>", label or pk) for pk, label in pairs]
    if len(labels) <= display.MAX_NAMES:
        return display.join_html(labels)
    text = _("%(number)s %(account_words)s") % {"number": len(labels), **display.words()}
    rows = format_html_join("", "<li>{}</li>", ((label,) for label in labels))
    return format_html("<details><summary>{}</summary><ul>{}</ul></details>", text, rows)


_SENTENCES: dict[str, Callable[[dict[str, Any]], Iterator[Any]]] = {
    Action.CREATED: _created,
    Action.RENAMED: _renamed,
    Action.SCOPE_EDITED: _scope_edited,
    Action.ACCOUNT_JOINED: _account_joined,
    Action.ROTATED: _rotated,
    Action.DELETED: _deleted,
    Action.ACCOUNT_GAINED: _account_gained,
    Action.ACCOUNT_LOST: _account_lost,
    Action.KNOWN: _known,
}
