"""Serializers whose related fields and unique validators keep to the rows that the caller may access."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, router, transaction
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.settings import api_settings

from finta_keys.relations import hidden_rows, limited_choices


class ScopedSerializerMixin:
    """Limit a serializer to the rows that the caller may access. Put it before the serializer class.

    Related fields, those of nested serializers included, keep their options and querysets and accept only rows that
    the caller may access. Hidden, missing and malformed values get the same error, which does not quote them. With
    ``many=True``, an update keeps the relations to hidden rows. Unique validators compare with accessible rows only;
    if the database finds a duplicate among the others, the error is the same.
    """

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, limited to the caller."""
        fields: dict[str, Any] = super().get_fields()  # type: ignore[misc]
        for field in fields.values():
            _limit_field(field)
            field.validators = [_limit_validator(self, validator) for validator in field.validators]
        return fields

    def get_validators(self) -> list[Any]:
        """Return the validators of the whole serializer, limited to the caller."""
        return [_limit_validator(self, validator) for validator in super().get_validators()]  # type: ignore[misc]

    def save(self, **kwargs: Any) -> Any:
        """Save the row. A duplicate of a hidden row raises the ``ValidationError`` of any other duplicate."""
        model = getattr(getattr(self, "Meta", None), "model", None)
        try:
            with transaction.atomic(using=router.db_for_write(model) if model else None):
                return super().save(**kwargs)  # type: ignore[misc]
        except IntegrityError:
            if errors := _duplicates(self):
                raise ValidationError(errors) from None
            raise


class ScopedModelSerializer(ScopedSerializerMixin, ModelSerializer[Any]):
    """A ``ModelSerializer`` that is limited to the rows that the caller may access."""


def _limit_field(field: Any) -> None:
    if isinstance(field, ManyRelatedField):
        _limit_field(field.child_relation)
        _keep_hidden(field)
    elif isinstance(field, RelatedField):
        if not field.read_only:
            limit_related_field(field)
    elif isinstance(field, BaseSerializer) and hasattr(field, "get_fields"):
        if not isinstance(field, ScopedSerializerMixin):
            field.get_fields = _limiting(field.get_fields)
    elif child := getattr(field, "child", None):
        _limit_field(child)


def _limiting(get_fields: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def limited_fields() -> dict[str, Any]:
        fields = get_fields()
        for field in fields.values():
            _limit_field(field)
        return fields

    return limited_fields


def limit_related_field(field: Any, account_path: str | None = None) -> None:
    """Let a related field accept only rows that the caller may access, with one error for all others."""
    get_queryset, to_internal_value = field.get_queryset, field.to_internal_value

    def get_limited_queryset() -> Any:
        queryset = get_queryset()
        return None if queryset is None else limited_choices(field.context.get("request"), queryset, account_path)

    def to_row(data: Any) -> Any:
        try:
            return to_internal_value(data)
        except (ValidationError, DjangoValidationError, OverflowError, DataError):
            raise ValidationError(_("There is no such object."), code="does_not_exist") from None

    field.get_queryset, field.to_internal_value = get_limited_queryset, to_row


def _keep_hidden(field: Any) -> None:
    to_internal_value = field.to_internal_value

    def to_rows(data: Any) -> list[Any]:
        return [*to_internal_value(data), *hidden_rows(field)]

    field.to_internal_value = to_rows


def _limit_validator(serializer: Any, validator: Any) -> Any:
    """Return a validator for uniqueness that looks at the accessible rows. It keeps the original for duplicates."""
    queryset = getattr(validator, "queryset", None)
    if queryset is None or hasattr(validator, "unlimited"):
        return validator
    limited = copy(validator)
    limited.queryset = limited_choices(serializer.context.get("request"), queryset)
    limited.unlimited = validator
    return limited


def _duplicates(serializer: Any) -> dict[str, Any]:
    """Return the errors of the unique validators among all rows."""
    errors: dict[str, Any] = {}
    values = getattr(serializer, "validated_data", {})
    for name, field in serializer.fields.items():
        for validator in field.validators:
            if hasattr(validator, "unlimited") and field.source in values:
                _collect(errors, name, validator.unlimited, values[field.source], field)
    for validator in (validator for validator in serializer.validators if hasattr(validator, "unlimited")):
        _collect(errors, api_settings.NON_FIELD_ERRORS_KEY, validator.unlimited, dict(values), serializer)
    return errors


def _collect(errors: dict[str, Any], name: str, validator: Any, value: Any, field: Any) -> None:
    try:
        validator(value, field) if getattr(validator, "requires_context", False) else validator(value)
    except ValidationError as error:
        errors.setdefault(name, []).extend(error.detail if isinstance(error.detail, list) else [error.detail])
