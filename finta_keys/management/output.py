"""The output of commands: counts with their nouns, and lines without secrets."""

from __future__ import annotations

from django.core.management.base import OutputWrapper
from django.template.defaultfilters import pluralize

from finta_keys.redaction import without_secrets


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``"1,024 keys"``."""
    return f"{count:,} {noun}{pluralize(count)}"


def escape(text: str) -> str:
    """Return ``text`` with characters that are not printable escaped, such as line breaks."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def write_line(stdout: OutputWrapper, text: str) -> None:
    """Write a line with secrets replaced by their hints. Characters that the encoding of the output
    lacks are escaped."""
    encoding = getattr(stdout, "encoding", None) or "utf-8"
    stdout.write(without_secrets(text).encode(encoding, "backslashreplace").decode(encoding))
