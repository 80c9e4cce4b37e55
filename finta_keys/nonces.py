"""The nonce of a create form: signed, bound to the owner, valid for an hour, spent once (rule K5)."""

import secrets
from datetime import timedelta
from typing import Any

from django.core import signing

MAX_AGE = timedelta(hours=1)
SALT = "finta_keys.nonces"


def make(owner_pk: Any) -> str:
    """Return a new signed nonce for a form that is shown to this owner."""
    return signing.dumps([str(owner_pk), secrets.token_urlsafe(32)], salt=SALT)


def read(signed: str, owner_pk: Any, *, max_age: timedelta | None = MAX_AGE) -> str:
    """Return the nonce in ``signed``, 43 characters, for ``ApiKey.objects.create_key()``.

    Raises ``signing.BadSignature`` where it is not ours or made for somebody else, and ``signing.SignatureExpired``,
    which is one, where it is older than ``max_age``.
    """
    owner, nonce = signing.loads(signed, salt=SALT, max_age=max_age)
    if owner != str(owner_pk):
        raise signing.BadSignature("This nonce was made for somebody else.")
    return str(nonce)
