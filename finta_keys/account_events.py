"""Record when an owner of keys gets or loses an account (rule H1).

Signals of Django trigger it, so ``update()``, ``bulk_create()`` and raw SQL record nothing.
Accounts that are deleted together with their owner are not recorded: the events of the deleted keys
contain the scopes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models

from finta_keys import conf, history
from finta_keys.database import key_database
from finta_keys.models import ApiKey, KeyEvent, RetiredSecret

OLD_OWNER = "_finta_keys_old_owner"  # an attribute of an account while it is saved


def receive_changes(all_models: Iterable[type[models.Model]]) -> None:
    """Connect the receivers, for the account and user models only.

    Receivers for all models would end Django's fast deletes in the whole project. Accounts and
    users have none to lose: scope rows and keys are deleted with them.
    """
    account: Any = conf.account_model()._meta.concrete_model
    user: Any = get_user_model()._meta.concrete_model
    for model in all_models:
        if issubclass(model, account):
            models.signals.pre_save.connect(_before_save, sender=model)
            models.signals.post_save.connect(_after_save, sender=model)
        if model._meta.concrete_model is account:
            models.signals.pre_delete.connect(_before_deletion, sender=model)
        if model._meta.concrete_model is user:
            models.signals.post_delete.connect(_after_deletion_of_user, sender=model)


def _before_save(instance: Any, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """Store the current owner of the account on the instance, for ``_after_save()``."""
    vars(instance).pop(OLD_OWNER, None)
    field = _owner_field()
    may_change = update_fields is None or {field.name, field.attname} & set(update_fields)
    if not raw and not instance._state.adding and may_change:
        accounts: Any = models.QuerySet(conf.account_model(), using=key_database())
        vars(instance)[OLD_OWNER] = accounts.filter(pk=instance.pk).values_list(field.attname, flat=True).first()


def _after_save(instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
    may_change_owner = OLD_OWNER in vars(instance)
    old, new = vars(instance).pop(OLD_OWNER, None), getattr(instance, _owner_field().attname)
    if raw or old == new or not (created or may_change_owner):
        return
    if _has_keys(old):
        history.record_account(history.Action.ACCOUNT_LOST, instance, old, "transferred")
    if _has_keys(new):
        history.record_account(history.Action.ACCOUNT_GAINED, instance, new, "created" if created else "transferred")


def _before_deletion(instance: Any, origin: Any = None, **kwargs: Any) -> None:
    source = getattr(origin, "model", type(origin))  # a queryset or an instance
    owner_pk = getattr(instance, _owner_field().attname)
    if not issubclass(source, get_user_model()) and _has_keys(owner_pk):
        history.record_account(history.Action.ACCOUNT_LOST, instance, owner_pk, "deleted")


def _after_deletion_of_user(instance: Any, **kwargs: Any) -> None:
    for model in (KeyEvent, RetiredSecret):
        model.objects.forget_user(instance.pk)


def _owner_field() -> Any:
    return conf.account_model()._meta.get_field(conf.owner_field())


def _has_keys(owner_pk: Any) -> bool:
    return owner_pk is not None and ApiKey.objects.filter(owner_id=owner_pk).exists()
