"""Fill the database of a design and return its callers.

Every design gets the same owners and accounts, then ``keys`` keys: one for each caller, and random ones.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts_app.models import Account, User
from benchmarks.designs import MANY_OWNED, OWNED_KEYS, SCOPES

CHUNK = 5_000
FEW_OWNED = 20  # accounts of every other owner
KEYS_PER_OWNER = 100  # for owners that only fill the table

Callers = dict[str, dict[str, dict[str, str]]]


class Owner:
    """An owner and the primary keys of their accounts in order."""

    def __init__(self, name: str, accounts: int) -> None:
        self.user = _users([name])[0]
        rows = [
            Account(owner=self.user, name=f"Account {n}", type="depository", currency="USD", current_balance=n)
            for n in range(accounts)
        ]
        _insert(Account, rows)
        self.accounts = [row.pk for row in rows]


def fill(design: str, keys: int) -> Callers:
    """Fill the migrated database. Return the header and the account id per caller and kind of request."""
    with transaction.atomic():
        callers = _FILLERS[design](keys)
    return {name: _by_kind(*caller) for name, caller in callers.items()}


def _by_kind(scheme: str, presented: str, unknown: str, malformed: str, accessible: Any, elsewhere: Any) -> Any:
    return {
        "valid": {"header": f"{scheme} {presented}", "pk": str(accessible)},
        "unknown": {"header": f"{scheme} {unknown}", "pk": str(accessible)},
        "malformed": {"header": f"{scheme} {malformed}", "pk": str(accessible)},
        "elsewhere": {"header": f"{scheme} {presented}", "pk": str(elsewhere)},
    }


def _floor(keys: int) -> dict[str, Any]:
    owner = Owner("all", FEW_OWNED)
    Owner("many", MANY_OWNED)
    return {"all": ("None", "", "", "", owner.accounts[0], uuid.uuid4())}


def _finta(keys: int) -> dict[str, Any]:
    """A restricted caller requests an account in the middle of its scope, and one of the same owner outside it."""
    from finta_keys import secret
    from finta_keys.models import ApiKey

    unknown = secret.generate()
    malformed = str(unknown[:-1]) + ("A" if unknown[-1] != "A" else "B")
    other, many = Owner("other", FEW_OWNED), Owner("many", MANY_OWNED)
    callers = {}
    for count in (count for count in OWNED_KEYS if count <= keys // 2):
        owner = Owner(_owner_name(count), FEW_OWNED)
        _, presented = ApiKey.objects.create_key(owner=owner.user, name="measured")
        _insert(ApiKey, _finta_rows([owner.user], count - 1))
        callers[_owner_name(count)] = ("Bearer", presented, unknown, malformed, owner.accounts[0], other.accounts[0])
    for size in SCOPES:
        _, presented = ApiKey.objects.create_key(owner=many.user, name=f"{size}", accounts=many.accounts[:size])
        accessible, hidden = many.accounts[size // 2], many.accounts[-1]
        callers[f"scope-{size}"] = ("Bearer", presented, unknown, malformed, accessible, hidden)
    _insert(ApiKey, _finta_rows(_fillers(keys), keys - ApiKey.objects.count()))
    return callers


def _finta_rows(owners: list[User], count: int) -> Iterator[Any]:
    from finta_keys.models import ApiKey

    for n in range(count):
        yield ApiKey(
            owner=owners[n % len(owners)],
            name=f"key {n}",
            name_key=f"key {n}",
            digest=secrets.token_bytes(32),
            pepper_id="00000000",
            hint="finta_0000…0000",
        )


def _token(keys: int) -> dict[str, Any]:
    """One token per user, so as many users as tokens."""
    from rest_framework.authtoken.models import Token

    owner = _plain_owners()
    presented = Token.objects.create(user=owner.user).key
    names = (f"filler-{n}" for n in range(keys - 1))
    while chunk := list(islice(names, CHUNK)):
        _insert(Token, (Token(key=secrets.token_hex(20), user=user) for user in _users(chunk)))
    return {"all": ("Token", presented, secrets.token_hex(20), "short", owner.accounts[0], uuid.uuid4())}


def _apikey(keys: int) -> dict[str, Any]:
    from rest_framework_api_key.models import APIKey

    owner = _plain_owners()
    _, presented = APIKey.objects.create_key(name="measured")
    rows = (_apikey_row(APIKey, n) for n in range(keys - 1))
    _insert(APIKey, rows)
    unknown = f"{secrets.token_hex(4)}.{secrets.token_hex(16)}"
    return {"all": ("Api-Key", presented, unknown, "short", owner.accounts[0], uuid.uuid4())}


def _apikey_row(model: Any, n: int) -> Any:
    prefix, hashed = secrets.token_urlsafe(6), "sha512$$" + secrets.token_hex(64)
    return model(id=f"{prefix}.{hashed}", prefix=prefix, hashed_key=hashed, name=f"key {n}")


def _knox(keys: int) -> dict[str, Any]:
    from knox.models import AuthToken

    Owner("many", MANY_OWNED)
    callers = {}
    for count in OWNED_KEYS:
        owner = Owner(_owner_name(count), FEW_OWNED)
        _, presented = AuthToken.objects.create(owner.user)
        _insert(AuthToken, _knox_rows([owner.user], count - 1))
        account = owner.accounts[0]
        callers[_owner_name(count)] = ("Token", presented, secrets.token_hex(32), "short", account, uuid.uuid4())
    _insert(AuthToken, _knox_rows(_fillers(keys), keys - AuthToken.objects.count()))
    return callers


def _knox_rows(owners: list[User], count: int) -> Iterator[Any]:
    from knox.models import AuthToken

    expiry = timezone.now() + timedelta(hours=10)  # knox's default
    for n in range(count):
        token_key, digest = secrets.token_hex(8)[:15], secrets.token_hex(64)
        yield AuthToken(token_key=token_key, digest=digest, user=owners[n % len(owners)], expiry=expiry)


def _simple(keys: int) -> dict[str, Any]:
    from drf_simple_apikey.crypto import get_crypto
    from drf_simple_apikey.models import APIKey

    owner = _plain_owners()
    _, presented = APIKey.objects.create_api_key(name="measured", entity=owner.user)
    owners = _fillers(keys)
    _insert(APIKey, (APIKey(name=f"key {n}", entity=owners[n % len(owners)]) for n in range(keys - 1)))
    unknown = get_crypto().generate({"_pk": 10**9})
    return {"all": ("Api-Key", presented, unknown, "short", owner.accounts[0], uuid.uuid4())}


_FILLERS = {"floor": _floor, "finta": _finta, "token": _token, "apikey": _apikey, "knox": _knox, "simple": _simple}


def _owner_name(count: int) -> str:
    return "all" if count == 1 else f"owner-{count}"


def _plain_owners() -> Owner:
    """Create the accounts that every design has, and return the owner of the requested one."""
    Owner("many", MANY_OWNED)
    return Owner("all", FEW_OWNED)


def _fillers(keys: int) -> list[User]:
    return _users(f"filler-{n}" for n in range(keys // KEYS_PER_OWNER))


def _users(names: Iterable[str]) -> list[User]:
    addresses = [f"{name}@example.test" for name in names]
    return User.objects.bulk_create(
        [User(email=address, email_key=address, password="!", storage_mode=True) for address in addresses],  # noqa: S106
        batch_size=CHUNK,
    )


def _insert(model: Any, rows: Iterable[Any]) -> None:
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        model.objects.bulk_create(chunk)
