"""Remove secrets from logs and error reports.

Formatters are created before the apps are loaded, so this module must not import models.
"""

from __future__ import annotations

import logging
import re
from functools import cache, lru_cache
from typing import Any

from finta_keys import conf, secret

# Peppers and digests. The site logs nothing else that has 64 hex digits.
_32_BYTES = re.compile("[0-9A-Fa-f]{64,}")
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*):[^\s/@]+@", re.IGNORECASE)
# Tokens in password reset links, as Django generates them: a time in base 36, "-" and 32 hex
# digits.
_RESET_TOKEN = re.compile(r"\b[0-9a-z]{1,13}-[0-9a-f]{32}\b")
# "GET /path?query HTTP/1.1", as servers log it.
_QUERY = re.compile(r"\b([A-Z]+ [^\s?]*)\?\S*(?= HTTP/)")


def redact(text: str) -> str:
    """Return ``text`` without secrets. Never raises.

    Only the hints of secrets stay. Peppers, digests, Bearer tokens, passwords in URLs, tokens of
    reset links and queries in request lines are replaced.
    """
    secret_or_part, bearer = _patterns(_prefix())
    text = secret_or_part.sub(_hint, text)
    text = bearer.sub(r"\1…", text)
    text = _32_BYTES.sub("…", text)
    text = _PASSWORD_IN_URL.sub(r"\1:…@", text)
    text = _RESET_TOKEN.sub("…", text)
    text = _QUERY.sub(r"\1?…", text)
    for pepper in _peppers_in_reprs():
        text = text.replace(pepper, "…")
    return text


def redact_event(event: Any, hint: Any = None) -> Any:
    """Return an event of Sentry's SDK without secrets. Use it as ``before_send`` and
    ``before_send_transaction``."""
    if isinstance(event, str):
        return redact(event)
    if isinstance(event, dict):
        return {redact_event(name): redact_event(value) for name, value in event.items()}
    if isinstance(event, list | tuple):
        return [redact_event(value) for value in event]
    return event


class RedactingFilter(logging.Filter):
    """A filter for log handlers that redacts the message, its arguments and the text of the
    traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place, for this handler and those that follow. Return True."""
        try:
            message = record.getMessage()
        except Exception:  # logging would print the arguments.
            message = f"Cannot format the message logged at {record.pathname}:{record.lineno}"
        record.msg, record.args = redact(message), ()
        if record.exc_info:  # Formatters do not format the traceback again.
            record.exc_text = redact(record.exc_text or logging.Formatter().formatException(record.exc_info))
        return True


def without_secrets(text: str) -> str:
    """Return ``text`` with each complete secret replaced by its hint, and nothing else."""
    return re.sub(secret.pattern(conf.prefix()), lambda match: secret.hint(match[0]), text)


def _prefix() -> str:
    try:
        return conf.prefix()
    except Exception:  # The settings are being loaded.
        return secret.PREFIX


@cache
def _patterns(prefix: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of secrets and of other Bearer tokens."""
    start = re.escape(prefix)
    return (
        # Also matches secrets that a report has truncated. Names in code are shorter.
        re.compile(rf"{start}[0-9A-Za-z]{{16,}}"),
        # Hints may stay. A tab is written as two characters in JSON and in reprs.
        re.compile(rf"(bearer(?:\s|\\[nrt])+)(?!{start}[0-9A-Za-z]{{0,4}}…)[0-9A-Za-z._~+/-]{{8,}}=*", re.IGNORECASE),
    )


def _hint(match: re.Match[str]) -> str:
    length = len(_prefix()) + secret.RANDOM_LENGTH + secret.CHECKSUM_LENGTH
    return secret.hint(match[0]) if len(match[0]) == length else f"{_prefix()}…"


def _peppers_in_reprs() -> tuple[str, ...]:
    try:
        return _as_written_in_reprs(conf.peppers())
    except Exception:  # A system check reports invalid peppers, and its message must still be logged.
        return ()


@lru_cache(maxsize=8)
def _as_written_in_reprs(peppers: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return each pepper as it appears between the quotes of ``b'…'``, also with escaped
    backslashes."""
    texts = [bytes.__repr__(pepper)[2:-1] for pepper in peppers]
    return (*texts, *(text.replace("\\", "\\\\") for text in texts))
