"""Memory of a worker after many keys: ``python -m benchmarks.memory COUNT``, with an empty database.

Each key is used once, through the WSGI handler, including the update of ``last_used_at``.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice

from benchmarks.cases import Data
from benchmarks.store import ROOT, Store, say

WARM, USED = 1_000, 100_000  # keys
CHUNK = 1_000


def measure(store: Store) -> dict[str, list[int]]:
    """Return numbers of used ``keys``, and the ``bytes`` and ``objects`` in memory after each."""
    say(f"memory: {USED:,} different keys")
    command = [sys.executable, "-m", "benchmarks.memory", str(USED)]
    environment = store.environment(Data("finta", 0, 0))
    process = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    result: dict[str, list[int]] = json.loads(process.stdout)
    return result


def main(count: int) -> dict[str, list[int]]:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.worker import environ_of, respond
    from benchmarks.wsgi import application

    call_command("migrate", verbosity=0, skip_checks=True)
    pk, presented = _keys(count)
    result: dict[str, list[int]] = {"keys": [], "bytes": [], "objects": []}
    tracemalloc.start()
    for number, secret in enumerate(presented, 1):
        if respond(application, environ_of(f"/bench/accounts/{pk}", f"Bearer {secret}")) != 200:
            raise SystemExit(f"Key {number} was rejected.")
        if number in (WARM, 10 * WARM, count):
            gc.collect()
            result["keys"].append(number)
            result["bytes"].append(tracemalloc.get_traced_memory()[0])
            result["objects"].append(len(gc.get_objects()))
    return result


def _keys(count: int) -> tuple[str, Iterator[str]]:
    """Create an account and keys of its owner. Secrets are generated in chunks, so that they do not count."""
    from accounts_app.models import Account
    from benchmarks.owners import Owner

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
            digest=secret.digest(text, pepper),
            pepper_id=secret.pepper_id(pepper),
            hint=secret.hint(text),
        )
        for n, text in enumerate(fresh)
    )
    return [str(text) for text in fresh]


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(main(int(sys.argv[1]))), file=out)
