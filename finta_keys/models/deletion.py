"""Record every deletion of a key, and send ``key_deleted``.

Receivers, because deletions of the owner and in bulk do not call ``delete()``. Django sends
``pre_delete`` for all keys before it deletes the first one. Their scopes exist until then. The
first ``post_delete`` saves what is recorded for all, because an owner may have a thousand keys.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.db import models
from django.dispatch import receiver

from finta_keys import history, signals
from finta_keys.models.event import KeyEvent
from finta_keys.models.key import ApiKey
from finta_keys.models.retired import RetiredSecret

MAX_BATCHES = 5  # of deletions inside others; a deletion that failed leaves its batch behind


class Batch:
    """The keys of one deletion, which is that of ``origin``: an instance or a queryset."""

    def __init__(self, origin: Any) -> None:
        self.origin = origin
        self.scopes: dict[Any, Any] = {}  # by owner
        self.events: dict[Any, KeyEvent] = {}  # by key
        self.retired: list[RetiredSecret] = []

    def add(self, key: ApiKey) -> None:
        if key.share_all_accounts or isinstance(self.origin, ApiKey):
            accounts = history.scope_of(key)
        else:
            if key.owner_id not in self.scopes:
                self.scopes[key.owner_id] = history.scopes_of_owner(key.owner_id)
            accounts = self.scopes[key.owner_id].get(key.pk, [])
        self.events[key.pk] = history.event_of(KeyEvent.Action.DELETED, key, history.state_of_key(key, accounts))
        self.retired.append(RetiredSecret.of(key, RetiredSecret.Reason.DELETED))

    def save(self) -> None:
        history.save(list(self.events.values()))
        RetiredSecret.objects.keep(self.retired)


_batches: ContextVar[tuple[Batch, ...]] = ContextVar("finta_keys_deletions", default=())


@receiver(models.signals.pre_delete, sender=ApiKey)
def _prepare(instance: ApiKey, using: str, origin: Any = None, **kwargs: Any) -> None:
    """Note what to record. Load what is deferred first: receivers of ``key_deleted`` read it
    too."""
    if deferred := instance.get_deferred_fields():
        instance.refresh_from_db(using=using, fields=deferred)
    batches = _batches.get()
    batch = next((batch for batch in batches if batch.origin is origin), None)
    if batch is None or instance.pk in batch.events:  # If it failed before, and is tried again, begin again.
        others = tuple(other for other in batches if other is not batch)
        batch = Batch(origin)
        _batches.set((*others, batch)[-MAX_BATCHES:])
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
