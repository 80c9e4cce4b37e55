"""Query parameters of the lists."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from accounts_app.api.fields import AccountIdField, IsoDateField, PageSizeField
from accounts_app.models import Account, Transaction

ALL = "all"


class QuerySerializer(serializers.Serializer[Any]):
    """The query parameters of a list. Unknown and repeated ones are rejected."""

    @classmethod
    def validate_query(cls, query: QueryDict) -> dict[str, Any]:
        """Return the validated parameters.

        Raise ``ValidationError`` under the name of a parameter.
        """
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
