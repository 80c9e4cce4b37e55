"""Fill the database of a design and return its callers.

Every design gets the same owners and accounts, then ``keys`` keys: one for each caller, and random ones.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from accounts_app.models import User
from benchmarks import bulk_sql, make_data, peers
from benchmarks.cases import MANY_OWNED, OWNED_KEYS, SCOPES, Data
from benchmarks.owners import FEW_OWNED, Owner, filler_users, insert, owner_name

Callers = dict[str, dict[str, dict[str, str]]]


def fill(data: Data) -> Callers:
    """Fill the migrated database. Return the header and the account id per caller and kind of request."""
    with transaction.atomic():
        callers = _FILLERS[data.design](data.keys)
        if data.events:
            _add_history(data.events)
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
        owner = Owner(owner_name(count), FEW_OWNED)
        _, presented = ApiKey.objects.create_key(owner=owner.user, name="measured")
        insert(ApiKey, _finta_rows([owner.user], count - 1))
        callers[owner_name(count)] = ("Bearer", presented, unknown, malformed, owner.accounts[0], other.accounts[0])
    for size in SCOPES:
        _, presented = ApiKey.objects.create_key(owner=many.user, name=f"{size}", accounts=many.accounts[:size])
        accessible, hidden = many.accounts[size // 2], many.accounts[-1]
        callers[f"scope-{size}"] = ("Bearer", presented, unknown, malformed, accessible, hidden)
    insert(ApiKey, _finta_rows(filler_users(keys), keys - ApiKey.objects.count()))
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


def _add_history(events: int) -> None:
    """Add events of the existing keys, and a tenth as many retired secrets."""
    from finta_keys.models import ApiKey, KeyEvent, RetiredSecret

    sql, keys = bulk_sql.sql_of(connection), ApiKey.objects.count()
    columns = {"key_id": "apikey.id", "owner_pk": sql.text("apikey.owner_id"), "key_name": "apikey.name"}
    for model, values, count in (
        (KeyEvent, make_data.event_columns(sql), events),
        (RetiredSecret, make_data.retired_secret_columns(sql), events // 10),
    ):
        source = f"finta_keys_apikey AS apikey CROSS JOIN {sql.numbers(count // keys)}"
        bulk_sql.insert(connection, model._meta.db_table, columns | values, source)


_FILLERS = {
    "floor": _floor,
    "finta": _finta,
    "token": peers.token,
    "apikey": peers.apikey,
    "knox": peers.knox,
    "simple": peers.simple,
    "tenant": peers.tenant,
    "wagtail": peers.wagtail,
}
