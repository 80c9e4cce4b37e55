"""How a line of the log looks: for people where ``DEBUG`` is on, one JSON object for programs elsewhere.

Logging is set up before apps are: nothing here may import a model.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.utils.log import AdminEmailHandler

from accounts_app.redaction import redact

request_id: ContextVar[str | None] = ContextVar("finta_request_id", default=None)


class LineFormatter(logging.Formatter):
    """Lines for people: time, level, logger, message, id of the request; a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        # The whole line at its end: whatever way a secret has come into it, it does not get out.
        return redact(self.line(record))

    def line(self, record: logging.LogRecord) -> str:
        """Return the line, before anything is taken out of it."""
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record)}"
        if request_id.get():
            line += f" [{request_id.get()}]"
        return "\n".join((line, *self._attached(record).values()))

    def _attached(self, record: logging.LogRecord) -> dict[str, str]:
        texts = {}
        if record.exc_info:
            texts["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            texts["stack"] = self.formatStack(record.stack_info)
        return texts


class JsonFormatter(LineFormatter):
    """One JSON object a line, for programs: what ``LineFormatter`` has, and the record's own fields."""

    def line(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": _time(record),
                "level": record.levelname,
                "logger": record.name,
                "message": _message(record),
                "request_id": request_id.get(),
                **_own_fields(record),
                **self._attached(record),
            }
        )


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    # Where it cannot be put together, logging itself would print the arguments as they are.
    try:
        return record.getMessage()
    except Exception:
        return f"A message that cannot be put together, of {record.pathname}:{record.lineno}"


_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _own_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as ``extra``. Only plain values: Django adds whole requests, with their queries."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OF_EVERY_RECORD and isinstance(value, str | int | float | None)
    }


class ReportByMail(AdminEmailHandler):
    """Django's reports to ``ADMINS``. Their text is ``reports.Reporter``'s; a path stands in their subject too."""

    def format_subject(self, subject: str) -> str:
        return redact(super().format_subject(subject))
