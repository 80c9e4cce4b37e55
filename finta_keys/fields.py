"""Serializer fields that tell no more of accounts than the key that calls may see (rules S3 and S4)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, models
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ValidationError
from rest_framework.relations import PrimaryKeyRelatedField

from finta_keys import conf
from finta_keys.scoping import choices, visible


class AccountRelatedField(PrimaryKeyRelatedField[Any]):
    """A relation to an account, by its primary key, that takes and offers only what the caller may see.

    For a relation to another model give its ``queryset``, and ``account_path``, the way from that model to the
    account, as in ``AccountScopeMixin``. Takes all that ``PrimaryKeyRelatedField`` takes, ``many=True`` too.

    It needs the request, which generic views put into the serializer's context; without one it takes nothing. What is
    hidden, somebody else's, missing or malformed gets the same error, which does not quote it.

    What the row that is shown is related to, it shows as it is: give it ``write_only=True`` where that may be hidden.
    """

    default_error_messages = {"does_not_exist": gettext_lazy("There is no such object.")}

    def __init__(self, *, account_path: str = "", **kwargs: Any) -> None:
        self.account_path = account_path
        super().__init__(**kwargs)

    def get_queryset(self) -> models.QuerySet[Any] | None:
        """Return what the caller may choose from; None where the field is read only."""
        if self.read_only:
            return None
        queryset = super().get_queryset()
        if queryset is None:
            queryset = conf.account_model()._default_manager.all()
        request = self.context.get("request")
        # What a POST creates is within the scope by this; what others show or change is not.
        limit = visible if getattr(request, "method", None) == "POST" else choices
        return limit(request, queryset, self.account_path)

    def to_internal_value(self, data: Any) -> Any:
        """Return the row of this primary key. Raises DRF's ``ValidationError``, always the same."""
        try:
            return super().to_internal_value(data)
        except (ValidationError, DjangoValidationError, OverflowError, DataError):  # The last: text that is none.
            self.fail("does_not_exist", pk_value="…")  # for messages of the host, which may ask for it
