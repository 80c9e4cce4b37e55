"""Change keys in several threads, without a pause, and print each change that was acknowledged.

Started by ``tests/faults/test_failover.py``. A line on standard input starts a round; the next one, or
an error of the database, ends it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from typing import Any

THREADS = 4
_printing = threading.Lock()


def say(**event: Any) -> None:
    with _printing:
        print(json.dumps(event), flush=True)


def create_owner(name: str) -> tuple[Any, list[Any]]:
    from accounts_app.models import Account, User

    owner = User.objects.create_user(f"{name}@example.com")
    fields = {"owner": owner, "type": "depository", "currency": "USD", "current_balance": 1}
    return owner, Account.objects.bulk_create(Account(name=f"Account {n}", **fields) for n in range(3))


def change_keys(owner: Any, accounts: list[Any], stop: threading.Event) -> None:
    from django.db import Error, connections

    from finta_keys import standby
    from finta_keys.models import ApiKey

    rng, keys, number = random.Random(owner.email), [], 0  # noqa: S311  # repeatable on purpose
    try:
        while not stop.is_set():
            number += 1
            kind = rng.choice(["rename", "edit scope", "rotate", "delete"]) if len(keys) > 2 else "create"
            key = rng.choice(keys) if keys else None
            if kind == "create":
                key, _ = ApiKey.objects.create_key(owner=owner, name=f"{number}", accounts=accounts)
                keys.append(key)
                value = 0
            elif kind == "rename":
                key.rename(f"{number}")
                value = number
            elif kind == "edit scope":
                key.restrict_to(rng.sample(accounts, 2))
                key.refresh_from_db(fields=["scope_edits"])
                value = key.scope_edits
            elif kind == "rotate":
                key.rotate()
                value = key.rotation
            else:
                pk = key.pk
                key.delete()
                keys.remove(key)
                key.pk, value = pk, 0
            say(kind=kind, key=str(key.pk), value=value, confirmed=not standby.take_unconfirmed())
    except Error as error:
        say(kind="error", text=type(error).__name__)
    finally:
        connections.close_all()


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.live.settings"
    import django

    django.setup()
    from django.db import connections

    for number, _ in enumerate(iter(sys.stdin.readline, "")):
        stop = threading.Event()
        owners = [create_owner(f"owner-{number}-{thread}") for thread in range(THREADS)]
        connections.close_all()
        threads = [threading.Thread(target=change_keys, args=(*owner, stop)) for owner in owners]
        for thread in threads:
            thread.start()
        say(kind="started")
        sys.stdin.readline()
        stop.set()
        for thread in threads:
            thread.join()
        say(kind="ended")


if __name__ == "__main__":
    main()
