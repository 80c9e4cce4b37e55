"""What text the site keeps, whether it comes through the API or from a page."""

import unicodedata

from django.core.exceptions import ValidationError

CONTROLS = frozenset({"Cc", "Zl", "Zp"})  # Unicode's control characters, line and paragraph separators.


def cannot_be_stored(text: str) -> bool:
    """PostgreSQL takes neither NUL nor half of a surrogate pair."""
    return any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def one_line(text: str) -> None:
    """Refuse, besides what cannot be stored, what a field of one line cannot show."""
    if cannot_be_stored(text) or any(unicodedata.category(character) in CONTROLS for character in text):
        raise ValidationError("This contains a control character or a line break. Type it without.")
