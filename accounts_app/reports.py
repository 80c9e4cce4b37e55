"""Django's reports of errors, by mail and on the pages of ``DEBUG``, without secrets.

Django hides what is marked as sensitive where ``DEBUG`` is off only. Here it is hidden always: what is tried out on a
machine of one's own is often a real secret.
"""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from accounts_app.redaction import redact


class ReportFilter(SafeExceptionReporterFilter):
    """Hides what is marked as sensitive, fields of forms by their names, and secrets inside of other values."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        fields = super().get_post_parameters(request)
        # By name as well: what fails before the view was found has no marks yet.
        return {name: self.cleanse_setting(name, value) for name, value in fields.items()}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        # A password goes through many hands in Django's forms, under many names.
        hidden = request is not None and any("password" in name for name in request.POST)
        return {name: self.cleansed_substitute if hidden else Shown(value) for name, value in variables}.items()


class Shown:
    """A value as a report shows it: redacted before the report breaks it into lines or cuts it off."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return redact(repr(self._value))


class Reporter(ExceptionReporter):
    """Redacts the whole report at its end: messages of errors, the address, headers, settings."""

    # What comes in is safe HTML, and what is put into it here has no markup.
    def get_traceback_html(self) -> SafeString:
        return SafeString(redact(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redact(super().get_traceback_text()))
