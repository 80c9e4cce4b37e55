"""The format of a secret: no models, no settings, no clock.

A secret is a prefix, then 48 random characters, then 6 characters of checksum, each of the 54 from ``0-9A-Za-z``::

    finta_ <48 from the operating system's generator: 48 x log2(62) = 285 bits> <6: CRC-32 of all before it, base 62>

The checksum lets a mistyped secret be refused, and a leaked one be recognised, without asking a database. It
protects nothing: the digest does.
"""

import hmac
import re
import secrets
import string
import zlib
from functools import lru_cache

PREFIX = "finta_"  # where a project does not set its own
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 48
CHECKSUM_LENGTH = 6  # 62**6 > 2**32: room for every CRC-32
DIGEST_LENGTH = 32  # bytes of an HMAC-SHA256

# What may be a prefix: it says whose secret that is, and ends where the random characters begin.
PREFIX_PATTERN = r"[A-Za-z][0-9A-Za-z_]{0,30}_"


class Secret(str):
    """A secret that shows only its hint where objects are dumped: debuggers, error reports, ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Secret {hint(self)}>"


def pattern(prefix: str = PREFIX) -> str:
    """Return the regular expression of the secrets with this prefix, such as ``"finta_[0-9A-Za-z]{54}"``."""
    return rf"{prefix}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}"


@lru_cache(maxsize=8)
def _shape(prefix: str) -> re.Pattern[str]:
    return re.compile(pattern(prefix))


def generate(prefix: str = PREFIX) -> Secret:
    """Return a new secret from the operating system's random generator."""
    body = prefix + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return Secret(body + checksum(body))


def is_wellformed(text: str, prefix: str = PREFIX) -> bool:
    """Tell whether ``text`` has the shape and the checksum of a secret. Says nothing of whether it is in use."""
    return bool(_shape(prefix).fullmatch(text)) and text.endswith(checksum(text[:-CHECKSUM_LENGTH]))


def checksum(body: str) -> str:
    """Return the CRC-32 of ``body`` (prefix included) in base 62, most significant character first."""
    number = zlib.crc32(body.encode("ascii"))
    characters = ""
    for _ in range(CHECKSUM_LENGTH):
        number, remainder = divmod(number, len(ALPHABET))
        characters = ALPHABET[remainder] + characters
    return characters


def digest(secret: str, pepper: bytes) -> bytes:
    """Return what is stored instead of the secret: its HMAC-SHA256 under ``pepper``, 32 bytes."""
    return hmac.digest(pepper, secret.encode("ascii"), "sha256")


def hint(secret: str) -> str:
    """Return the few characters that may be shown later: the prefix, the first 4 and the last 4."""
    start = len(secret) - RANDOM_LENGTH - CHECKSUM_LENGTH + 4
    return f"{secret[:start]}…{secret[-4:]}"


def pepper_id(pepper: bytes) -> str:
    """Return 8 hex digits that name a pepper and tell nothing of it."""
    return hmac.digest(pepper, b"finta_keys.pepper_id", "sha256")[:4].hex()
