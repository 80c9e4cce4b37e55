"""Names of keys: what may be in one, and when two are the same."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from finta_keys import conf, secret

MAX_LENGTH = 100
# Folding can lengthen a name (one ligature becomes up to 18 letters), and PostgreSQL indexes at most 2,704 bytes.
KEY_MAX_LENGTH = 400

# The characters that reorder the text around them: Unicode's property Bidi_Control.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Control characters, surrogates, line and paragraph separators.
REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Fillers, variation selectors and the like, which Unicode counts among letters and marks: with most of the format
# characters (Cf) they are its property Default_Ignorable_Code_Point, which Python's unicodedata does not know. And
# the blank of Braille.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """Return the form in which two texts are compared: NFKC, case-folded, without invisible characters."""
    visible = "".join(each for each in _INVISIBLE.sub("", text) if unicodedata.category(each) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())


def normalize(name: str) -> str:
    """Return the ``name_key`` of a name. Trimmed again: an invisible character may have stood beside a space."""
    return fold(name).strip()


def clean(name: str) -> str:
    """Return ``name`` trimmed. Raises ``ValidationError`` under ``name`` where it cannot be a name (rule K1)."""
    name = name.strip()
    problem = _problem(name)
    if problem:
        raise ValidationError({"name": ValidationError(problem, code="invalid")})
    return name


def _problem(name: str) -> str:
    if any(_is_refused(character) for character in name):
        return _("This name contains a control character, a line break or a text direction mark. Type it without.")
    if re.search(secret.pattern(conf.prefix()), name):
        return _("This name contains the secret of a key, which is kept nowhere. Choose another name.")
    if not normalize(name):
        return _("Give the key a name, such as where it is used.")
    if len(name) > MAX_LENGTH:
        return ngettext(
            "This name has %(number)s character. Shorten it to %(most)s at most.",
            "This name has %(number)s characters. Shorten it to %(most)s at most.",
            len(name),
        ) % {"number": len(name), "most": MAX_LENGTH}
    if len(normalize(name)) > KEY_MAX_LENGTH:
        return _("This name is too long when its ligatures are written out. Shorten it.")
    return ""


def _is_refused(character: str) -> bool:
    return character in BIDI_CONTROLS or unicodedata.category(character) in REFUSED_CATEGORIES
