"""Log formatters: lines for people if ``DEBUG`` is on, otherwise one JSON object per line.

Django sets up logging before it loads the apps, so this module must not import models.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from finta_keys.redaction import redact

request_id: ContextVar[str | None] = ContextVar("finta_request_id", default=None)


class LineFormatter(logging.Formatter):
    """Time, level, logger, message and request id in one line, with the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        # Redacts the finished line, so that no part of a record can be forgotten.
        return redact(self.compose(record))

    def compose(self, record: logging.LogRecord) -> str:
        """Return the line before it is redacted."""
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record)}"
        if request_id.get():
            line += f" [{request_id.get()}]"
        return "\n".join((line, *self._tracebacks(record).values()))

    def _tracebacks(self, record: logging.LogRecord) -> dict[str, str]:
        tracebacks = {}
        if record.exc_info:
            tracebacks["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            tracebacks["stack"] = self.formatStack(record.stack_info)
        return tracebacks


class JsonFormatter(LineFormatter):
    """One JSON object per line, with the fields of ``LineFormatter`` and the record's ``extra``."""

    def compose(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": _time(record),
                "level": record.levelname,
                "logger": record.name,
                "message": _message(record),
                "request_id": request_id.get(),
                **_extra(record),
                **self._tracebacks(record),
            }
        )


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    # If the arguments do not fit the message, logging would print them to stderr without redaction.
    try:
        return record.getMessage()
    except Exception:
        return f"Cannot format the message logged at {record.pathname}:{record.lineno}"


_STANDARD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return the plain values of ``extra``.

    Django also attaches whole requests, with their queries.
    """
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD_ATTRIBUTES and isinstance(value, str | int | float | None)
    }
