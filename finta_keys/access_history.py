"""Compute the accounts that a key could access, and when, from its history (rule H4).

The events are replayed to get the state of the key and the ownership of each account over time.
Changes without an event, such as by ``update()``, make the replayed state differ from the present
one. The report marks such accounts as not certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from finta_keys import owners
from finta_keys.models import ApiKey, KeyAccountScope, KeyEvent

Action = KeyEvent.Action
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class State:
    """The scope and the expiry date of a key at one moment."""

    shares_all: bool
    scope: frozenset[str]
    expires_at: datetime | None


@dataclass
class AccessHistory:
    """The history of one key, living or deleted."""

    key_id: Any
    key: ApiKey | None
    owner_pk: str
    events: list[Any]  # of the key and of the owner's accounts, oldest first
    owned_now: dict[str, Any] = field(default_factory=dict)  # the owner's accounts by primary key

    @classmethod
    def of(cls, key_id: Any) -> AccessHistory | None:
        """Return the history of a key, or None if neither the key nor an event of it exists."""
        key = ApiKey.objects.filter(pk=key_id).select_related("owner").first()
        last = KeyEvent.objects.filter(key_id=key_id).order_by("at", "pk").last()
        if key is None and last is None:
            return None
        owner_pk = str(key.owner_id) if key else last.owner_pk
        owned = {str(account.pk): account for account in owners.accounts_of(owner_pk)} if key or owner_pk else {}
        return cls(key_id, key, owner_pk, list(KeyEvent.objects.of_key(key_id, owner_pk)), owned)

    def __post_init__(self) -> None:
        self.own_events = [event for event in self.events if event.key_id is not None]
        self.deleted_at = next((event.at for event in self.own_events if event.action == Action.DELETED), None)
        first = self.own_events[0] if self.own_events else None
        self.ended_at = self.deleted_at or timezone.now()
        self.created_at = self.key.created_at if self.key else None
        # Nothing is known about earlier times: the key is older than its history, or events were
        # pruned.
        self.known_from: datetime = first.at if first else self.ended_at
        if first is not None and first.action == Action.CREATED:
            self.created_at = self.known_from = self.created_at or first.at
        self.labels = dict(_labels(self.events))
        self.ownership: dict[str, list[tuple[datetime, bool]]] = {}  # when the owner got (True) or lost each account
        for event in self._account_events():
            changes = self.ownership.setdefault(event.changes["account"][0], [])
            changes.append((event.at, event.action == Action.ACCOUNT_GAINED))
        self.may_have_been_shared: set[str] = set()
        self.states = list(self._states(first))

    @property
    def unknown(self) -> list[Span]:
        """The periods of the key's life without a known scope."""
        begin = self.created_at or _beginning()
        spans = [(begin, self.known_from)] if begin < self.known_from else []
        return spans + [span for span, state in self.states if state is None]

    def account_pks(self) -> set[str]:
        """Return the primary keys of all accounts that the key may have been able to access."""
        pks = set(self.may_have_been_shared)
        for _, state in self.states:
            if state is not None and state.shares_all:
                pks |= {*self.owned_now, *self.ownership}
            elif state is not None:
                pks |= state.scope
        return pks | self._scope_now()

    def spans(self, pk: str) -> list[Span]:
        """Return the periods of a key's access to an account."""
        owned = self._owned_spans(pk)
        spans: list[Span] = []
        for (start, end), state in self.states:
            if state is None or not (state.shares_all or pk in state.scope):
                continue
            end = min(end, state.expires_at) if state.expires_at else end
            for owned_from, owned_until in owned:
                span = (max(start, owned_from), min(end, owned_until))
                if span[0] >= span[1]:
                    continue
                if spans and spans[-1][1] == span[0]:
                    spans[-1] = (spans[-1][0], span[1])
                else:
                    spans.append(span)
        return spans

    def is_certain(self, pk: str) -> bool:
        """Return False if the recorded changes do not lead to the present state of an account."""
        changes = self.ownership.get(pk)
        was_owned = changes[-1][1] if changes else True
        if was_owned != (pk in self.owned_now) or pk in self.may_have_been_shared:
            return False
        if self.key is None or not self.states or self.states[-1][1] is None or self.key.share_all_accounts:
            return True
        in_scope = pk in self.states[-1][1].scope
        return in_scope == (pk in self._scope_now()) or not was_owned

    def _account_events(self) -> list[Any]:
        return [event for event in self.events if event.key_id is None and "account" in event.changes]

    def _owned_spans(self, pk: str) -> list[Span]:
        changes = self.ownership.get(pk, [])
        start: datetime | None = None if changes and changes[0][1] else _beginning()
        spans = []
        for at, is_gain in changes:
            if not is_gain and start is not None:
                spans.append((start, at))
            start = (start or at) if is_gain else None
        return spans if start is None else [*spans, (start, self.ended_at)]

    def _scope_now(self) -> set[str]:
        if self.key is None or self.key.share_all_accounts:
            return set()
        if not hasattr(self, "_scope"):
            rows = KeyAccountScope.objects.filter(key=self.key)
            self._scope = {str(pk) for pk in rows.values_list("account_id", flat=True)}
        return self._scope

    def _states(self, first: Any) -> Iterator[tuple[Span, State | None]]:
        """Yield the states of the key from the first event on, each with its period."""
        if first is None:
            return
        state = _complete_state(first) if first.action == Action.CREATED else self._first_state()
        start = self.known_from
        # These two actions record a state and change nothing.
        events = self.own_events[1:] if first.action in (Action.CREATED, Action.KNOWN) else self.own_events
        for event in events:
            if event.at > start:
                yield (start, event.at), state
            start = event.at
            state = None if state is None else _after(state, event)
        if self.ended_at > start:
            yield (start, self.ended_at), state

    def _first_state(self) -> State | None:
        """Return the state before the first event, from the last state and all events backwards."""
        deletion = next((event for event in self.own_events if event.action == Action.DELETED), None)
        if deletion is not None:
            state = _complete_state(deletion)
        elif self.key is not None:
            scope = frozenset(self._scope_now())
            state = State(self.key.share_all_accounts, scope, self.key.expires_at)
        else:
            return None
        if state is None:
            return None
        mentioned = set(state.scope)
        for event in reversed(self.own_events):
            if event.action in (Action.SCOPE_EDITED, Action.ACCOUNT_JOINED):
                mentioned |= _pks(event, "added") | _pks(event, "removed")
                state = _before(state, event)
        if not state.shares_all:
            # Their scope rows were deleted with them, and no event names these.
            lost = (event for event in self._account_events() if event.changes.get("reason") == "deleted")
            self.may_have_been_shared = {event.changes["account"][0] for event in lost} - mentioned
        return state


def _pks(event: Any, name: str) -> set[str]:
    return {pk for pk, _ in event.changes.get(name, ())}


def _labels(events: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield primary keys and labels of accounts in the order of the events, so that ``dict()``
    keeps the last label of each."""
    for event in events:
        for name in ("accounts", "added", "removed"):
            yield from ((pk, label) for pk, label in event.changes.get(name, ()))
        if "account" in event.changes:
            pk, label = event.changes["account"]
            yield pk, label


def _complete_state(event: Any) -> State | None:
    """Return the state that a ``created`` or ``deleted`` event contains, or None if it was removed
    when the owner was deleted."""
    changes = event.changes
    if "share_all_accounts" not in changes:
        return None
    return State(changes["share_all_accounts"], frozenset(_pks(event, "accounts")), _time(changes["expires_at"]))


def _after(state: State, event: Any) -> State:
    return _changed(state, event, (state.scope - _pks(event, "removed")) | _pks(event, "added"), 1)


def _before(state: State, event: Any) -> State:
    return _changed(state, event, (state.scope - _pks(event, "added")) | _pks(event, "removed"), 0)


def _changed(state: State, event: Any, scope: frozenset[str], side: int) -> State:
    """Return the state with the old (0) or the new (1) values of an event."""
    state, changes = replace(state, scope=scope), event.changes
    if "share_all_accounts" in changes and isinstance(changes["share_all_accounts"], list):
        state = replace(state, shares_all=changes["share_all_accounts"][side])
    if "expires_at" in changes and isinstance(changes["expires_at"], list):
        state = replace(state, expires_at=_time(changes["expires_at"][side]))
    return state


def _time(text: str | None) -> datetime | None:
    at = None if text is None else parse_datetime(text)
    return at if at is None or settings.USE_TZ else timezone.make_naive(at, UTC)


def _beginning() -> datetime:
    return datetime.min.replace(tzinfo=UTC if settings.USE_TZ else None)
