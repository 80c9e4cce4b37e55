"""The owners and accounts that every design has, and helpers to create many rows."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from accounts_app.models import Account, User
from benchmarks.cases import MANY_OWNED

CHUNK = 5_000
FEW_OWNED = 20  # accounts of every other owner
KEYS_PER_OWNER = 100  # for owners that only fill the table


class Owner:
    """An owner and the primary keys of their accounts in order."""

    def __init__(self, name: str, accounts: int) -> None:
        self.user = users([name])[0]
        rows = [
            Account(owner=self.user, name=f"Account {n}", type="depository", currency="USD", current_balance=n)
            for n in range(accounts)
        ]
        insert(Account, rows)
        self.accounts = [row.pk for row in rows]


def owner_name(count: int) -> str:
    return "all" if count == 1 else f"owner-{count}"


def plain_owners() -> Owner:
    """Create the accounts that every design has, and return the owner of the requested one."""
    Owner("many", MANY_OWNED)
    return Owner("all", FEW_OWNED)


def filler_users(keys: int) -> list[User]:
    return users(f"filler-{n}" for n in range(keys // KEYS_PER_OWNER))


def users(names: Iterable[str]) -> list[User]:
    addresses = [f"{name}@example.test" for name in names]
    return User.objects.bulk_create(
        [User(email=address, email_key=address, password="!", storage_mode=True) for address in addresses],  # noqa: S106
        batch_size=CHUNK,
    )


def insert(model: Any, rows: Iterable[Any]) -> None:
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        model.objects.bulk_create(chunk)
