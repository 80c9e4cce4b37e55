"""Create the keys of the other libraries. Each function returns what a caller sends, see ``filling.py``."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.utils import timezone

from accounts_app.models import User
from benchmarks.cases import MANY_OWNED, OWNED_KEYS
from benchmarks.owners import CHUNK, FEW_OWNED, Owner, filler_users, insert, owner_name, plain_owners, users


def token(keys: int) -> dict[str, Any]:
    """One token per user, so as many users as tokens."""
    from rest_framework.authtoken.models import Token

    owner = plain_owners()
    presented = Token.objects.create(user=owner.user).key
    names = (f"filler-{n}" for n in range(keys - 1))
    while chunk := list(islice(names, CHUNK)):
        insert(Token, (Token(key=secrets.token_hex(20), user=user) for user in users(chunk)))
    return {"all": ("Token", presented, secrets.token_hex(20), "short", owner.accounts[0], uuid.uuid4())}


def apikey(keys: int) -> dict[str, Any]:
    from rest_framework_api_key.models import APIKey

    owner = plain_owners()
    _, presented = APIKey.objects.create_key(name="measured")
    rows = (_apikey_row(APIKey, n) for n in range(keys - 1))
    insert(APIKey, rows)
    unknown = f"{secrets.token_hex(4)}.{secrets.token_hex(16)}"
    return {"all": ("Api-Key", presented, unknown, "short", owner.accounts[0], uuid.uuid4())}


def _apikey_row(model: Any, n: int) -> Any:
    prefix, hashed = secrets.token_urlsafe(6), "sha512$$" + secrets.token_hex(64)
    return model(id=f"{prefix}.{hashed}", prefix=prefix, hashed_key=hashed, name=f"key {n}")


def knox(keys: int) -> dict[str, Any]:
    from knox.models import AuthToken

    Owner("many", MANY_OWNED)
    callers = {}
    for count in OWNED_KEYS:
        owner = Owner(owner_name(count), FEW_OWNED)
        _, presented = AuthToken.objects.create(owner.user)
        insert(AuthToken, _knox_rows([owner.user], count - 1))
        account = owner.accounts[0]
        callers[owner_name(count)] = ("Token", presented, secrets.token_hex(32), "short", account, uuid.uuid4())
    insert(AuthToken, _knox_rows(filler_users(keys), keys - AuthToken.objects.count()))
    return callers


def _knox_rows(owners: list[User], count: int) -> Iterator[Any]:
    from knox.models import AuthToken

    expiry = timezone.now() + timedelta(hours=10)  # knox's default
    for n in range(count):
        token_key, digest = secrets.token_hex(8)[:15], secrets.token_hex(64)
        yield AuthToken(token_key=token_key, digest=digest, user=owners[n % len(owners)], expiry=expiry)


def simple(keys: int) -> dict[str, Any]:
    from drf_simple_apikey.crypto import get_crypto
    from drf_simple_apikey.models import APIKey

    owner = plain_owners()
    _, presented = APIKey.objects.create_api_key(name="measured", entity=owner.user)
    owners = filler_users(keys)
    insert(APIKey, (APIKey(name=f"key {n}", entity=owners[n % len(owners)]) for n in range(keys - 1)))
    unknown = get_crypto().generate({"_pk": 10**9})
    return {"all": ("Api-Key", presented, unknown, "short", owner.accounts[0], uuid.uuid4())}


def tenant(keys: int) -> dict[str, Any]:
    from benchmarks.tenants.models import TenantKey

    owner, fields = plain_owners(), {"scopes": ["accounts:read"]}
    _, presented = TenantKey.generate_key(name="measured", tenant=owner.user, **fields)
    owners = filler_users(keys)
    rows = (
        TenantKey(
            tenant=owners[n % len(owners)],
            name=f"key {n}",
            prefix=f"tak_live_{n:08x}",
            hashed_key=secrets.token_hex(32),
            **fields,
        )
        for n in range(keys - 1)
    )
    insert(TenantKey, rows)
    unknown = f"tak_live_{keys:08x}.{secrets.token_urlsafe(32)}"
    return {"all": ("Api-Key", presented, unknown, "short", owner.accounts[0], uuid.uuid4())}


def wagtail(keys: int) -> dict[str, Any]:
    from wagtail.models import APIToken

    owner = plain_owners()
    _, presented = APIToken.create_token(user=owner.user, name="measured")
    owners = filler_users(keys)
    rows = (
        APIToken(user=owners[n % len(owners)], name=f"key {n}", key_hash=secrets.token_hex(32), prefix="wagtail_0000")
        for n in range(keys - 1)
    )
    insert(APIToken, rows)
    return {"all": ("Bearer", presented, APIToken.generate_token(), "short", owner.accounts[0], uuid.uuid4())}
