"""Serializer fields that tell no more of accounts than the key that calls may see (rules S3 and S4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, models
from django.db.models.manager import BaseManager
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ValidationError
from rest_framework.relations import MANY_RELATION_KWARGS, ManyRelatedField, PrimaryKeyRelatedField

from finta_keys import conf
from finta_keys.database import key_database
from finta_keys.models import ApiKey
from finta_keys.scoping import _limited, scoped


class _Several(ManyRelatedField):
    """What the caller chooses, and what the row is related to already and the key may not see: the whole is written in
    the place of what was there, and nobody means to remove what they do not know of."""

    child_relation: AccountRelatedField

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the rows that are to be related. Raises DRF's ``ValidationError``."""
        return [*super().to_internal_value(data), *self._hidden()]

    def _hidden(self) -> Iterable[Any]:
        row, key = getattr(self.parent, "instance", None), getattr(self.context.get("request"), "auth", None)
        is_saved = isinstance(row, models.Model) and row.pk is not None
        related: Any = getattr(row, str(self.source), None) if is_saved else None
        if not isinstance(key, ApiKey) or not isinstance(related, BaseManager):
            return ()
        seen = key.scoped(related.model._base_manager.all(), self.child_relation.account_path)
        return related.get_queryset().using(key_database()).exclude(pk__in=seen.values("pk"))


class AccountRelatedField(PrimaryKeyRelatedField[Any]):
    """A relation to an account, by its primary key, that takes and offers only what the caller may see.

    For a relation to another model give its ``queryset``, and ``account_path``, the way from that model to the
    account, as in ``AccountScopeMixin``. Takes all that ``PrimaryKeyRelatedField`` takes, ``many=True`` too.

    It needs the request, which generic views put into the serializer's context; without one it takes nothing. What is
    hidden, somebody else's, missing or malformed gets the same error, which does not quote it. With ``many=True`` a
    change leaves in place what is hidden.

    What the row that is shown is related to, it shows as it is: give it ``write_only=True`` where that may be hidden.
    """

    default_error_messages = {"does_not_exist": gettext_lazy("There is no such object.")}

    def __init__(self, *, account_path: str = "", **kwargs: Any) -> None:
        self.account_path = account_path
        super().__init__(**kwargs)

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> ManyRelatedField:
        """Return the field that ``many=True`` makes."""
        of_the_list = {name: value for name, value in kwargs.items() if name in MANY_RELATION_KWARGS}
        return _Several(child_relation=cls(*args, **kwargs), **of_the_list)

    def get_queryset(self) -> models.QuerySet[Any] | None:
        """Return what the caller may choose from; None where the field is read only."""
        if self.read_only:
            return None
        queryset = super().get_queryset()
        if queryset is None:
            queryset = conf.account_model()._default_manager.all()
        request = self.context.get("request")
        # What a POST creates is within the scope by this; what others show or change is not.
        limit = scoped if getattr(request, "method", None) == "POST" else _limited
        return limit(request, queryset, self.account_path)

    def to_internal_value(self, data: Any) -> Any:
        """Return the row of this primary key. Raises DRF's ``ValidationError``, always the same."""
        try:
            return super().to_internal_value(data)
        except (ValidationError, DjangoValidationError, OverflowError, DataError):  # The last: text that is none.
            self.fail("does_not_exist", pk_value="…")  # for messages of the host, which may ask for it
