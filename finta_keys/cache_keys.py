"""Keys for caching a response per caller."""

import hashlib
from typing import Any

from finta_keys import conf
from finta_keys.callers import is_unlimited, key_of, scoped


def make(view: Any, parts: tuple[Any, ...]) -> str:
    """Return a cache key for the caller of a view and ``parts``.

    The accounts that the caller may access are part of it and read now, so that a cached response
    is not used after the scope or an owner has changed.
    """
    key, user = key_of(view.request), view.request.user
    caller = f"key {key.pk}" if key else f"user {getattr(user, 'pk', None)}"
    accounts = scoped(view.request, conf.account_model()._base_manager.all())
    visible = ["all"] if is_unlimited(view.request, view) else sorted(map(str, accounts.values_list("pk", flat=True)))
    digest = hashlib.sha256()
    for part in (*map(repr, parts), caller, *visible):
        digest.update(f"{len(part)}:{part}".encode())
    return f"finta_keys:{digest.hexdigest()}"
