"""Pass the rows that a handler saves to the checks of its guard, by Django's signals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.dispatch import receiver

from finta_keys import scope_queries
from finta_keys.request_state import active_guard


@receiver(models.signals.pre_save)
def _before_save(instance: Any, **kwargs: Any) -> None:
    if (guard := active_guard()) is not None:
        guard.save_checks.before_save(instance)


@receiver(models.signals.post_save)
def _after_save(instance: Any, created: bool, **kwargs: Any) -> None:
    if (guard := active_guard()) is not None:
        guard.save_checks.after_save(instance, created)


def receive_m2m_changes(all_models: Iterable[type[models.Model]]) -> None:
    """Check many-to-many changes if either model has a path to the account.

    Connected per relation: a receiver for all would slow down ``add()`` in the whole project.
    """
    for model in all_models:
        for field in model._meta.many_to_many:
            if scope_queries.belongs_to_account(model) or scope_queries.belongs_to_account(field.related_model):
                models.signals.m2m_changed.connect(_before_m2m_change, sender=field.remote_field.through)


def _before_m2m_change(instance: Any, action: str, model: Any, pk_set: Any, **kwargs: Any) -> None:
    guard = active_guard()
    if guard is None or not action.startswith("pre_"):
        return
    own, other = scope_queries.foreign_keys_of_m2m(kwargs["sender"], instance, model, reverse=kwargs["reverse"])
    values = set(pk_set or ())  # of the to_field, if the foreign key has one
    if action in ("pre_remove", "pre_clear"):
        related = scope_queries.related_values(own, other, instance)
        # Removing a row that is not related changes nothing, whether or not the row exists.
        values = related if action == "pre_clear" else values & related
    guard.save_checks.before_m2m_change(instance, model, values, scope_queries.target_name(other))
