"""Rules for the values of accounts and transactions, for the models, the forms and the API
alike."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from finta_keys import conf, names, secret

MONEY_MAX_DIGITS, MONEY_DECIMALS = 15, 4

LIABILITY_TYPES = ("credit", "student", "mortgage")
LIABILITY_MAX_SIZE = 8 * 1024  # bytes of compact JSON
LIABILITY_MAX_DEPTH = 8

LONGEST_LINE = 500  # characters, of all text columns

# Control characters, line and paragraph separators.
CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})

validate_currency = RegexValidator(r"^[A-Z]{3}\Z", "Give a currency code of three capital letters, such as USD.")


def validate_money(amount: Decimal) -> None:
    """Reject amounts of more than 15 digits.

    JSON readers parse numbers as doubles, which are exact up to 15.
    """
    _, digits, exponent = amount.normalize().as_tuple()
    if len(digits) + max(int(exponent), 0) > MONEY_MAX_DIGITS:
        raise ValidationError(f"Give at most {MONEY_MAX_DIGITS} digits.")


def is_storable(text: str) -> bool:
    """Return False for text with NUL or half of a surrogate pair, which PostgreSQL rejects."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def validate_single_line(text: str) -> None:
    """Require one visible line of text without a secret."""
    if not is_storable(text) or any(_is_control(character) for character in text):
        raise ValidationError("This contains a control character, a line break or a text direction mark. Remove it.")
    # Not all of a long text: normalizing takes quadratic time, and all columns are shorter.
    if text and not names.normalize(text[:LONGEST_LINE]):
        raise ValidationError("This contains only invisible characters.")
    validate_no_secret(text)


def validate_no_secret(text: str) -> None:
    if re.search(secret.pattern(conf.prefix()), text):
        raise ValidationError("This contains the secret of a key. Use another text.")


def validate_no_secrets_in(row: models.Model) -> None:
    """Raise ``ValidationError`` under each text column that contains the secret of a key."""
    errors: dict[str, ValidationError] = {}
    for field in row._meta.concrete_fields:
        if isinstance(field, models.CharField):
            try:
                validate_no_secret(getattr(row, field.attname))
            except ValidationError as error:
                errors[field.name] = error
    if errors:
        raise ValidationError(errors)


def _is_control(character: str) -> bool:
    return character in names.BIDI_CONTROLS or unicodedata.category(character) in CONTROL_CATEGORIES


def validate_liability(liability: Any) -> None:
    """Require an object with a known ``type``.

    Its other fields may be any JSON of bounded size and depth.
    """
    if not isinstance(liability, dict):
        raise ValidationError("Give an object, or null.")
    if liability.get("type") not in LIABILITY_TYPES:
        raise ValidationError(f"Its type must be one of {', '.join(LIABILITY_TYPES)}.")
    _validate_json(liability, LIABILITY_MAX_DEPTH)
    if _json_size(liability) > LIABILITY_MAX_SIZE:
        raise ValidationError(f"Its JSON may have {LIABILITY_MAX_SIZE // 1024} kB at most.")


def _validate_json(value: Any, depth: int) -> None:
    if isinstance(value, str):
        validate_no_secret(value)
    is_bad_text = isinstance(value, str) and not is_storable(value)
    is_bad_number = isinstance(value, float) and not math.isfinite(value)
    if is_bad_text or is_bad_number:
        raise ValidationError("It contains a number or a character that cannot be stored.")
    if not isinstance(value, dict | list):
        return
    if not depth:
        raise ValidationError(f"It may nest {LIABILITY_MAX_DEPTH} levels at most.")
    for child in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
        _validate_json(child, depth - 1)


def _json_size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
