"""The first request that begins after a change has been answered obeys it, whichever worker gets it (rule K4)."""

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
    """Keep the workers busy, and count the answers by their status."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def ask() -> None:
        connection = served.connect()
        while not over.is_set():
            statuses[connection.call(secret, "/v2/accounts").status] += 1
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def one_to_each_worker(served: site.Site) -> list[site.Connection]:
    """Return connections of which each is kept by another worker."""
    found: dict[str | None, site.Connection] = {}
    while len(found) < WORKERS:
        connection = served.connect()
        found.setdefault(connection.call("finta_nobody").headers[WORKER], connection)
    return list(found.values())


class Trials:
    """One key that is changed again and again through the pages, and the connections that ask right afterwards."""

    def __init__(self, served: site.Site, owner: site.Owner) -> None:
        self.owner, self.person = owner, served.sign_in(owner)
        self.secret = self.person.create("Tried", owner.accounts[:1]).secret
        self.path = self.person.key_paths()[0]  # the newest
        self.token = {"csrfmiddlewaretoken": self.person.form(f"{self.path}/rename")["csrfmiddlewaretoken"]}
        self.turn = itertools.cycle(one_to_each_worker(served))
        self.seen = self.owner.accounts[0]
        self.rotation = 0
        self.misses: list[str] = []
        self.counts: Counter[str] = Counter()
        self.answered: Counter[str | None] = Counter()

    def rotate(self) -> None:
        old = self.secret
        self.secret = self.person.post(f"{self.path}/rotate", self.token | {"rotation": self.rotation}).secret
        self.rotation += 1
        self._expect("rotate, old secret", old, "/v2/me", 401)
        self._expect("rotate, new secret", self.secret, "/v2/me", 200)

    def edit_scope(self) -> None:
        hidden, self.seen = self.seen, next(pk for pk in self.owner.accounts if pk != self.seen)
        answer = self.person.post(f"{self.path}/edit-scope", self.token | site.scope([self.seen]))
        assert answer.status == 302
        self._expect("edit scope, hidden account", self.secret, f"/v2/accounts/{hidden}", 404)
        self._expect("edit scope, account in scope", self.secret, f"/v2/accounts/{self.seen}", 200)

    def delete(self) -> None:
        answer = self.person.post(f"{self.path}/delete", self.token | {"rotation": self.rotation})
        assert answer.status == 302
        self._expect("delete", self.secret, "/v2/me", 401)
        self.secret = self.person.create("Tried", self.owner.accounts[:1]).secret
        self.path, self.seen, self.rotation = self.person.key_paths()[0], self.owner.accounts[0], 0
        self._expect("create", self.secret, "/v2/me", 200)

    def _expect(self, what: str, secret: str, path: str, status: int) -> None:
        answer = next(self.turn).call(secret, path)
        found = answer.status
        self.answered[answer.headers[WORKER]] += 1
        self.counts[what] += 1
        if found != status:
            self.misses.append(f"{what}: {found}")


def test_K4_a_change_is_in_force_in_every_process_once_it_was_answered(database_url):
    env = site.environment(database_url)
    with site.serving(env, workers=WORKERS) as served:
        owner = site.make_owner(env)
        other = served.sign_in(owner).create("Load").secret
        with load(served, other) as statuses:
            trials = Trials(served, owner)
            for number in range(TRIALS):
                (trials.rotate, trials.edit_scope, trials.delete)[number % 3]()
    for what, count in trials.counts.items():
        print(f"{count:7,}  {what}")
    print(f"{len(trials.misses):7,}  misses; under a load of {sum(statuses.values()):,} requests")
    print(f"{sorted(trials.answered.values())} answers by the {WORKERS} workers")
    assert trials.misses == []
    assert len(trials.answered) == WORKERS
    assert set(statuses) == {200}
