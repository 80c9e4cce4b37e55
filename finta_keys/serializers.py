"""Serializers whose related fields and unique validators keep to the rows that the caller may
access."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, models, router, transaction
from django.utils.functional import cached_property
from rest_framework.serializers import BaseSerializer, ModelSerializer

from finta_keys.limited_fields import limit_field, limit_fields, limited_validators
from finta_keys.request_state import unscoped_rows


class ScopedSerializerMixin:
    """Limit a serializer to the rows that the caller may access. Put it before the serializer
    class.

    Related fields, those of nested serializers included, keep their options and querysets and
    accept only rows that the caller may access. Hidden, missing and malformed values get the same
    error, which does not quote them. With ``many=True``, an update keeps the relations to hidden
    rows. Unique validators compare with accessible rows only; if the database finds a duplicate
    among the others, ``save()`` raises the error of any other duplicate.
    """

    limits_itself = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bases: Any = cls.__mro__
        if BaseSerializer in bases and bases.index(BaseSerializer) < bases.index(ScopedSerializerMixin):
            raise TypeError(f"{cls.__qualname__}: put ScopedSerializerMixin before the serializer class.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if child := getattr(self, "child", None):  # a ListSerializer
            limit_field(child)

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the serializer for ``many=True``."""
        serializer = super().many_init(*args, **kwargs)  # type: ignore[misc]
        serializer.save = partial(_save, serializer, serializer.save)
        return serializer

    @property
    def fields(self) -> Any:
        """The fields, limited to the caller. So are fields that are added later, such as in
        ``__init__()``."""
        cls: Any = type(self)
        fields = vars(self).get("fields") if _keeps_fields(cls) else None
        return limit_fields(super().fields) if fields is None else fields  # type: ignore[misc]

    def run_validators(self, value: Any) -> None:
        """Run the validators of the whole serializer, limited to the caller."""
        self.validators = limited_validators(self)
        super().run_validators(value)  # type: ignore[misc]

    def save(self, **kwargs: Any) -> Any:
        """Save the row. A duplicate of a hidden row raises the ``ValidationError`` of any other
        duplicate."""
        return _save(self, super().save, **kwargs)  # type: ignore[misc]


class ScopedModelSerializer(ScopedSerializerMixin, ModelSerializer[Any]):
    """A ``ModelSerializer`` that is limited to the rows that the caller may access."""


@lru_cache(maxsize=256)
def _keeps_fields(cls: Any) -> bool:
    """Return False if a class after the mixin has a plain ``fields`` property, which runs each
    time."""
    behind: Any = super(ScopedSerializerMixin, cls)
    return isinstance(behind.fields, cached_property)


def _save(serializer: Any, save: Callable[..., Any], **kwargs: Any) -> Any:
    model = getattr(getattr(getattr(serializer, "child", serializer), "Meta", None), "model", None)
    try:
        with transaction.atomic(using=router.db_for_write(model) if model else None):
            return save(**kwargs)
    except (IntegrityError, DjangoValidationError):
        _validate_among_all_rows(serializer)
        raise


def _validate_among_all_rows(serializer: Any) -> None:
    """Validate the data again, now with unique validators that compare with all rows. Raise
    their error."""
    # Validators ignore values that the row already has.
    instance = serializer.instance
    if isinstance(instance, models.QuerySet):
        serializer.instance = instance.all()
    for row in instance if isinstance(instance, list) else [instance]:
        if isinstance(row, models.Model):
            row.refresh_from_db()
    serializer.compares_all_rows = True
    del serializer._validated_data
    with unscoped_rows("the database has found a duplicate among all rows"):
        serializer.is_valid(raise_exception=True)
