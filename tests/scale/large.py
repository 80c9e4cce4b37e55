"""Rows read by each query of the product with 1,000,000 keys and 10,000,000 scope rows.

    python -m tests.live.servers python -m tests.scale.large
    DATABASE_URL=sqlite:////tmp/large.sqlite3 python -m tests.scale.large

It fills an empty database, which takes minutes. Each action runs in a transaction that is rolled back.
Its statements are then repeated under ``EXPLAIN (ANALYZE, BUFFERS)``. The exit status is 1 if an
action reads more rows than its bound, which is in ``actions()``. On SQLite, the unit is an
instruction of the virtual machine; a row takes at most ``STEPS``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.make_data import Size

STEPS, OVERHEAD = 150, 20_000  # SQLite's instructions for a row, and for the statements of an action
PAGE, LIMIT = 50, 50  # keys of a page of API settings, transactions of a page
START = 100_000_000  # numbers that the other rows do not use
LARGE = Size(1, 200, 1000, 500, 3)  # one owner


@dataclass(frozen=True)
class Action:
    name: str
    work: Callable[[], Any]
    bound: int  # rows


@dataclass
class Result:
    statements: int
    rows: int
    blocks: int


def measure(work: Callable[[], Any]) -> Result:
    """Run ``work()`` and roll it back. Return what its statements read."""
    from django.db import connection

    from tests.scale import plans

    with rolled_back():
        statements = plans.statements_of(work)
    with rolled_back():
        costs = [plans.cost_of(statement) for statement in statements]
    assert connection.in_atomic_block
    return Result(len(statements), sum(cost.rows for cost in costs), sum(cost.blocks for cost in costs))


@contextmanager
def rolled_back() -> Iterator[None]:
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def actions(owner: Any, other_account: Any) -> list[Action]:
    """Return the actions of one owner with their bounds."""
    from django.test import Client

    from finta_keys import secret
    from finta_keys.models import ApiKey, KeyAccountScope
    from finta_keys.testing import make_key
    from tests.conftest import ApiClient

    accounts = list(owner.accounts.all())
    key = ApiKey.objects.filter(owner=owner).first()
    scope = list(key.accounts.all())
    restricted, all_accounts = (make_key(owner, name, rows)[1] for name, rows in (("Restricted", scope), ("All", None)))
    one, everything = ApiClient(restricted), ApiClient(all_accounts)
    browser = Client()
    browser.force_login(owner)
    for client in (one, everything):
        client.get("/v2/me")  # so that last_used_at is already updated
    owned, scoped, keys = len(accounts), len(scope), ApiKey.objects.filter(owner=owner).count()
    scope_rows = KeyAccountScope.objects.filter(key__owner=owner).count()
    hidden = next((row for row in accounts if row not in scope), other_account)
    path, shown = f"/settings/api/keys/{key.pk}", min(keys, PAGE)
    page = 2 * owned + 2 * min(owned, LIMIT + 1) * (LIMIT + 1) + 2 * (LIMIT + 1)

    def get(client: Client, url: str, status: int = 200) -> Callable[[], None]:
        def work() -> None:
            response = client.get(url)
            assert response.status_code == status, (url, response.status_code)

        return work

    def post(url: str, **fields: Any) -> Callable[[], None]:
        def work() -> None:
            response = browser.post(url, fields)
            assert response.status_code == 302, (url, response.status_code, response.content.decode()[-2000:])

        return work

    edit = {"scope_edits": key.scope_edits, "permission": "read_write"}
    first = [str(row.pk) for row in scope[: len(scope) // 2]]
    session = 4  # a session and its user, each twice
    return [
        Action("unknown secret", get(ApiClient(secret.generate()), "/v2/me", 401), 0),
        Action("authentication", get(one, "/v2/me"), 2),
        Action("an account in scope", get(one, f"/v2/accounts/{scope[0].pk}"), 2 + 2),
        Action("a hidden account", get(one, f"/v2/accounts/{hidden.pk}", 404), 2 + 2),
        Action("another owner's account", get(one, f"/v2/accounts/{other_account.pk}", 404), 2 + 2),
        Action("accounts, restricted", get(one, "/v2/accounts"), 2 + 2 * owned + 2 * scoped),
        Action("accounts, all", get(everything, "/v2/accounts"), 2 + owned),
        Action("transactions, restricted", get(one, "/v2/transactions"), 2 + page + 2 * owned + 2 * scoped),
        Action("transactions, all", get(everything, "/v2/transactions"), 2 + page + owned),
        Action(
            "transactions of an account",
            get(one, f"/v2/transactions?bankAccountId={scope[0].pk}"),
            2 + 4 + 2 * (LIMIT + 1),
        ),
        Action("API settings", get(browser, "/settings/api"), session + 2 * keys + 2 * owned + 4 * shown * scoped),
        Action(
            "API settings, search",
            get(browser, "/settings/api?q=first"),
            session + 6 * keys + 3 * owned + 4 * shown * scoped,
        ),
        Action("Accounts", get(browser, "/accounts"), session + 4 * keys + 4 * owned + 2 * scope_rows),
        Action("Edit scope, page", get(browser, f"{path}/edit-scope"), session + 2 + 7 * owned + 3 * scoped),
        Action(
            "Edit scope, save",
            post(f"{path}/edit-scope", **edit, accounts=first),
            session + 20 + 3 * owned + 2 * scoped,
        ),
        Action("Rotate", key.rotate, 20),
        Action("Rename", lambda: key.rename("Renamed"), 20),
        Action("Delete, page", get(browser, f"{path}/delete"), session + 4 * owned + 4 * scoped),
        Action("Delete, confirm", post(f"{path}/delete", rotation=key.rotation), session + 20 + 2 * scoped),
        Action("Create Key", lambda: make_key(owner, "New", scope), 20 + 2 * owned + 2 * scoped),
        Action("Delete all keys", lambda: ApiKey.objects.delete_all(owner=owner), 20 + 4 * keys + 2 * scope_rows),
        Action("delete an account", accounts[0].delete, 20 + 4 * keys + 20),
    ]


def bound(action: Action) -> int:
    """Return the bound of an action in the unit of the database."""
    from django.db import connection

    return STEPS * action.bound + OVERHEAD if connection.vendor == "sqlite" else action.bound


def fill() -> None:
    """Create the tables and the rows, unless they exist."""
    from django.core.management import call_command
    from django.db import connection

    from accounts_app.models import User
    from benchmarks.bulk_sql import without_indexes
    from benchmarks.make_data import make

    call_command("migrate", verbosity=0)
    if User.objects.exists():
        return
    size = Size(owners=int(os.environ.get("LARGE_OWNERS", "100000")), transactions_per_account=3)
    with without_indexes(connection, report=print):
        make(connection, size, report=print)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def report(name: str, owner: Any, other_account: Any) -> list[str]:
    """Print a line per action. Return the actions that read more than their bound."""
    from django.db import connection

    unit = "instructions" if connection.vendor == "sqlite" else "rows"
    print(f"\n{name}\n\n| action | statements | {unit} | bound | blocks |\n| --- | ---: | ---: | ---: | ---: |")
    excesses = []
    for action in actions(owner, other_account):
        result = measure(action.work)
        if result.rows > bound(action):
            excesses.append(action.name)
        print(f"| {action.name} | {result.statements} | {result.rows:,} | {bound(action):,} | {result.blocks:,} |")
    return excesses


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.db import connection

    from accounts_app.models import Account, User
    from benchmarks.make_data import make, pk
    from finta_keys.models import ApiKey, KeyAccountScope

    fill()
    print(f"{ApiKey.objects.count():,} keys, {KeyAccountScope.objects.count():,} scope rows on {connection.vendor}")
    other = Account.objects.filter(owner=pk("owner", 1)).first()
    with rolled_back():
        ordinary = User.objects.get(pk=pk("owner", User.objects.count() // 2))
        excesses = report("An owner of 10 keys with 10 of 12 accounts each", ordinary, other)
        make(connection, LARGE, start=START)
        large = User.objects.get(pk=pk("owner", START))
        excesses += report("An owner of 200 keys with 500 of 1,000 accounts each", large, other)
    print("Too many rows:", ", ".join(excesses) or "none")
    return 1 if excesses else 0


if __name__ == "__main__":
    sys.exit(main())
