"""Validate the names of keys, and normalize them for comparison (rule K1)."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from finta_keys import conf, secret

MAX_LENGTH = 100
# Normalizing can lengthen a name (one ligature becomes up to 18 letters). PostgreSQL indexes at
# most 2,704 bytes.
KEY_MAX_LENGTH = 400

# The characters that reorder the text around them: Unicode's property Bidi_Control.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Control characters, surrogates, line and paragraph separators.
REJECTED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# The invisible characters outside the category Cf: the rest of Unicode's property
# Default_Ignorable_Code_Point, which unicodedata does not have, and the blank Braille pattern.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """Return ``text`` for comparisons: NFKC, case-folded, without invisible characters.

    NFKC takes quadratic time for long sequences of combining marks, so limit the length of ``text``
    first.
    """
    visible = "".join(character for character in _INVISIBLE.sub("", text) if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())


def normalize(name: str) -> str:
    """Return the ``name_key`` of a name: the same for names that look the same."""
    return fold(name).strip()  # Removing an invisible character can leave a space at the end.


def clean(name: str) -> str:
    """Return ``name`` trimmed. Raise ``ValidationError`` for ``name`` if it is not valid."""
    name = name.strip()
    problem = _problem(name)
    if problem:
        raise ValidationError({"name": ValidationError(problem, code="invalid")})
    return name


def _problem(name: str) -> str:
    if len(name) > MAX_LENGTH:  # Checked first: normalizing takes quadratic time for some texts.
        return ngettext(
            "This name has %(number)s character. Use at most %(max)s.",
            "This name has %(number)s characters. Use at most %(max)s.",
            len(name),
        ) % {"number": len(name), "max": MAX_LENGTH}
    if any(_is_rejected(character) for character in name):
        return _("Remove control characters, line breaks and text direction marks from the name.")
    if re.search(secret.pattern(conf.prefix()), name):
        return _("This name contains the secret of a key. Choose another name.")
    if not normalize(name):
        return _("Enter a name, such as where the key is used.")
    if len(normalize(name)) > KEY_MAX_LENGTH:
        return _("This name is too long: some of its characters stand for several letters. Shorten it.")
    return ""


def _is_rejected(character: str) -> bool:
    return character in BIDI_CONTROLS or unicodedata.category(character) in REJECTED_CATEGORIES
