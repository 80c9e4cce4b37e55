"""Limit the fields of a serializer, in place, to the rows that the caller may access (rule S7.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, models
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.serializer_helpers import BindingDict

from finta_keys.fields import AccountRelatedField
from finta_keys.relations import hidden_rows, limited_choices
from finta_keys.request_state import may_read_hidden

# raised by related fields for values that name no row; some of them only by a project's own fields
NO_ROW = (ValidationError, DjangoValidationError, ObjectDoesNotExist, TypeError, ValueError, OverflowError, DataError)


class LimitedFields(BindingDict):
    """The fields of a serializer. Fields that are added later are limited too."""

    def __setitem__(self, name: str, field: Any) -> None:
        super().__setitem__(name, field)
        limit_field(field)


def limit_fields(fields: Any) -> Any:
    """Limit the fields of a serializer, and those that are added to its ``BindingDict`` later."""
    if type(fields) is not LimitedFields:
        for field in fields.values():
            limit_field(field)
        if type(fields) is BindingDict:
            fields.__class__ = LimitedFields
    return fields


def limit_field(field: Any) -> None:
    """Limit a field, and the fields inside it."""
    if vars(field).get("_is_limited") or hasattr(field, "limits_itself"):
        return
    field._is_limited = True
    _limit_validators(field)
    if isinstance(field, ManyRelatedField):
        _limit_list(field)
    elif isinstance(field, RelatedField):
        if not field.read_only and not isinstance(field, AccountRelatedField):
            field.limits = _LimitedRelation(field)  # type: ignore[attr-defined]  # for the list around it
    elif isinstance(field, BaseSerializer) and hasattr(field, "get_fields"):
        _limit_serializer(field)
    elif child := getattr(field, "child", None):
        limit_field(child)


def limited_validators(field: Any) -> list[Any]:
    """Return the validators of a field or serializer. Those for uniqueness compare with accessible rows only."""
    return [_limited_validator(field, validator) for validator in field.validators]


def _limited_validator(field: Any, validator: Any) -> Any:
    original = getattr(validator, "original", validator)
    queryset = getattr(original, "queryset", None)
    if queryset is None:
        return validator
    if getattr(field.root, "compares_all_rows", False):
        return original
    if validator is not original:
        return validator
    limited = copy(validator)
    limited.queryset = limited_choices(field.context.get("request"), queryset)
    limited.original = validator
    return limited


def _limit_validators(field: Any) -> None:
    run_validators = field.run_validators

    def run_limited_validators(value: Any) -> None:
        field.validators = limited_validators(field)
        run_validators(value)

    field.run_validators = run_limited_validators


def _limit_serializer(serializer: Any) -> None:
    """Limit a nested serializer that does not limit itself."""
    get_fields, run_validation = serializer.get_fields, serializer.run_validation

    def get_limited_fields() -> dict[str, Any]:
        fields: dict[str, Any] = get_fields()
        for field in fields.values():
            limit_field(field)
        return fields

    def run_limited_validation(data: Any = empty) -> Any:
        limit_fields(serializer.fields)
        return run_validation(data)

    serializer.get_fields, serializer.run_validation = get_limited_fields, run_limited_validation
    limit_fields(vars(serializer).get("fields", {}))  # Its __init__() has used them.


class _LimitedRelation:
    """Lets a related field accept only rows that the caller may access, with one error for all others."""

    def __init__(self, field: Any) -> None:
        self.field, self.own_get_queryset = field, field.get_queryset
        self.replaced: list[Any] = []  # the field's own queryset, while the limited one is in its place
        field.get_queryset = self.get_queryset
        self.wrap(field)

    def wrap(self, field: Any) -> None:
        """Limit the rows that ``to_internal_value()`` of this field or of the list around it returns."""
        to_internal_value = field.to_internal_value
        methods = (getattr(type(field), name, None) for name in ("to_internal_value", "get_object"))
        is_of_drf = all(method is None or method.__module__.startswith("rest_framework.") for method in methods)

        def to_limited_rows(data: Any) -> Any:
            try:
                return to_internal_value(data) if is_of_drf else self._call_own(to_internal_value, data)
            except NO_ROW:
                message = self.field.error_messages.get("does_not_exist", "{")
                if "{" in message:  # It quotes the value.
                    message = _("There is no such object.")
                raise ValidationError(message, code="does_not_exist") from None

        field.to_internal_value = to_limited_rows

    def limit(self, queryset: Any) -> Any:
        return None if queryset is None else limited_choices(self.field.context.get("request"), queryset)

    def get_queryset(self) -> Any:
        current = self.field.queryset
        if self.replaced:  # Do not limit it twice.
            self.field.queryset = self.replaced[0]
        try:
            return self.limit(self.own_get_queryset())
        finally:
            self.field.queryset = current

    def _call_own(self, to_internal_value: Callable[[Any], Any], data: Any) -> Any:
        """Call the method of a project, which may read ``self.queryset``, and check the rows that it returns."""
        current = self.field.queryset
        self.replaced.append(current)
        if len(self.replaced) == 1:
            self.field.queryset = self.limit(current)
        token = may_read_hidden.set(True)  # The rows that it returns are checked.
        try:
            result = to_internal_value(data)
        finally:
            may_read_hidden.reset(token)
            self.replaced.pop()
            self.field.queryset = current
        for row in result if isinstance(result, Iterable) else [result]:
            if isinstance(row, models.Model) and row.pk is not None:
                self.limit(type(row)._base_manager.all()).get(pk=row.pk)
        return result


def _limit_list(field: Any) -> None:
    """Limit a related field with ``many=True``, and keep the relations to hidden rows."""
    relation = field.child_relation
    if relation.read_only or isinstance(relation, AccountRelatedField):
        return
    limit_field(relation)
    if not type(field).to_internal_value.__module__.startswith("rest_framework."):
        relation.limits.wrap(field)
    to_internal_value = field.to_internal_value

    def to_rows(data: Any) -> list[Any]:
        return [*to_internal_value(data), *hidden_rows(field)]

    field.to_internal_value = to_rows
