"""Send ``key_deleted``, and record an event, for every deletion of a key."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.dispatch import receiver

from finta_keys import history, signals
from finta_keys.models.key import ApiKey


@receiver(models.signals.post_delete, sender=ApiKey)
def _send_key_deleted(instance: ApiKey, **kwargs: Any) -> None:
    """Send ``key_deleted``. A receiver, because deletions of the owner and in bulk do not call
    ``delete()``."""
    signals.key_deleted.send(sender=ApiKey, key=instance)


@receiver(models.signals.pre_delete, sender=ApiKey)
def _record_deletion(instance: ApiKey, using: str, **kwargs: Any) -> None:
    """Record the key with its scope while both exist.

    First load what is deferred. Receivers of ``key_deleted`` read it too.
    """
    if deferred := instance.get_deferred_fields():
        instance.refresh_from_db(using=using, fields=deferred)
    history.record(history.Action.DELETED, instance, history.state_of_key(instance))


@receiver(models.signals.class_prepared)
def _connect_proxies(sender: Any, **kwargs: Any) -> None:
    """Connect the receivers above to a project's proxies: deleting by a proxy sends the signals
    of the proxy."""
    if issubclass(sender, ApiKey) and sender._meta.proxy:
        models.signals.pre_delete.connect(_record_deletion, sender=sender)
        models.signals.post_delete.connect(_send_key_deleted, sender=sender)
