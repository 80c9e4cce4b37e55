"""Serializer fields that accept only rows that the caller may access."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, models
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ValidationError
from rest_framework.relations import MANY_RELATION_KWARGS, ManyRelatedField, PrimaryKeyRelatedField

from finta_keys import conf
from finta_keys.limited_fields import keep_hidden_rows, limit_input, limit_rows
from finta_keys.relations import hidden_rows


class _ManyAccounts(ManyRelatedField):
    """Keeps the relations to rows that the caller may not access."""

    limits_rows = True

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the rows to relate to. Raise DRF's ``ValidationError``."""
        return [*super().to_internal_value(data), *hidden_rows(self)]

    def bind(self, field_name: str, parent: Any) -> None:
        """Keep these relations in the update() of the serializer too."""
        super().bind(field_name, parent)
        keep_hidden_rows(self)


class AccountRelatedField(PrimaryKeyRelatedField[Any]):
    """A relation to an account, by its primary key, that accepts and offers only accounts that the
    caller may access.

    For a relation to another model, pass its ``queryset`` and the ``account_path`` from that model
    to the account, as in ``AccountScopeMixin``. Takes all arguments of ``PrimaryKeyRelatedField``,
    ``many=True`` included.

    Hidden, foreign, missing and malformed values get the same error, which does not quote them.
    With ``many=True``, an update keeps the relations to hidden rows. Outside a request, such as in
    a background job, all rows are accepted.

    The field limits input, not output: if the row may be related to a hidden one, pass
    ``write_only=True``.
    """

    limits_rows = True
    default_error_messages = {"does_not_exist": gettext_lazy("There is no such object.")}

    def __init__(self, *, account_path: str = "", **kwargs: Any) -> None:
        self.account_path = account_path
        super().__init__(**kwargs)
        # A subclass may override either method without calling super().
        get_queryset = self.get_queryset
        self.get_queryset = lambda: limit_rows(self, get_queryset())  # type: ignore[method-assign]
        if type(self).to_internal_value is not AccountRelatedField.to_internal_value:
            limit_input(self, self)

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> ManyRelatedField:
        """Return the field for ``many=True``."""
        options = {name: value for name, value in kwargs.items() if name in MANY_RELATION_KWARGS}
        return _ManyAccounts(child_relation=cls(*args, **kwargs), **options)

    def get_queryset(self) -> models.QuerySet[Any] | None:
        """Return the rows that the caller may select, which are then limited; None if the field
        is read-only."""
        queryset = super().get_queryset()
        if queryset is None and not self.read_only:
            queryset = conf.account_model()._default_manager.all()
        return queryset

    def to_internal_value(self, data: Any) -> Any:
        """Return the row with this primary key. Raise DRF's ``ValidationError``, always the
        same."""
        try:
            return super().to_internal_value(data)
        except (ValidationError, DjangoValidationError, OverflowError, DataError):
            self.fail("does_not_exist", pk_value="…")  # A message of the project may contain {pk_value}.
