"""Error reports without secrets: the mail to ``ADMINS`` and the debug pages.

Django hides sensitive values only if ``DEBUG`` is off. Here they are always hidden, because
developers often try real secrets on their own machines.
"""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.log import AdminEmailHandler
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from finta_keys.redaction import redact


class RedactingReporterFilter(SafeExceptionReporterFilter):
    """Hides sensitive variables, form fields with sensitive names, and secrets inside other
    values."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        parameters = super().get_post_parameters(request)
        # Also by name: if a request fails before its view is resolved, no decorator has marked its
        # fields.
        return {name: self.cleanse_setting(name, value) for name, value in parameters.items()}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        # Django's forms hold a password in many local variables with different names.
        has_password = request is not None and any("password" in name for name in request.POST)
        return {
            name: self.cleansed_substitute if has_password else RedactedRepr(value) for name, value in variables
        }.items()


class RedactedRepr:
    """Redacts the ``repr()`` of a value before the report wraps or truncates it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return redact(repr(self._value))


class RedactingReporter(ExceptionReporter):
    """Redacts the finished report: exception messages, the URL, headers and settings."""

    # SafeString stays correct: the report is safe HTML, and the replacements contain no markup.
    def get_traceback_html(self) -> SafeString:
        return SafeString(redact(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redact(super().get_traceback_text()))


class RedactingAdminEmailHandler(AdminEmailHandler):
    """Redacts the subject, which contains the path. ``RedactingReporter`` redacts the body."""

    def format_subject(self, subject: str) -> str:
        return redact(super().format_subject(subject))
