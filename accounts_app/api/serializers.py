"""The JSON of requests and responses."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts_app.api import errors
from accounts_app.models import Account, Transaction
from accounts_app.validators import (
    LIABILITY_TYPES,
    MONEY_DECIMALS,
    MONEY_MAX_DIGITS,
    validate_currency,
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

ALL = "all"


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


class OutputSerializer(serializers.ModelSerializer[Any]):
    """Declares every field as required, because responses contain all of them.

    DRF would declare fields with a default in the model as optional.
    """

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[type[Any], dict[str, Any]]:
        field, options = super().build_standard_field(field_name, model_field)
        return field, {**options, "required": True, "read_only": False}

    @classmethod
    def to_json(cls, instance: Any) -> dict[str, Any]:
        """Return the JSON of an object."""
        return _cached_serializer(cls).to_representation(instance)


@cache
def _cached_serializer(serializer: type[OutputSerializer]) -> OutputSerializer:
    """Build the fields only once.

    DRF builds them per instance, which takes longer than the whole request.
    """
    return serializer()


class AccountSerializer(OutputSerializer):
    providerAccountId = NullableTextField(source="provider_account_id")
    bankConnectionId = serializers.UUIDField(source="bank_connection_id", allow_null=True)
    institutionName = NullableTextField(source="institution_name")
    mask = NullableTextField()
    subtype = NullableTextField()
    currentBalance = MoneyOutputField(source="current_balance")
    availableBalance = MoneyOutputField(source="available_balance", allow_null=True)
    balanceAsOf = serializers.DateTimeField(source="balance_as_of", allow_null=True)
    closedAt = serializers.DateTimeField(source="closed_at", allow_null=True)
    liability = LiabilityOutputField(allow_null=True)

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


class TransactionSerializer(OutputSerializer):
    bankConnectionId = serializers.UUIDField(source="account.bank_connection_id", allow_null=True)
    bankAccountId = serializers.UUIDField(source="account_id")
    providerId = serializers.CharField(source="provider_id")
    amount = MoneyOutputField()
    authorizedDate = serializers.DateField(source="authorized_date", allow_null=True)
    postedDate = serializers.DateField(source="posted_date", allow_null=True)
    merchantName = NullableTextField(source="merchant_name")
    categoryId = serializers.UUIDField(source="category_id", allow_null=True)
    fees = MoneyOutputField(allow_null=True)
    feeType = NullableTextField(source="fee_type")
    netAmount = MoneyOutputField(source="net_amount", allow_null=True)
    subAccount = NullableTextField(source="sub_account")
    paymentChannel = NullableTextField(source="payment_channel")
    checkNumber = NullableTextField(source="check_number")
    originalDescription = NullableTextField(source="original_description")
    source = NullableTextField()  # type: ignore[assignment]  # declared fields do not become attributes

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


class AccountInputSerializer(serializers.Serializer[Account]):
    """The writable fields of a manual account.

    Unknown fields are rejected, so that a typo is noticed.
    """

    name = StrictTextField(max_length=200)
    type = StrictTextField(max_length=50)
    currency = StrictTextField(validators=[validate_currency])
    currentBalance = MoneyInputField(source="current_balance")
    subtype = OptionalTextField(max_length=50)
    institutionName = OptionalTextField(max_length=200, source="institution_name")
    mask = OptionalTextField(max_length=10)
    availableBalance = MoneyInputField(source="available_balance", required=False, allow_null=True)
    liability = LiabilityInputField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields))
        if unknown:
            writable = ", ".join(self.fields)
            raise serializers.ValidationError(
                {unknown[0][:50]: f"Unknown or read-only field. The writable fields are {writable}."}
            )
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


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


class QuerySerializer(serializers.Serializer[Any]):
    """The query parameters of a list. Unknown and repeated ones are rejected."""

    @classmethod
    def validate_query(cls, query: QueryDict) -> dict[str, Any]:
        """Return the validated parameters. Raise ``ValidationError`` under the name of a parameter."""
        # A plain dict, because DRF treats empty values in form data as missing and would ignore the
        # filter.
        serializer = cls(data=query.dict())
        for name, values in query.lists():
            if name not in serializer.fields:
                raise serializers.ValidationError({name[:50]: _unknown_parameter(name, list(serializer.fields))})
            if len(values) > 1:
                raise serializers.ValidationError({name: "Give this parameter only once."})
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def _unknown_parameter(name: str, known: list[str]) -> str:
    lowercase = {parameter.lower(): parameter for parameter in known}
    matches = get_close_matches(name[:50].lower(), lowercase, n=1, cutoff=0.7)
    if matches:
        return f"Unknown parameter. Perhaps you mean {lowercase[matches[0]]}."
    return f"Unknown parameter. The parameters are {', '.join(known)}."


class AccountQuerySerializer(QuerySerializer):
    status = serializers.ChoiceField([*Account.Status.values, ALL], default=Account.Status.ACTIVE)
    type = serializers.CharField(required=False)
    bankConnectionId = serializers.UUIDField(required=False)


class TransactionQuerySerializer(QuerySerializer):
    bankAccountId = AccountIdField(required=False, help_text="An account's id.")
    bankConnectionId = serializers.UUIDField(required=False)
    categoryId = serializers.UUIDField(required=False)
    status = serializers.ChoiceField([*Transaction.Status.values, ALL], default=Transaction.Status.POSTED)
    startDate = IsoDateField(required=False, input_formats=["%Y-%m-%d"], help_text="The first posted date.")
    endDate = IsoDateField(required=False, input_formats=["%Y-%m-%d"], help_text="The last posted date.")
    limit = PageSizeField(default=50, min_value=1, max_value=250)
    cursor = serializers.CharField(required=False, help_text="`nextCursor` of the previous page.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "startDate" in attrs and "endDate" in attrs and attrs["startDate"] > attrs["endDate"]:
            raise serializers.ValidationError({"endDate": "endDate is before startDate."})
        return attrs


# Responses, for the OpenAPI document


class AccountResponse(serializers.Serializer[Any]):
    account = AccountSerializer()


class AccountsResponse(serializers.Serializer[Any]):
    accounts = AccountSerializer(many=True)


class PageInfo(serializers.Serializer[Any]):
    nextCursor = serializers.CharField(allow_null=True)
    hasMore = serializers.BooleanField()


class TransactionsResponse(serializers.Serializer[Any]):
    transactions = TransactionSerializer(many=True)
    pageInfo = PageInfo()


class MeResponse(serializers.Serializer[Any]):
    userId = serializers.UUIDField()
    email = serializers.EmailField()
    storageMode = serializers.BooleanField()


class HealthResponse(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok"])


class UnauthorizedResponse(serializers.Serializer[Any]):
    error = serializers.CharField()


class ErrorDetails(serializers.Serializer[Any]):
    # Not an enum: generated clients would fail on a code that a later release adds.
    code = serializers.CharField(help_text=f"One of {', '.join(errors.all_codes())}; more may follow.")
    message = serializers.CharField()


class ErrorResponse(serializers.Serializer[Any]):
    error = ErrorDetails()
