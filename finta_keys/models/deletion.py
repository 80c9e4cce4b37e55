"""Record every deletion of a key, and send ``key_deleted``.

Signal receivers do this, because Django does not call ``delete()`` for keys that are deleted in
bulk or with their owner. For these, Django sends ``pre_delete`` for every key before it deletes the
first one, so their scopes can still be read. An owner may have a thousand keys, so the receivers
collect the rows to save in a ``Batch``, and save all of them at the first ``post_delete``.
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
    """The keys that one deletion deletes. ``origin`` is the instance or queryset whose ``delete()``
    was called."""

    def __init__(self, origin: Any, using: str) -> None:
        self.origin = origin
        self.using = using
        transaction.on_commit(self.mark, using=using)
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
        """False if the deletion has failed: a rollback removes ``mark`` from the callbacks of
        ``on_commit()``."""
        return any(self.mark in entry for entry in connections[self.using].run_on_commit)

    def mark(self) -> None:
        """Do nothing. As a callback of ``on_commit()``, it marks that the transaction is open."""

    def save(self) -> None:
        _save(self.events, self.retired)


def _event_of(key: ApiKey, accounts: history.Pairs) -> KeyEvent:
    return history.event_of(KeyEvent.Action.DELETED, key, history.state_of_key(key, accounts))


def _save(events: list[KeyEvent], retired: list[RetiredSecret]) -> None:
    history.save(events)
    RetiredSecret.objects.keep(retired)


# More than one if a receiver deletes keys while other keys are being deleted.
_batches: ContextVar[tuple[Batch, ...]] = ContextVar("finta_keys_deletions", default=())


@receiver(models.signals.pre_delete, sender=ApiKey)
def _prepare(instance: ApiKey, using: str, origin: Any = None, **kwargs: Any) -> None:
    """Save the event of a key whose ``delete()`` was called. Add any other key to its batch.

    Deferred columns are loaded first, because receivers of ``key_deleted`` may read them.
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
    """Connect the receivers above to proxy models of a project: deleting an instance of a proxy
    sends its signals with the proxy as sender."""
    if issubclass(sender, ApiKey) and sender._meta.proxy:
        models.signals.pre_delete.connect(_prepare, sender=sender)
        models.signals.post_delete.connect(_record_and_send, sender=sender)
