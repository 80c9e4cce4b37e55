"""Remove secrets from text before it is logged or reported.

Formatters are created before the apps are loaded, so this module must not import models.
"""

from __future__ import annotations

import re
from functools import lru_cache

from finta_keys import conf, secret

# Also matches secrets that a report has truncated. Names in code are shorter.
_SECRET = re.compile(rf"{secret.PREFIX}[0-9A-Za-z]{{16,}}")
_COMPLETE_SECRET = re.compile(secret.pattern(secret.PREFIX))
# Hints may stay. A tab is written as two characters in JSON and in reprs.
_BEARER = re.compile(
    rf"(bearer(?:\s|\\[nrt])+)(?!{secret.PREFIX}[0-9A-Za-z]{{0,4}}…)[0-9A-Za-z._~+/-]{{8,}}=*", re.IGNORECASE
)
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

    Only the hints of secrets stay. Peppers, digests, Bearer tokens, passwords in URLs, tokens of reset
    links and queries in request lines are replaced.
    """
    text = _SECRET.sub(_hint, text)
    text = _BEARER.sub(r"\1…", text)
    text = _32_BYTES.sub("…", text)
    text = _PASSWORD_IN_URL.sub(r"\1:…@", text)
    text = _RESET_TOKEN.sub("…", text)
    text = _QUERY.sub(r"\1?…", text)
    for pepper in _peppers_in_reprs():
        text = text.replace(pepper, "…")
    return text


def _hint(match: re.Match[str]) -> str:
    return secret.hint(match[0]) if _COMPLETE_SECRET.fullmatch(match[0]) else f"{secret.PREFIX}…"


def _peppers_in_reprs() -> tuple[str, ...]:
    try:
        return _as_written_in_reprs(conf.peppers())
    except Exception:  # A system check reports invalid peppers, and its message must still be logged.
        return ()


@lru_cache(maxsize=8)
def _as_written_in_reprs(peppers: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return each pepper as it appears between the quotes of ``b'…'``, also with escaped
    backslashes."""
    texts = [repr(pepper)[2:-1] for pepper in peppers]
    return (*texts, *(text.replace("\\", "\\\\") for text in texts))
