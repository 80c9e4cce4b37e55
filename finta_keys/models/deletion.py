"""Record every deletion of a key, and send ``key_deleted``.

Receivers, because deletions of the owner and in bulk do not call ``delete()``. Django sends
``pre_delete`` for all keys before it deletes the first one. Their scopes exist until then. The
first ``post_delete`` saves the events of all, because an owner may have a thousand keys.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.db import connections, models, transaction
from django.dispatch import receiver

from finta_keys import history, signals
from finta_keys.models.event import KeyEvent
from finta_keys.models.key import ApiKey
from finta_keys.models.retired import RetiredSecret


class Batch:
    """The keys of one deletion, which is that of ``origin``: an instance or a queryset."""

    def __init__(self, origin: Any, using: str) -> None:
        self.origin = origin
        self.using = using
        transaction.on_commit(self.end, using=using)
        self.scopes: dict[Any, Any] = {}  # by owner
        self.events: list[KeyEvent] = []
        self.retired: list[RetiredSecret] = []

    def add(self, key: ApiKey) -> None:
        if key.owner_id not in self.scopes:
            self.scopes[key.owner_id] = history.scopes_of_owner(key.owner_id)
        self.events.append(_event_of(key, self.scopes[key.owner_id].get(key.pk, [])))
        self.retired.append(RetiredSecret.of(key, RetiredSecret.Reason.DELETED))

    @property
    def is_running(self) -> bool:
        """Return False if the deletion has failed. Its transaction has forgotten what to call
        then."""
        return any(self.end in entry for entry in connections[self.using].run_on_commit)

    def end(self) -> None:
        """Do nothing, when the transaction commits."""

    def save(self) -> None:
        _save(self.events, self.retired)


def _event_of(key: ApiKey, accounts: history.Pairs) -> KeyEvent:
    return history.event_of(KeyEvent.Action.DELETED, key, history.state_of_key(key, accounts))


def _save(events: list[KeyEvent], retired: list[RetiredSecret]) -> None:
    history.save(events)
    RetiredSecret.objects.keep(retired)


# Several, if a receiver deletes keys while others are being deleted.
_batches: ContextVar[tuple[Batch, ...]] = ContextVar("finta_keys_deletions", default=())


@receiver(models.signals.pre_delete, sender=ApiKey)
def _prepare(instance: ApiKey, using: str, origin: Any = None, **kwargs: Any) -> None:
    """Record the deletion of one key, or note what to record for many.

    Load deferred columns first: receivers of ``key_deleted`` read them too.
    """
    if deferred := instance.get_deferred_fields():
        instance.refresh_from_db(using=using, fields=deferred)
    if origin is instance:
        retired = RetiredSecret.of(instance, RetiredSecret.Reason.DELETED)
        _save([_event_of(instance, history.scope_of(instance))], [retired])
        return
    batches = tuple(batch for batch in _batches.get() if batch.is_running)
    batch = next((batch for batch in batches if batch.origin is origin), None)
    if batch is None:
        batch = Batch(origin, using)
        _batches.set((*batches, batch))
    batch.add(instance)


@receiver(models.signals.post_delete, sender=ApiKey)
def _record_and_send(instance: ApiKey, origin: Any = None, **kwargs: Any) -> None:
    for batch in _batches.get():
        if batch.origin is origin:
            _batches.set(tuple(other for other in _batches.get() if other is not batch))
            batch.save()
    signals.key_deleted.send(sender=ApiKey, key=instance)


@receiver(models.signals.class_prepared)
def _connect_proxies(sender: Any, **kwargs: Any) -> None:
    """Connect the receivers above to a project's proxies: deleting by a proxy sends the signals
    of the proxy."""
    if issubclass(sender, ApiKey) and sender._meta.proxy:
        models.signals.pre_delete.connect(_prepare, sender=sender)
        models.signals.post_delete.connect(_record_and_send, sender=sender)
