"""Record each action on a key, with its actor (rule H1).

The methods of a key call this inside their transaction, so a change and its event are saved
together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.http import HttpRequest

from finta_keys import conf, display, expiry, redaction, standby
from finta_keys.database import batches, key_database
from finta_keys.key_headers import carries_key
from finta_keys.models.event import KeyEvent
from finta_keys.models.scope import KeyAccountScope
from finta_keys.request_state import current_request, http_request, state_of
from finta_keys.sources import address_of

MAX_LABEL = 200  # characters of an account's label

Pairs = list[list[str]]  # of primary keys and labels of accounts
Action, Actor = KeyEvent.Action, KeyEvent.Actor


@dataclass(frozen=True)
class _Origin:
    """The origin of the changes in a block of ``acting()``."""

    request: Any = None
    user: Any = None
    command: str = ""


_origin: ContextVar[_Origin | None] = ContextVar("finta_keys_origin", default=None)


@contextmanager
def acting(*, request: HttpRequest | None = None, user: Any = None, command: str = "") -> Iterator[None]:
    """Record changes inside the block as made by a user, or by a command.

    The user is that of ``request``, whose address is recorded too, or ``user``, such as in a job
    that a user has started. Without this block, changes in a request by a key are recorded as made
    by the key, and all others as made by code.
    """
    token = _origin.set(_Origin(request, user, command))
    try:
        yield
    finally:
        _origin.reset(token)


def record(action: str, key: Any, changes: dict[str, Any], **columns: Any) -> None:
    """Save an event of a key. Call it inside the transaction of the change.

    ``columns`` replace ``key_name`` and ``key_hint``, if ``key`` has those from before the change.
    """
    save([event_of(action, key, changes, **columns)])


def record_account(action: str, account: Any, owner_pk: Any, reason: str) -> None:
    """Save the event that an owner got or lost an account."""
    save([_event(action, owner_pk, {"account": _pair(account), "reason": reason})])


def event_of(action: str, key: Any, changes: dict[str, Any], **columns: Any) -> KeyEvent:
    """Return an event of a key, not saved."""
    return _event(
        action, key.owner_id, changes, key_id=key.pk, **{"key_name": key.name, "key_hint": key.hint, **columns}
    )


def save(events: list[KeyEvent]) -> None:
    # bulk_create() instead of save(), so that receivers for all models, such as those of audit
    # tools,
    # do not receive events.
    KeyEvent.objects.bulk_create(events)
    # An account that joins a scope takes no access away, so the API request need not wait.
    if any(event.key_id and event.action != Action.ACCOUNT_JOINED for event in events):
        standby.confirm_change()


def state_of_key(key: Any, accounts: Pairs) -> dict[str, Any]:
    """Return the name, scope, permission and expiry date of a key, for its first and last event."""
    return {
        "name": key.name,
        "share_all_accounts": key.share_all_accounts,
        "accounts": accounts,
        "read_only": key.read_only,
        "expires_at": expiry.json_or_none(key.expires_at),
    }


def scope_of(key: Any) -> Pairs:
    """Return the accounts in the scope of a key; empty if it shares all."""
    return [] if key.share_all_accounts else _pairs(_all_accounts().filter(finta_key_scopes__key=key.pk))


def scopes_of_owner(owner_pk: Any) -> dict[Any, Pairs]:
    """Return the accounts in the scope of each key of an owner."""
    pairs: dict[Any, Pairs] = {}
    rows = list(KeyAccountScope.objects.filter(key__owner_id=owner_pk).values_list("key_id", "account_id"))
    labels: dict[str, str] = dict(labels_of({account for _, account in rows}))
    for key, account in rows:
        pairs.setdefault(key, []).append([str(account), labels.get(str(account), "")])
    return pairs


def record_scope_edit(key: Any, columns: dict[str, Any], added: set[Any], removed: set[Any]) -> None:
    """Save an event with the accounts that were added and removed, and the columns that differ.

    ``key`` is the key before the change.
    """
    changes: dict[str, Any] = {"added": labels_of(added), "removed": labels_of(removed)}
    for name, new in columns.items():
        old = getattr(key, name)
        if old != new:
            changes[name] = [*map(expiry.json_or_none, (old, new))] if name == "expires_at" else [old, new]
    record(Action.SCOPE_EDITED, key, changes)


def labels_of(account_pks: Iterable[Any]) -> Pairs:
    """Return the primary keys and labels of these accounts."""
    return _pairs(account for batch in batches(account_pks) for account in _all_accounts().filter(pk__in=batch))


def _all_accounts() -> models.QuerySet[Any]:
    """Return all accounts. Not by a manager of the project, which may leave rows out or add
    joins."""
    return models.QuerySet(conf.account_model(), using=key_database()).order_by()


def _pairs(accounts: Iterable[Any]) -> Pairs:
    return sorted(map(_pair, accounts), key=lambda pair: (pair[1], pair[0]))


def _pair(account: Any) -> list[str]:
    return [str(account.pk), label_of(account)]


def label_of(account: Any) -> str:
    """Return the group and label of an account, as events record them."""
    label = f"{display.group_of(account)} {display.label(account)}".strip()
    return redaction.without_secrets(label[:MAX_LABEL])


def _event(action: str, owner_pk: Any, changes: dict[str, Any], **key: Any) -> KeyEvent:
    return KeyEvent(action=action, owner_pk=str(owner_pk), changes=changes, **key, **_actor(owner_pk))


def _actor(owner_pk: Any) -> dict[str, str]:
    """Return the columns of an event that say who made the change."""
    origin = _origin.get() or _Origin(request=current_request())
    if origin.command:
        return {"actor": Actor.COMMAND, "actor_name": origin.command}
    request, user, address = origin.request, origin.user, ""
    if request is not None:
        request = http_request(request)
        address = address_of(request)
        if (key := state_of(request).key) is not None:
            return {"actor": Actor.KEY, "actor_pk": str(key.pk), "actor_name": key.name, "address": address}
        # A request that carries a key is no signed-in person (rule K6).
        user = None if carries_key(request) else user or getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"actor": Actor.CODE, "address": address}
    actor = Actor.PERSON if str(user.pk) == str(owner_pk) else Actor.OPERATOR
    return {"actor": actor, "actor_pk": str(user.pk), "actor_name": user.get_username()[:255], "address": address}
