"""The format of a secret. This module uses no models, no settings and no clock.

A secret is a prefix, 48 random characters, and a checksum of 6 characters, all from ``0-9A-Za-z``::

    finta_ <48 random: 48 x log2(62) = 285 bits> <6: CRC-32 of everything before it, in base 62>

The checksum allows rejecting a mistyped secret, and recognizing a leaked one, without a query. It
is not a security feature: the digest protects the secret.
"""

import hmac
import re
import secrets
import string
import zlib
from functools import lru_cache

PREFIX = "finta_"  # the default of FINTA_KEYS_PREFIX
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # the digits of base 62 squared
RANDOM_LENGTH = 48
CHECKSUM_LENGTH = 6  # 62**6 > 2**32, so every CRC-32 fits
DIGEST_LENGTH = 32  # bytes of an HMAC-SHA256

# A valid prefix. It starts with a letter, and ends with an underscore to separate it from the
# random characters.
PREFIX_PATTERN = r"[A-Za-z][0-9A-Za-z_]{0,30}_"


class Secret(str):
    """A string whose ``repr()`` shows only the hint, for debuggers and error reports."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Secret {hint(self)}>"


class HiddenBytes(bytes):
    """A pepper or a digest. Its ``repr()`` shows nothing of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} hidden bytes>"


def pattern(prefix: str = PREFIX) -> str:
    """Return the regular expression of secrets with this prefix, such as
    ``"finta_[0-9A-Za-z]{54}"``."""
    return rf"{prefix}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}"


@lru_cache(maxsize=8)
def _compiled_pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(pattern(prefix))


def generate(prefix: str = PREFIX) -> Secret:
    """Return a new secret from the operating system's random number generator."""
    body = prefix + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return Secret(body + checksum(body))


def is_wellformed(text: str, prefix: str = PREFIX) -> bool:
    """Return True if ``text`` has the shape of a secret and the right checksum, whether or not a
    key has it."""
    return bool(_compiled_pattern(prefix).fullmatch(text)) and text.endswith(checksum(text[:-CHECKSUM_LENGTH]))


def checksum(body: str) -> str:
    """Return the CRC-32 of ``body``, which includes the prefix, in base 62, most significant
    character first."""
    rest, last = divmod(zlib.crc32(body.encode("ascii")), len(PAIRS))
    first, middle = divmod(rest, len(PAIRS))
    return PAIRS[first] + PAIRS[middle] + PAIRS[last]


def digest(secret: str, pepper: bytes) -> bytes:
    """Return the HMAC-SHA256 of the secret under ``pepper``: the 32 bytes that are stored."""
    return HiddenBytes(hmac.digest(pepper, secret.encode("ascii"), "sha256"))


def hint(secret: str) -> str:
    """Return the characters that may be shown later: the prefix, the first 4 and the last 4."""
    start = len(secret) - RANDOM_LENGTH - CHECKSUM_LENGTH + 4
    return f"{secret[:start]}…{secret[-4:]}"


def pepper_id(pepper: bytes) -> str:
    """Return 8 hex digits that identify a pepper and reveal nothing about it."""
    return hmac.digest(pepper, b"finta_keys.pepper_id", "sha256")[:4].hex()
