"""The JSON of requests and responses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache
from operator import attrgetter
from typing import Any

from rest_framework import serializers

from accounts_app.api import errors
from accounts_app.api.fields import (
    LiabilityInputField,
    LiabilityOutputField,
    MoneyInputField,
    MoneyOutputField,
    NullableTextField,
    OptionalTextField,
    StrictTextField,
)
from accounts_app.models import Account, Transaction
from accounts_app.validators import validate_currency

# Output


class OutputSerializer(serializers.ModelSerializer[Any]):
    """Declares every field as required, because responses contain all of them.

    DRF would declare fields with a default in the model as optional.
    """

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[type[Any], dict[str, Any]]:
        field, options = super().build_standard_field(field_name, model_field)
        return field, {**options, "required": True, "read_only": False}

    @classmethod
    def to_json(cls, instance: Any) -> dict[str, Any]:
        """Return the same as ``cls(instance).data``, many times as fast."""
        return {
            name: None if (value := get_value(instance)) is None else represent(value)
            for name, get_value, represent in _output_fields(cls)
        }


# Faster functions with the results of to_representation() of these fields, for the values of our
# models.
REPRESENT: dict[type[Any], Callable[[Any], Any]] = {
    serializers.CharField: str,
    serializers.UUIDField: str,
    serializers.DateField: date.isoformat,
    MoneyOutputField: float,
}


@cache
def _output_fields(serializer: type[OutputSerializer]) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]:
    """Return the name of each field, and functions that read and represent its value.

    DRF builds the fields per instance, which takes longer than the whole request.
    """
    return [
        (name, attrgetter(field.source or name), REPRESENT.get(type(field), field.to_representation))
        for name, field in serializer().fields.items()
    ]


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
    bankConnectionId = serializers.UUIDField(source="bank_connection_id", allow_null=True)  # annotated
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


class KeyResponse(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    hint = serializers.CharField()
    permission = serializers.ChoiceField(["read_write", "read_only"])
    expiresAt = serializers.DateTimeField(allow_null=True)
    shareAllAccounts = serializers.BooleanField()


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
