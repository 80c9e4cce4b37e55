"""What stays in a worker of all the keys that it has seen: ``python -m benchmarks.memory COUNT``, in an empty database.

Each key is used once, through the whole handler, the write of its time of use included.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice

from benchmarks.running import ROOT, Store, say

WARM, USED = 1_000, 100_000  # keys
CHUNK = 1_000


def measure(store: Store) -> dict[str, list[int]]:
    """Return ``keys`` that were used, and ``bytes`` and ``objects`` that were alive after each of these numbers."""
    say(f"memory: {USED:,} different keys")
    command = [sys.executable, "-m", "benchmarks.memory", str(USED)]
    environment = store.environment("finta", 0)
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def main(count: int) -> dict[str, list[int]]:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.worker import answer, environ_of
    from benchmarks.wsgi import application

    call_command("migrate", verbosity=0, skip_checks=True)
    pk, presented = _keys(count)
    found: dict[str, list[int]] = {"keys": [], "bytes": [], "objects": []}
    tracemalloc.start()
    for number, secret in enumerate(presented, 1):
        if answer(application, environ_of(f"/bench/accounts/{pk}", f"Bearer {secret}")) != 200:
            raise SystemExit(f"Key {number} was refused.")
        if number in (WARM, 10 * WARM, count):
            gc.collect()
            found["keys"].append(number)
            found["bytes"].append(tracemalloc.get_traced_memory()[0])
            found["objects"].append(len(gc.get_objects()))
    return found


def _keys(count: int) -> tuple[str, Iterator[str]]:
    """Make an account and so many keys of its owner. Their secrets are made as they are asked for, a chunk at a time,
    so that what is measured does not hold them."""
    from accounts_app.models import Account
    from benchmarks.filling import Owner

    owner = Owner("all", 1)

    def presented() -> Iterator[str]:
        for start in range(0, count, CHUNK):
            yield from _insert(owner, start)

    return str(Account.objects.get().pk), islice(presented(), count)


def _insert(owner: object, start: int) -> list[str]:
    from finta_keys import conf, secret
    from finta_keys.models import ApiKey

    fresh = [secret.generate() for _ in range(CHUNK)]
    pepper = conf.peppers()[0]
    ApiKey.objects.bulk_create(
        ApiKey(
            owner=owner.user,  # type: ignore[attr-defined]
            name=f"{start + n}",
            name_key=f"{start + n}",
            digest=secret.digest(each, pepper),
            pepper_id=secret.pepper_id(pepper),
            hint=secret.hint(each),
        )
        for n, each in enumerate(fresh)
    )
    return [str(each) for each in fresh]


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(main(int(sys.argv[1]))), file=out)
