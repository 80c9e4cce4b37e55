"""A filter backend for django-filter whose choices keep to the rows that the caller may access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from django import forms
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, models
from django_filters import AllValuesFilter, AllValuesMultipleFilter
from django_filters.rest_framework import DjangoFilterBackend

from finta_keys.database import INVALID_VALUE_ERRORS
from finta_keys.relations import limited_choices
from finta_keys.request_state import watch_is_silent
from finta_keys.scope_queries import pks_by_model

# codes of errors about values that name no row or choice; some of their messages quote it
NO_CHOICE_CODES = ("invalid", "invalid_choice", "invalid_pk_value", "null_characters_not_allowed")


class ScopedFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # it ships no types
    """A ``DjangoFilterBackend`` that accepts only rows and values that the caller may access.

    Hidden, missing and malformed values get the same error, which does not quote them. Querysets of
    filters may be callables. A filterset may use and change its form in ``__init__()``. At views
    without ``AccountScopeMixin`` or ``@scoped_view`` it limits nothing, so it may stand in
    ``DEFAULT_FILTER_BACKENDS``.
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
                field_class: Any = type(field)
                if not _is_of_django(field_class):
                    _check_rows(field, request)
                _use_one_error(field)
        if form_was_used:  # It may have been validated, too.
            filterset.form._errors = None
            vars(filterset).pop("_qs", None)
        return filterset


def _single_fields(fields: Iterable[forms.Field]) -> Iterator[forms.Field]:
    """Yield the fields, and those inside fields with several values, such as of a
    ``LookupChoiceFilter``."""
    for field in fields:
        yield field
        if isinstance(field, forms.MultiValueField):
            if isinstance(field.widget, forms.MultiWidget):  # It has copies of their widgets.
                for part, widget in zip(field.fields, field.widget.widgets, strict=False):
                    part.widget = widget
            yield from _single_fields(field.fields)


@lru_cache(maxsize=256)
def _is_of_django(field_class: Any) -> bool:
    """Return True if Django or django-filter looks up the rows of a form field: in its queryset,
    which is limited."""
    methods = (getattr(field_class, name, None) for name in ("clean", "to_python", "_check_values"))
    return all(method is None or method.__module__.startswith(("django.", "django_filters.")) for method in methods)


def _check_rows(field: Any, request: Any) -> None:
    """Check the rows that a form field of the project finds, which may look them up in any way.

    If it finds none, a query is sent all the same, so that a missing row costs as much as a hidden
    one.
    """
    clean = field.clean

    def clean_and_check(value: Any) -> Any:
        token = watch_is_silent.set(True)
        try:
            result = clean(value)
            is_hidden = _has_hidden_rows(result, request)
        except (ObjectDoesNotExist, *INVALID_VALUE_ERRORS) as error:
            if getattr(error, "code", None) == "required":
                raise
            is_hidden = True
            limited_choices(request, field.queryset.model._base_manager.all()).exists()
        finally:
            watch_is_silent.reset(token)
        if is_hidden:
            raise ValidationError("", code="invalid_choice")
        return result

    field.clean = clean_and_check


def _has_hidden_rows(result: Any, request: Any) -> bool:
    """Return True if the caller may not access one of these rows. Costs one query for rows of
    one model."""
    if isinstance(result, models.QuerySet):
        visible = limited_choices(request, result.model._base_manager.all())
        return result.using(visible.db).exclude(pk__in=visible.values("pk")).exists()
    rows = result if isinstance(result, Iterable) else [result]
    return any(
        limited_choices(request, model._base_manager.filter(pk__in=pks)).count() < len(pks)
        for model, pks in pks_by_model(row for row in rows if isinstance(row, models.Model)).items()
    )


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
    """Let a filter read its choices from limited rows. It reads them from the default manager of
    its model."""
    model = filter_.model
    rows = limited_choices(request, model._default_manager.all())
    filter_.model = SimpleNamespace(_meta=model._meta, _default_manager=rows)
    vars(filter_).pop("_field", None)
