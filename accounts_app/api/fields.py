"""Serializer fields of the API."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts_app.validators import (
    LIABILITY_TYPES,
    MONEY_DECIMALS,
    MONEY_MAX_DIGITS,
    validate_liability,
    validate_money,
    validate_single_line,
)

MONEY_LIMIT = 10**MONEY_MAX_DIGITS - 1
LIABILITY_SCHEMA = {
    "type": "object",
    "nullable": True,
    "properties": {"type": {"type": "string", "enum": list(LIABILITY_TYPES)}},
    "required": ["type"],
    "additionalProperties": True,
}


# Output


@extend_schema_field({"type": "string", "nullable": True})
class NullableTextField(serializers.CharField):
    """Text that is empty in the database and null in JSON if it is unknown."""

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # null is the contract's
        return value or None


@extend_schema_field(OpenApiTypes.DOUBLE)
class MoneyOutputField(serializers.Field[Decimal, Decimal, float, Any]):
    """An amount as a JSON number. Its 15 digits at most are exact in a double."""

    def to_representation(self, value: Decimal) -> float:
        return float(value)


@extend_schema_field(LIABILITY_SCHEMA)
class LiabilityOutputField(serializers.DictField):
    """The details of a debt, unchanged."""


# Input


class StrictTextField(serializers.CharField):
    """A JSON string; numbers are rejected. If null is allowed, it means unknown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(validate_single_line)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return super().validate_empty_values("" if data is None and self.allow_null else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class OptionalTextField(StrictTextField):
    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **options)


@extend_schema_field({"type": "number", "format": "double", "minimum": -MONEY_LIMIT, "maximum": MONEY_LIMIT})
class MoneyInputField(serializers.DecimalField):
    """A JSON number of at most 15 digits in all, at most 4 of them decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=None, decimal_places=MONEY_DECIMALS, **options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # Skips DecimalField's method, which treats an empty string as null.
        return serializers.Field.validate_empty_values(self, data)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)

    def validate_precision(self, value: Decimal) -> Decimal:
        # Before DRF rounds the value, which fails for very large ones.
        try:
            validate_money(value)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return super().validate_precision(value)


@extend_schema_field(LIABILITY_SCHEMA)
class LiabilityInputField(serializers.Field[Any, Any, Any, Any]):
    """The details of a debt: its ``type``, and any other fields."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validators=[validate_liability], **options)

    def to_internal_value(self, data: Any) -> Any:
        return data


# Query parameters


class IsoDateField(serializers.DateField):
    """Only ``YYYY-MM-DD``. ``strptime`` would accept ``2026-1-5`` and digits of other scripts."""

    def to_internal_value(self, value: Any) -> date:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class PageSizeField(serializers.IntegerField):
    """The number of rows per page, in ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"[0-9]+", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.UUID)
class AccountIdField(serializers.CharField):
    """An account id. The view has already looked it up, so a malformed id is a 404, not a 400."""
