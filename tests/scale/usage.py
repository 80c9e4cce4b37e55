"""Rows read by requests, pages and the saving of counts with 1,000,000 and 10,000,000 rows of use.

    python -m tests.live.servers python -m tests.scale.usage
    DATABASE_URL=sqlite:////tmp/usage.sqlite3 python -m tests.scale.usage

It fills an empty database with the use, events and retired secrets of other keys. The measured key
has been used on 90 days. On SQLite, the unit is an instruction of the virtual machine. The exit
status is 1 if an action reads more than a tenth more with ten times as many rows.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable
from typing import Any

ROWS = int(os.environ.get("USAGE_ROWS", "10000000"))
DAYS = 90  # rows of use of each key
HISTORY = 10  # rows of use per event and retired secret
SLACK = 100  # rows, or instructions


def fill(start: int, rows: int) -> None:
    """Add the use of other keys: half of the rows by network, half by account."""
    from django.db import connection

    from benchmarks import bulk_sql

    keys = f"(({start} + n) / {DAYS})"
    is_sqlite = connection.vendor == "sqlite"
    sql = bulk_sql.sql_of(connection, start)
    key = sql.pk("key", f"n / {DAYS}")
    day = f"date('now', '-' || (n % {DAYS}) || ' days')" if is_sqlite else f"current_date - (n % {DAYS})::integer"
    moments = dict.fromkeys(("first_at", "last_at"), sql.moment)
    numbers = dict.fromkeys(("requests", "reads", "writes", "refused"), "1")
    name = {"key_name": "''", "owner_pk": f"'other ' || {keys}"}
    event = {
        "key_id": key,
        "key_hint": "''",
        "at": sql.moment,
        "action": "'renamed'",
        "actor": "'code'",
        "changes": "'{}'",
        **name,
        **dict.fromkeys(("actor_pk", "actor_name", "address"), "''"),
    }
    retired = {
        "key_id": key,
        "digest": sql.digest,
        "hint": "''",
        "reason": "'rotated'",
        "retired_at": sql.moment,
        "tries": "0",
        **name,
        **dict.fromkeys(("last_network", "last_agent"), "''"),
    }
    tables: dict[str, tuple[int, dict[str, str]]] = {
        "finta_keys_keyusage": (
            rows // 2,
            {"key_id": key, "day": day, "source": "'192.0.2.0/24'", "agent": "'curl'", **numbers, **moments},
        ),
        "finta_keys_accountusage": (
            rows // 2,
            {"key_id": key, "account_id": "'1'", "day": day, "responses": "1", **moments},
        ),
        "finta_keys_keyevent": (rows // HISTORY, event),
        "finta_keys_retiredsecret": (rows // HISTORY, retired),
    }
    for table, (count, columns) in tables.items():
        started = time.monotonic()
        with connection.cursor() as cursor:
            names, values = ", ".join(columns), ", ".join(columns.values())
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {sql.numbers(count)}")  # noqa: S608
        print(f"{table}: {count:,} rows in {time.monotonic() - started:.0f} s", flush=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if not is_sqlite else "ANALYZE")


def actions() -> dict[str, Callable[[], Any]]:
    """Create an owner with a used key. Return the actions that are measured, by name."""
    from django.test import Client

    from accounts_app.models import User
    from finta_keys import secret, usage_store
    from finta_keys.models import AccountUsage, ApiKey, KeyUsage, RetiredSecret
    from finta_keys.testing import make_key
    from tests.conftest import ApiClient
    from tests.factories import AccountFactory, UserFactory

    owner: Any = UserFactory(storage_mode=True)
    accounts = AccountFactory.create_batch(3, owner=owner)
    key, retired = make_key(owner, "Measured")
    presented = key.rotate()
    now = dt.datetime.now(dt.UTC)
    days = [now - dt.timedelta(days=number) for number in range(DAYS)]
    numbers = {"requests": 2, "reads": 1, "writes": 0, "refused": 1}
    for at in days:
        row = {"key_id": key.pk, "day": at.date(), "first_at": at, "last_at": at}
        KeyUsage.objects.create(**row, **numbers, source="192.0.2.0/24", agent="curl")
        for account in accounts:
            AccountUsage.objects.create(**row, account_id=str(account.pk), responses=1)
    RetiredSecret.objects.filter(key_id=key.pk).update(tries=3, last_tried_at=now, last_network="192.0.2.0/24")
    browser, staff, api = Client(), Client(), ApiClient(presented)
    browser.force_login(owner)
    staff.force_login(User.objects.create(email="op@example.com", is_staff=True, is_superuser=True))
    api.get("/v2/me")
    page, admin = f"/settings/api/keys/{key.pk}", f"/admin/finta_keys/apikey/{key.pk}"
    pages = {
        "API settings": (browser, "/settings/api"),
        "page of a key": (browser, page),
        "Edit scope, page": (browser, f"{page}/edit-scope"),
        "Rotate, page": (browser, f"{page}/rotate"),
        "Delete, page": (browser, f"{page}/delete"),
        "report, 90 days": (browser, f"{page}/report"),
        "report, CSV": (browser, f"{page}/report.csv"),
        "admin, list of keys": (staff, "/admin/finta_keys/apikey/"),
        "admin, page of a key": (staff, f"{admin}/change/"),
        "admin, report": (staff, f"{admin}/report/"),
        "a good call": (api, f"/v2/accounts/{accounts[0].pk}"),
    }

    def get(client: Any, path: str) -> Callable[[], None]:
        def work() -> None:
            response = client.get(path)
            assert response.status_code == 200, (path, response.status_code)

        return work

    def save() -> None:
        keys = {(key.pk, now.date(), f"198.51.{number}.0/24", "curl"): [1, 1, 0, 0, now, now] for number in range(50)}
        usage_store.save(keys, {(key.pk, account.pk, now.date()): [1, now, now] for account in accounts})  # type: ignore[arg-type]

    return {
        "an unknown secret": lambda: ApiKey.objects.match(secret.generate()),
        "a retired secret": lambda: ApiKey.objects.match(retired),
        **{name: get(*arguments) for name, arguments in pages.items()},
        "saving 53 counts": save,
    }


def measured(work: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each action reads."""
    from tests.scale.large import measure, rolled_back

    with rolled_back():
        return {name: measure(run) for name, run in work.items()}


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    fill(0, ROWS // 10)
    work = actions()
    small = measured(work)
    fill(ROWS, ROWS - ROWS // 10)
    large = measured(work)
    unit = "instructions" if connection.vendor == "sqlite" else "rows"
    print(
        f"\n| {connection.vendor} | statements | {unit} with {ROWS // 10:,} | with {ROWS:,} | blocks | with {ROWS:,} |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, before in small.items():
        numbers = (before.statements, before.rows, large[name].rows, before.blocks, large[name].blocks)
        print(f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |")
    grown = [name for name, before in small.items() if large[name].rows > before.rows * 1.1 + SLACK]
    print("Grew:", ", ".join(grown) or "none")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
