"""The fields of the contract: what is written out, and what is accepted."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts_app.api import errors
from accounts_app.api.base import encoded_size
from accounts_app.models import (
    MONEY_DECIMALS,
    MONEY_MAX_DIGITS,
    Account,
    Transaction,
    currency_code,
    fits_a_json_number,
)
from accounts_app.text import cannot_be_stored

MONEY_LIMIT = 10**MONEY_MAX_DIGITS - 1
LIABILITY_TYPES = ("credit", "student", "mortgage")
LIABILITY_MAX_SIZE = 8 * 1024  # bytes of compact JSON
LIABILITY_MAX_DEPTH = 8
LIABILITY_SCHEMA = {
    "type": "object",
    "nullable": True,
    "properties": {"type": {"type": "string", "enum": list(LIABILITY_TYPES)}},
    "required": ["type"],
    "additionalProperties": True,
}

ALL = "all"


# What is written out


@extend_schema_field({"type": "string", "nullable": True})
class NullableText(serializers.CharField):
    """Text that is null in the answer where it is unknown; the database has it empty."""

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # null is the contract's
        return value or None


@extend_schema_field(OpenApiTypes.DOUBLE)
class MoneyOut(serializers.Field[Decimal, Decimal, float, Any]):
    """A sum as a JSON number. At most 15 digits, which a double holds exactly."""

    def to_representation(self, value: Decimal) -> float:
        return float(value)


@extend_schema_field(LIABILITY_SCHEMA)
class LiabilityOut(serializers.DictField):
    """A debt's details, as they were given."""


class Out(serializers.ModelSerializer[Any]):
    """An answer: every field is always there. (Those with a default in the model would be told to be optional.)"""

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[type[Any], dict[str, Any]]:
        field, options = super().build_standard_field(field_name, model_field)
        return field, {**options, "required": True, "read_only": False}

    @classmethod
    def shown(cls, instance: Any) -> dict[str, Any]:
        """Return what the answer says of an object."""
        return _ready(cls).to_representation(instance)


@cache
def _ready(serializer: type[Out]) -> Out:
    """Build the fields once: DRF does for each serializer, which takes longer than to authenticate and to look up."""
    return serializer()


class AccountOut(Out):
    providerAccountId = NullableText(source="provider_account_id")
    bankConnectionId = serializers.UUIDField(source="bank_connection_id", allow_null=True)
    institutionName = NullableText(source="institution_name")
    mask = NullableText()
    subtype = NullableText()
    currentBalance = MoneyOut(source="current_balance")
    availableBalance = MoneyOut(source="available_balance", allow_null=True)
    balanceAsOf = serializers.DateTimeField(source="balance_as_of", allow_null=True)
    closedAt = serializers.DateTimeField(source="closed_at", allow_null=True)
    liability = LiabilityOut(allow_null=True)

    class Meta:
        model = Account
        fields = (
            "id",
            "providerAccountId",
            "bankConnectionId",
            "provider",
            "institutionName",
            "name",
            "mask",
            "type",
            "subtype",
            "currency",
            "currentBalance",
            "availableBalance",
            "balanceAsOf",
            "closedAt",
            "status",
            "liability",
        )


class TransactionOut(Out):
    bankConnectionId = serializers.UUIDField(source="account.bank_connection_id", allow_null=True)
    bankAccountId = serializers.UUIDField(source="account_id")
    providerId = serializers.CharField(source="provider_id")
    amount = MoneyOut()
    authorizedDate = serializers.DateField(source="authorized_date", allow_null=True)
    postedDate = serializers.DateField(source="posted_date", allow_null=True)
    merchantName = NullableText(source="merchant_name")
    categoryId = serializers.UUIDField(source="category_id", allow_null=True)
    fees = MoneyOut(allow_null=True)
    feeType = NullableText(source="fee_type")
    netAmount = MoneyOut(source="net_amount", allow_null=True)
    subAccount = NullableText(source="sub_account")
    paymentChannel = NullableText(source="payment_channel")
    checkNumber = NullableText(source="check_number")
    originalDescription = NullableText(source="original_description")
    source = NullableText()  # type: ignore[assignment]  # declared fields do not become attributes

    class Meta:
        model = Transaction
        fields = (
            "id",
            "bankConnectionId",
            "bankAccountId",
            "provider",
            "providerId",
            "summary",
            "status",
            "amount",
            "currency",
            "authorizedDate",
            "postedDate",
            "merchantName",
            "categoryId",
            "fees",
            "feeType",
            "netAmount",
            "subAccount",
            "paymentChannel",
            "checkNumber",
            "originalDescription",
            "source",
        )


# What is accepted


class Text(serializers.CharField):
    """A JSON string: a number is not taken for one. Null means unknown, where that is allowed."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return super().validate_empty_values("" if data is None and self.allow_null else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class OptionalText(Text):
    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **options)


@extend_schema_field({"type": "number", "format": "double", "minimum": -MONEY_LIMIT, "maximum": MONEY_LIMIT})
class Money(serializers.DecimalField):
    """A JSON number of at most 15 digits in all, at most 4 of them decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_digits=MONEY_MAX_DIGITS + MONEY_DECIMALS,
            decimal_places=MONEY_DECIMALS,
            validators=[fits_a_json_number],
            **options,
        )

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # Past DRF's own, which takes an empty string for null.
        return serializers.Field.validate_empty_values(self, data)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(LIABILITY_SCHEMA)
class Liability(serializers.Field[Any, Any, Any, Any]):
    """A debt's details: its ``type``, and further fields that are kept as given."""

    default_error_messages = {
        "object": "Give an object, or null.",
        "type": f"Its type must be one of {', '.join(LIABILITY_TYPES)}.",
        "size": f"Its JSON may have {LIABILITY_MAX_SIZE // 1024} kB at most.",
        "depth": f"It may nest {LIABILITY_MAX_DEPTH} levels at most.",
        "content": "It contains a number or a character that cannot be stored.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("object")
        if data.get("type") not in LIABILITY_TYPES:
            self.fail("type")
        self._check(data, LIABILITY_MAX_DEPTH)
        if encoded_size(data) > LIABILITY_MAX_SIZE:
            self.fail("size")
        return data

    def _check(self, value: Any, levels: int) -> None:
        if isinstance(value, str) and cannot_be_stored(value):
            self.fail("content")
        if isinstance(value, float) and not math.isfinite(value):
            self.fail("content")
        if isinstance(value, dict | list) and not levels:
            self.fail("depth")
        if isinstance(value, dict):
            value = [*value.keys(), *value.values()]
        if isinstance(value, list):
            for each in value:
                self._check(each, levels - 1)


class AccountIn(serializers.Serializer[Account]):
    """The writable fields of a manual account. Unknown ones are refused: a typo must not look like success."""

    name = Text(max_length=200)
    type = Text(max_length=50)
    currency = Text(validators=[currency_code])
    currentBalance = Money(source="current_balance")
    subtype = OptionalText(max_length=50)
    institutionName = OptionalText(max_length=200, source="institution_name")
    mask = OptionalText(max_length=10)
    availableBalance = Money(source="available_balance", required=False, allow_null=True)
    liability = Liability(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields))
        if unknown:
            writable = ", ".join(self.fields)
            raise serializers.ValidationError(
                {unknown[0][:50]: f"This is no field that can be set. Those are {writable}."}
            )
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


class Day(serializers.DateField):
    """``YYYY-MM-DD`` and nothing else; ``strptime`` would take ``2026-1-5`` and digits of other scripts."""

    def to_internal_value(self, value: Any) -> date:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class Limit(serializers.IntegerField):
    """How many rows a page has, in plain digits."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"[0-9]+", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.UUID)
class AccountId(serializers.CharField):
    """The id of an account, which the view has found before: a malformed one is 404, not 400."""


class AccountQuery(serializers.Serializer[Any]):
    status = serializers.ChoiceField([*Account.Status.values, ALL], default=Account.Status.ACTIVE)
    type = serializers.CharField(required=False)
    bankConnectionId = serializers.UUIDField(required=False)


class TransactionQuery(serializers.Serializer[Any]):
    bankAccountId = AccountId(required=False, help_text="An account's id.")
    bankConnectionId = serializers.UUIDField(required=False)
    status = serializers.ChoiceField([*Transaction.Status.values, ALL], default=Transaction.Status.POSTED)
    startDate = Day(required=False, input_formats=["%Y-%m-%d"], help_text="The first posted date.")
    endDate = Day(required=False, input_formats=["%Y-%m-%d"], help_text="The last posted date.")
    limit = Limit(default=50, min_value=1, max_value=250)
    cursor = serializers.CharField(required=False, help_text="`nextCursor` of the page before.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "startDate" in attrs and "endDate" in attrs and attrs["startDate"] > attrs["endDate"]:
            raise serializers.ValidationError({"endDate": "This is before startDate. Swap the two."})
        return attrs


# Whole answers


class AccountAnswer(serializers.Serializer[Any]):
    account = AccountOut()


class AccountsAnswer(serializers.Serializer[Any]):
    accounts = AccountOut(many=True)


class PageInfo(serializers.Serializer[Any]):
    nextCursor = serializers.CharField(allow_null=True)
    hasMore = serializers.BooleanField()


class TransactionsAnswer(serializers.Serializer[Any]):
    transactions = TransactionOut(many=True)
    pageInfo = PageInfo()


class MeAnswer(serializers.Serializer[Any]):
    userId = serializers.UUIDField()
    email = serializers.EmailField()
    storageMode = serializers.BooleanField()


class HealthAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok"])


class UnauthorizedAnswer(serializers.Serializer[Any]):
    error = serializers.CharField()


class ErrorDetails(serializers.Serializer[Any]):
    code = serializers.ChoiceField(sorted([*errors.CODES.values(), errors.STORAGE_MODE_REQUIRED]))
    message = serializers.CharField()


class ErrorAnswer(serializers.Serializer[Any]):
    error = ErrorDetails()
