"""A change applies to the first request after its response, in every worker (rule K4)."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.live import site
from tests.live.middleware import WORKER

TRIALS = int(os.environ.get("SOAK_TRIALS", "90"))
WORKERS = 4
MISSING_ACCOUNT = "/v2/accounts/00000000-0000-4000-8000-000000000000"

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


def update(database_url: str, sql: str) -> None:
    """Run a statement in this process and commit it."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=20)
        with connection:
            connection.execute(sql)
        connection.close()
        return
    with psycopg.connect(database_url.replace("postgres://", "postgresql://")) as server:
        server.execute(sql)


class Trials:
    """Changes one key through the pages, repeatedly, and sends requests to the workers in turn after each change."""

    def __init__(self, served: site.Site, owner: site.Owner) -> None:
        self.owner, self.person = owner, served.sign_in(owner)
        self.secret = self.person.create("Tried", owner.accounts[:1]).secret
        self.path = self.person.key_paths()[0]  # the newest
        self.token = {"csrfmiddlewaretoken": self.person.form(f"{self.path}/rename")["csrfmiddlewaretoken"]}
        self.connections = itertools.cycle(connect_to_each_worker(served))
        self.database_url = served.env["DATABASE_URL"]
        self.accessible = self.owner.accounts[0]
        self.rotation = self.scope_edits = 0
        self.read_only = False
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
        self._save_scope()
        self._expect("edit scope, hidden account", self.secret, f"/v2/accounts/{hidden}", 404)
        self._expect("edit scope, account in scope", self.secret, f"/v2/accounts/{self.accessible}", 200)

    def edit_permission(self) -> None:
        self.read_only = not self.read_only
        self._save_scope(permission="read_only" if self.read_only else "read_write")
        description = "read only, write" if self.read_only else "read and write, write"
        # Both write nothing: the account does not exist.
        status = 403 if self.read_only else 404
        for _ in range(WORKERS):
            self._expect(description, self.secret, MISSING_ACCOUNT, status, "DELETE")

    def edit_expiry(self) -> None:
        day = dt.date(2099, 1, 1) + dt.timedelta(days=self.scope_edits)
        self._save_scope(expires_at="date", expires_on=str(day))
        for _ in range(WORKERS):
            self._expect("new date, header", self.secret, "/v2/me", 200, expires=f"{day}T00:00:00Z")
        update(
            self.database_url, "UPDATE finta_keys_apikey SET expires_at = '2020-01-01 00:00:00' WHERE name = 'Tried'"
        )
        for _ in range(WORKERS):
            self._expect("expired", self.secret, "/v2/me", 401)
        self._save_scope(expires_at="never")
        for _ in range(WORKERS):
            self._expect("extended", self.secret, "/v2/me", 200)

    def delete(self) -> None:
        response = self.person.post(f"{self.path}/delete", self.token | {"rotation": self.rotation})
        assert response.status == 302
        self._expect("delete", self.secret, "/v2/me", 401)
        self.secret = self.person.create("Tried", self.owner.accounts[:1]).secret
        self.path, self.accessible = self.person.key_paths()[0], self.owner.accounts[0]
        self.rotation, self.scope_edits, self.read_only = 0, 0, False
        self._expect("create", self.secret, "/v2/me", 200)

    def _save_scope(self, **fields: str) -> None:
        """Save the form of Edit scope. The page keeps the permission and the date that are not sent."""
        data = self.token | {"scope_edits": self.scope_edits, **site.scope([self.accessible]), **fields}
        assert self.person.post(f"{self.path}/edit-scope", data).status == 302
        self.scope_edits += 1

    def _expect(
        self, description: str, secret: str, path: str, status: int, method: str = "GET", expires: str | None = None
    ) -> None:
        response = next(self.connections).call(secret, path, method)
        self.workers[response.headers[WORKER]] += 1
        self.counts[description] += 1
        if (response.status, response.headers["X-Key-Expires"]) != (status, expires):
            self.misses.append(f"{description}: {response.status}, expires {response.headers['X-Key-Expires']}")


@pytest.mark.rule("K4")
def test_change_applies_in_every_process_at_once(database_url):
    env = site.environment(database_url)
    with site.serving(env, workers=WORKERS) as served:
        owner = site.create_owner(env)
        other = served.sign_in(owner).create("Load").secret
        with load(served, other) as statuses:
            trials = Trials(served, owner)
            actions = (
                *(trials.rotate, trials.edit_scope, trials.edit_permission, trials.edit_expiry, trials.delete),
                *(trials.edit_permission, trials.edit_expiry),
            )
            for number in range(TRIALS):
                actions[number % len(actions)]()
    for description, count in trials.counts.items():
        print(f"{count:7,}  {description}")
    print(f"{len(trials.misses):7,}  misses, with {sum(statuses.values()):,} other requests")
    print(f"{sorted(trials.workers.values())} responses per worker")
    assert trials.misses == []
    assert len(trials.workers) == WORKERS
    assert set(statuses) == {200}
