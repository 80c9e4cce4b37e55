"""A change applies to the first request after its response, in every worker (rule K4)."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live import site
from tests.live.middleware import WORKER

TRIALS = int(os.environ.get("SOAK_TRIALS", "90"))
WORKERS = 4

pytestmark = pytest.mark.live


@contextmanager
def load(served: site.Site, secret: str) -> Iterator[Counter[int]]:
    """Keep the workers busy and count the responses by status."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def send_requests() -> None:
        connection = served.connect()
        while not stop.is_set():
            statuses[connection.call(secret, "/v2/accounts").status] += 1
        connection.close()

    threads = [threading.Thread(target=send_requests) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def connect_to_each_worker(served: site.Site) -> list[site.Connection]:
    """Return one persistent connection per worker."""
    connections: dict[str | None, site.Connection] = {}
    while len(connections) < WORKERS:
        connection = served.connect()
        connections.setdefault(connection.call("finta_malformed").headers[WORKER], connection)
    return list(connections.values())


class Trials:
    """Changes one key through the pages, repeatedly, and sends requests to the workers in turn after each change."""

    def __init__(self, served: site.Site, owner: site.Owner) -> None:
        self.owner, self.person = owner, served.sign_in(owner)
        self.secret = self.person.create("Tried", owner.accounts[:1]).secret
        self.path = self.person.key_paths()[0]  # the newest
        self.token = {"csrfmiddlewaretoken": self.person.form(f"{self.path}/rename")["csrfmiddlewaretoken"]}
        self.connections = itertools.cycle(connect_to_each_worker(served))
        self.accessible = self.owner.accounts[0]
        self.rotation = self.scope_edits = 0
        self.misses: list[str] = []
        self.counts: Counter[str] = Counter()
        self.workers: Counter[str | None] = Counter()

    def rotate(self) -> None:
        old = self.secret
        self.secret = self.person.post(f"{self.path}/rotate", self.token | {"rotation": self.rotation}).secret
        self.rotation += 1
        self._expect("rotate, old secret", old, "/v2/me", 401)
        self._expect("rotate, new secret", self.secret, "/v2/me", 200)

    def edit_scope(self) -> None:
        hidden, self.accessible = self.accessible, next(pk for pk in self.owner.accounts if pk != self.accessible)
        fields = {"scope_edits": self.scope_edits, **site.scope([self.accessible])}
        response = self.person.post(f"{self.path}/edit-scope", self.token | fields)
        assert response.status == 302
        self.scope_edits += 1
        self._expect("edit scope, hidden account", self.secret, f"/v2/accounts/{hidden}", 404)
        self._expect("edit scope, account in scope", self.secret, f"/v2/accounts/{self.accessible}", 200)

    def delete(self) -> None:
        response = self.person.post(f"{self.path}/delete", self.token | {"rotation": self.rotation})
        assert response.status == 302
        self._expect("delete", self.secret, "/v2/me", 401)
        self.secret = self.person.create("Tried", self.owner.accounts[:1]).secret
        self.path, self.accessible = self.person.key_paths()[0], self.owner.accounts[0]
        self.rotation = self.scope_edits = 0
        self._expect("create", self.secret, "/v2/me", 200)

    def _expect(self, description: str, secret: str, path: str, status: int) -> None:
        response = next(self.connections).call(secret, path)
        self.workers[response.headers[WORKER]] += 1
        self.counts[description] += 1
        if response.status != status:
            self.misses.append(f"{description}: {response.status}")


@pytest.mark.rule("K4")
def test_change_applies_in_every_process_at_once(database_url):
    env = site.environment(database_url)
    with site.serving(env, workers=WORKERS) as served:
        owner = site.create_owner(env)
        other = served.sign_in(owner).create("Load").secret
        with load(served, other) as statuses:
            trials = Trials(served, owner)
            for number in range(TRIALS):
                (trials.rotate, trials.edit_scope, trials.delete)[number % 3]()
    for description, count in trials.counts.items():
        print(f"{count:7,}  {description}")
    print(f"{len(trials.misses):7,}  misses, with {sum(statuses.values()):,} other requests")
    print(f"{sorted(trials.workers.values())} responses per worker")
    assert trials.misses == []
    assert len(trials.workers) == WORKERS
    assert set(statuses) == {200}
