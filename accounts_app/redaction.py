"""Texts without secrets, for logs and reports."""

from __future__ import annotations

import re
from functools import lru_cache

from finta_keys import conf, secret

# Also what is left of a secret where a report has cut it, or has taken its checksum away. Names of code are shorter.
_SECRET = re.compile(rf"{secret.PREFIX}[0-9A-Za-z]{{16,}}")
_WHOLE_SECRET = re.compile(secret.pattern(secret.PREFIX))
# The value may be a hint already, which may stay. In JSON and in reprs a tab is two characters.
_BEARER = re.compile(
    rf"(bearer(?:\s|\\[nrt])+)(?!{secret.PREFIX}[0-9A-Za-z]{{0,4}}…)[0-9A-Za-z._~+/-]{{8,}}=*", re.IGNORECASE
)
# Peppers, and digests beside them: nothing else that is logged here is 32 bytes in hex digits.
_32_BYTES = re.compile("[0-9A-Fa-f]{64,}")
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*):[^\s/@]+@", re.IGNORECASE)
# "GET /path?query HTTP/1.1", as servers write it.
_QUERY = re.compile(r"\b([A-Z]+ [^\s?]*)\?\S*(?= HTTP/)")


def redact(text: str) -> str:
    """Return ``text`` without secrets, of which the hint is left, peppers, digests, values of ``Authorization:
    Bearer``, passwords in URLs and queries in request lines. Raises nothing."""
    text = _SECRET.sub(_hint, text)
    text = _BEARER.sub(r"\1…", text)
    text = _32_BYTES.sub("…", text)
    text = _PASSWORD_IN_URL.sub(r"\1:…@", text)
    text = _QUERY.sub(r"\1?…", text)
    for written in _peppers_as_bytes():
        text = text.replace(written, "…")
    return text


def _hint(found: re.Match[str]) -> str:
    return secret.hint(found[0]) if _WHOLE_SECRET.fullmatch(found[0]) else f"{secret.PREFIX}…"


def _peppers_as_bytes() -> tuple[str, ...]:
    try:
        return _inside_of_reprs(conf.peppers())
    except Exception:  # Bad settings are for the checks to report: the line about them must be written.
        return ()


@lru_cache(maxsize=8)
def _inside_of_reprs(peppers: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return how each pepper looks between the quotes of ``b'…'``, and with its backslashes escaped once more."""
    written = [repr(pepper)[2:-1] for pepper in peppers]
    return (*written, *(each.replace("\\", "\\\\") for each in written))
