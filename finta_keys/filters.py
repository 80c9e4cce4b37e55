"""A filter backend for django-filter whose choices keep to the rows that the caller may access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import DataError
from django_filters import AllValuesFilter, AllValuesMultipleFilter
from django_filters.rest_framework import DjangoFilterBackend

from finta_keys.relations import limited_choices

# codes of errors about values that name no row or choice; some of their messages quote it
NO_CHOICE_CODES = ("invalid", "invalid_choice", "invalid_pk_value", "null_characters_not_allowed")


class ScopedFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # it ships no types
    """A ``DjangoFilterBackend`` that accepts only rows and values that the caller may access.

    Hidden, missing and malformed values get the same error, which does not quote them. Querysets of filters may be
    callables. A filterset may use and change its form in ``__init__()``. At views without ``AccountScopeMixin`` or
    ``@scoped_view`` it limits nothing, so it may stand in ``DEFAULT_FILTER_BACKENDS``.
    """

    def get_filterset(self, request: Any, queryset: Any, view: Any) -> Any:
        """Return the filterset, limited to the caller, or None if the view filters by nothing."""
        filterset = super().get_filterset(request, queryset, view)
        if filterset is None or not getattr(view, "is_scoped", False):
            return filterset
        form_was_used = "_form" in vars(filterset)  # by __init__() of the filterset
        for name, filter_ in filterset.filters.items():
            if isinstance(filter_, AllValuesFilter | AllValuesMultipleFilter):
                _limit_values(filter_, request)
                if name in filterset.form.fields:
                    _use_one_error(filterset.form.fields[name])
                    filterset.form.fields[name].choices = filter_.field.choices
        for field in _single_fields(filterset.form.fields.values()):
            if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                field.queryset = limited_choices(request, field.queryset)
                _use_one_error(field)
        if form_was_used:  # It may have been validated, too.
            filterset.form._errors = None
            vars(filterset).pop("_qs", None)
        return filterset


def _single_fields(fields: Iterable[forms.Field]) -> Iterator[forms.Field]:
    """Yield the fields, and those inside fields with several values, such as of a ``LookupChoiceFilter``."""
    for field in fields:
        yield field
        if isinstance(field, forms.MultiValueField):
            if isinstance(field.widget, forms.MultiWidget):  # It has copies of their widgets.
                for part, widget in zip(field.fields, field.widget.widgets, strict=False):
                    part.widget = widget
            yield from _single_fields(field.fields)


def _use_one_error(field: Any) -> None:
    """Raise the same error for values that name a hidden row, a missing one, or none."""
    clean, message = field.clean, field.error_messages["invalid_choice"]
    if "%" in message:  # It quotes the value.
        message = forms.ModelChoiceField.default_error_messages["invalid_choice"]

    def clean_with_one_error(value: Any) -> Any:
        try:
            return clean(value)
        except (ValidationError, OverflowError, DataError) as error:
            if isinstance(error, ValidationError) and getattr(error, "code", None) not in NO_CHOICE_CODES:
                raise
            raise ValidationError(message, code="invalid_choice") from None

    field.clean = clean_with_one_error


def _limit_values(filter_: Any, request: Any) -> None:
    """Let a filter read its choices from limited rows. It reads them from the default manager of its model."""
    model = filter_.model
    rows = limited_choices(request, model._default_manager.all())
    filter_.model = SimpleNamespace(_meta=model._meta, _default_manager=rows)
    vars(filter_).pop("_field", None)
