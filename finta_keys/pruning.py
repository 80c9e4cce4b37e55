"""Delete events, counts of use and retired secrets that are older than the settings allow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from finta_keys import conf, transactions
from finta_keys.database import batches
from finta_keys.models import AccountUsage, ApiKey, KeyEvent, KeyUsage, RetiredSecret

BATCH = 500  # rows per transaction; other writers wait until it commits


def prune() -> dict[str, int]:
    """Delete old rows. Return the numbers of deleted events, counts and retired secrets."""
    numbers = {"events": 0, "counts": 0, "retiredSecrets": 0}
    if (cutoff := _cutoff(conf.history_days())) is not None:
        numbers["events"] = _prune_events(cutoff)
        for usage in (KeyUsage, AccountUsage):
            numbers["counts"] += _delete(usage.objects.filter(day__lt=cutoff.date()))
    if (cutoff := _cutoff(conf.retired_secret_days())) is not None:
        untried = Q(last_tried_at=None) | Q(last_tried_at__lt=cutoff)
        numbers["retiredSecrets"] = _delete(RetiredSecret.objects.filter(untried, retired_at__lt=cutoff))
    return numbers


def _cutoff(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() - timedelta(days=days)


def _prune_events(cutoff: datetime) -> int:
    old = KeyEvent.objects.filter(at__lt=cutoff).order_by()
    keys = list(old.exclude(key_id=None).values_list("key_id", flat=True).distinct())
    number = sum(_prune_events_of(batch, cutoff) for batch in batches(keys))
    return number + _delete(old.filter(key_id=None))


def _prune_events_of(key_pks: list[Any], cutoff: datetime) -> int:
    """Delete the old events of these keys, except for the last one of each key that still exists
    or has newer events. The complete history begins with that event."""
    with transactions.atomic():
        rows = KeyEvent.objects.filter(key_id__in=key_pks, at__lt=cutoff).order_by("at", "pk")
        last = {event.key_id: event for event in rows.defer("changes")}
        kept = set(ApiKey.objects.filter(pk__in=key_pks).values_list("pk", flat=True))
        kept.update(KeyEvent.objects.filter(key_id__in=key_pks, at__gte=cutoff).values_list("key_id", flat=True))
        pks = {event.pk for key_id, event in last.items() if key_id in kept}
        deleted: list[Any] = []
        for batch in _pks(rows.exclude(pk__in=pks)):
            deleted += KeyEvent.objects.filter(pk__in=batch).values_list("key_id", flat=True)
            KeyEvent.objects.filter(pk__in=batch).delete()
        kept_rows = KeyEvent.objects.filter(pk__in=pks)
        # The last event is out of date if a later one is deleted.
        incomplete = [last[key_id].pk for key_id in kept.intersection(deleted)]
        incomplete += [last[key_id].pk for key_id in kept if _has_account_events(last[key_id], cutoff)]
        kept_rows.filter(pk__in=incomplete).update(action=KeyEvent.Action.KNOWN, at=cutoff, changes={})
        kept_rows.update(actor=KeyEvent.Actor.CODE, actor_pk="", actor_name="", address="")
    return len(deleted)


def _has_account_events(event: KeyEvent, cutoff: datetime) -> bool:
    """Return True if accounts of the owner have events between this event and ``cutoff``."""
    of_accounts = KeyEvent.objects.filter(key_id=None, owner_pk=event.owner_pk)
    return bool(of_accounts.filter(at__gte=event.at, at__lt=cutoff).exists())


def _delete(rows: models.QuerySet[Any]) -> int:
    number = 0
    for batch in _pks(rows):
        number += rows.model._default_manager.filter(pk__in=batch).delete()[0]
    return number


def _pks(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """Yield batches of primary keys. The caller deletes each batch before it takes the next one."""
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        yield batch
