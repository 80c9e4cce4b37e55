"""Limit the fields of a serializer, in place, to the rows that the caller may access (rule
S7.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from functools import lru_cache, partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.serializer_helpers import BindingDict

from finta_keys.database import INVALID_VALUE_ERRORS
from finta_keys.relations import hidden_rows, limited_choices
from finta_keys.request_state import watch_is_silent
from finta_keys.scope_queries import pks_by_model

# raised by related fields for values that name no row; some of them only by a project's own fields
NO_ROW_ERRORS = (ValidationError, ObjectDoesNotExist, TypeError, *INVALID_VALUE_ERRORS)


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
        _limit_relation(field)
    elif isinstance(field, BaseSerializer) and hasattr(field, "get_fields"):
        _limit_nested_serializer(field)
    elif child := getattr(field, "child", None):
        limit_field(child)


def limited_validators(field: Any) -> list[Any]:
    """Return the validators of a field or serializer. Those for uniqueness compare with
    accessible rows only."""
    return [_limited_validator(field, validator) for validator in field.validators]


def _limited_validator(field: Any, validator: Any) -> Any:
    unlimited = getattr(validator, "unlimited", validator)
    if getattr(unlimited, "queryset", None) is None:
        return validator
    if getattr(field.root, "compares_all_rows", False):
        return unlimited
    if validator is not unlimited:  # It is the limited copy.
        return validator
    limited = copy(validator)
    limited.queryset = limited_choices(field.context.get("request"), validator.queryset)
    limited.unlimited = validator
    return limited


def _limit_validators(field: Any) -> None:
    run_validators = field.run_validators

    def run_limited_validators(value: Any) -> None:
        field.validators = limited_validators(field)
        run_validators(value)

    field.run_validators = run_limited_validators


def _limit_nested_serializer(serializer: Any) -> None:
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


def _limit_relation(relation: Any) -> None:
    """Let a related field accept only rows that the caller may access, with one error for all
    others."""
    if getattr(relation, "limits_rows", False):  # an AccountRelatedField
        return
    get_queryset = relation.get_queryset
    relation.get_queryset = lambda: limit_rows(relation, get_queryset())
    limit_input(relation, relation)


def limit_rows(relation: Any, queryset: Any) -> Any:
    """Return the rows of a queryset that a related field may accept, or None if there is no
    queryset."""
    if queryset is None:
        return None
    return limited_choices(relation.context.get("request"), queryset, getattr(relation, "account_path", None))


def limit_input(field: Any, relation: Any) -> None:
    """Limit the rows that ``to_internal_value()`` of a related field, or of the list around it,
    returns."""
    to_internal_value = field.to_internal_value
    field_class: Any = type(field)
    if not _is_of_drf(field_class):
        to_internal_value = partial(_call_own, relation, to_internal_value)

    def to_limited_rows(data: Any) -> Any:
        try:
            return to_internal_value(data)
        except NO_ROW_ERRORS:
            message = relation.error_messages.get("does_not_exist", "{")
            if "{" in message:  # It quotes the value.
                message = _("There is no such object.")
            raise ValidationError(message, code="does_not_exist") from None

    field.to_internal_value = to_limited_rows


@lru_cache(maxsize=256)
def _is_of_drf(field_class: Any) -> bool:
    """Return True if Django REST framework looks up the rows of a field: by ``get_queryset()``,
    which is limited."""
    methods = (getattr(field_class, name, None) for name in ("to_internal_value", "get_object"))
    return all(method is None or method.__module__.startswith("rest_framework.") for method in methods)


def _call_own(relation: Any, to_internal_value: Callable[[Any], Any], data: Any) -> Any:
    """Call the method of a project, which may read ``self.queryset``, and check the rows that it
    returns.

    If it finds none, a query is sent all the same, so that a missing row costs as much as a hidden
    one.
    """
    queryset = relation.queryset
    relation.queryset = limit_rows(relation, queryset)
    token = watch_is_silent.set(True)  # The rows that it returns are checked.
    try:
        result = to_internal_value(data)
    except NO_ROW_ERRORS:
        if (rows := relation.get_queryset()) is not None:
            limit_rows(relation, rows.model._base_manager.all()).exists()
        raise
    finally:
        watch_is_silent.reset(token)
        relation.queryset = queryset
    rows = result if isinstance(result, Iterable) else [result]
    rows = [row for row in rows if isinstance(row, models.Model) and row.pk is not None]
    for model, pks in pks_by_model(rows).items():
        if limit_rows(relation, model._base_manager.filter(pk__in=pks)).count() < len(pks):
            raise ObjectDoesNotExist
    return result


def _limit_list(field: Any) -> None:
    """Limit a related field with ``many=True``, and keep the relations to hidden rows."""
    relation = field.child_relation
    if getattr(field, "limits_rows", False):
        return
    limit_field(relation)
    field_class: Any = type(field)
    if not _is_of_drf(field_class):
        limit_input(field, relation)
    to_internal_value, bind = field.to_internal_value, field.bind

    def to_rows(data: Any) -> list[Any]:
        return [*to_internal_value(data), *hidden_rows(field)]

    def bind_to_serializer(field_name: str, parent: Any) -> None:
        bind(field_name, parent)
        keep_hidden_rows(field)

    field.to_internal_value, field.bind = to_rows, bind_to_serializer
    if field.parent is not None:
        keep_hidden_rows(field)


def keep_hidden_rows(field: Any) -> None:
    """Keep the relations to hidden rows if a serializer updates another row than its own, as list
    serializers do.

    The update() of the serializer is wrapped, because a project's own may not call that of a base
    class.
    """
    update = getattr(field.parent, "update", None)
    if update is None:  # The parent is a ListField.
        return

    def with_hidden_rows(instance: Any, data: Any, source: list[str]) -> Any:
        """Return a copy, because the same data may update several rows."""
        name, *rest = source
        if name not in data:
            return data
        value = with_hidden_rows(instance, data[name], rest) if rest else [*data[name], *hidden_rows(field, instance)]
        return {**data, name: value}

    def update_and_keep(instance: Any, validated_data: Any, *args: Any, **kwargs: Any) -> Any:
        if instance is not getattr(field.parent, "instance", None):  # else the field has kept them
            validated_data = with_hidden_rows(instance, validated_data, str(field.source).split("."))
        return update(instance, validated_data, *args, **kwargs)

    field.parent.update = update_and_keep
