"""A mix of reads and key changes for ``SOAK_MINUTES`` minutes."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live import site

MINUTES = float(os.environ.get("SOAK_MINUTES", "0.2"))
OWNERS = 4

pytestmark = pytest.mark.live


@dataclass
class Key:
    """The expected state of a key. ``accounts`` None means all."""

    path: str
    secret: str
    name: str
    accounts: list[str] | None
    rotation: int = 0


@dataclass
class Workload:
    """An owner who changes keys, and scripts that use them. No one else changes these keys."""

    served: site.Site
    owner: site.Owner
    rng: random.Random
    stop: threading.Event
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    revoking: set[str] = field(default_factory=set)  # a request to revoke these was sent
    revoked: list[str] = field(default_factory=list)

    def change(self) -> None:
        self.person = self.served.sign_in(self.owner)
        self.create()
        while not self.stop.is_set():
            actions = [self.create, self.rename, self.edit_scope, self.rotate, self.rotate, self.delete]
            self.rng.choice(actions)()
            time.sleep(self.rng.random() * 0.05)

    def create(self) -> None:
        if len(self.keys) > 5:
            return
        name, accounts = f"Key {self.counts['create 200']}", self.random_accounts()
        response = self.person.create(name, accounts)
        if self.expect("create", response, 200):
            self.keys.append(Key(self.person.key_paths()[0], response.secret, name, accounts))

    def rename(self) -> None:
        key = self.rng.choice(self.keys)
        name = f"Renamed {self.counts['rename 302']}"
        if self.expect("rename", self.person.send(f"{key.path}/rename", {"name": name}), 302):
            key.name = name

    def edit_scope(self) -> None:
        key, accounts = self.rng.choice(self.keys), self.random_accounts()
        if self.expect("edit scope", self.person.send(f"{key.path}/edit-scope", site.scope(accounts)), 302):
            key.accounts = accounts

    def rotate(self) -> None:
        key = self.rng.choice(self.keys)
        self.revoking.add(key.secret)
        response = self.person.send(f"{key.path}/rotate", {})
        if self.expect("rotate", response, 200):
            self.revoked.append(key.secret)
            key.secret, key.rotation = response.secret, key.rotation + 1

    def delete(self) -> None:
        if len(self.keys) < 2:
            return
        key = self.keys.pop(self.rng.randrange(len(self.keys)))
        self.revoking.add(key.secret)
        if self.expect("delete", self.person.send(f"{key.path}/delete", {}), 302):
            self.revoked.append(key.secret)

    def read(self) -> None:
        connection = self.served.connect()
        while not self.stop.is_set():
            keys, revoked = self.keys[:], self.revoked[-5:]
            if not keys:
                continue
            secret = self.rng.choice([key.secret for key in keys] * 3 + revoked)
            was_revoked = secret in self.revoked
            response = connection.call(secret, self.rng.choice(["/v2/accounts", "/v2/accounts?status=all"]))
            self.counts[f"read {response.status}"] += 1
            if response.status == 200 and was_revoked:
                self.errors.append("a revoked secret worked")
            elif response.status == 200:
                ids = {account["id"] for account in response.json()["accounts"]}
                if not ids <= set(self.owner.accounts):
                    self.errors.append("the response contained another user's account")
            elif response.status != 401 or secret not in self.revoking:
                self.errors.append(f"read: {response.status}")

    def expect(self, action: str, response: site.Response, status: int) -> bool:
        self.counts[f"{action} {response.status}"] += 1
        if response.status != status:
            self.errors.append(f"{action}: {response.status}")
        return response.status == status

    def random_accounts(self) -> list[str] | None:
        if self.rng.random() < 0.3:
            return None
        return self.rng.sample(self.owner.accounts, self.rng.randint(1, len(self.owner.accounts)))

    def check(self) -> None:
        """Assert that every key is in its expected state."""
        connection = self.served.connect()
        self.person.close()  # The server may have closed the connection.
        assert sorted(self.person.key_paths()) == sorted(key.path for key in self.keys)
        for key in self.keys:
            response = connection.call(key.secret, "/v2/accounts?status=all")
            ids = {account["id"] for account in response.json()["accounts"]}
            assert ids == set(self.owner.accounts if key.accounts is None else key.accounts)
            assert key.name in self.person.page(f"{key.path}/rename").text
            assert self.person.form(f"{key.path}/rotate")["rotation"] == str(key.rotation)
        assert {connection.call(secret).status for secret in self.revoked} <= {401}


def megabytes(pid: int) -> float:
    """Return the memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_soak(postgresql, redis):
    env = site.environment(postgresql.create_database("soak"), RATE_LIMIT_STORAGE=redis.url)
    stop = threading.Event()
    with site.serving(env, workers=2, threads=4) as served:
        workloads = [
            Workload(served, site.create_owner(env, f"owner{number}@example.com", 5), random.Random(number), stop)  # noqa: S311
            for number in range(OWNERS)
        ]
        jobs = [job for workload in workloads for job in (workload.change, workload.read)]
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(min(30, max(10, MINUTES * 60 / 4)))  # warm up: each worker has served every action
        before = [megabytes(pid) for pid in served.worker_pids()]
        start = time.monotonic()
        while time.monotonic() - start < MINUTES * 60 and all(thread.is_alive() for thread in threads):
            time.sleep(0.2)
        ended_early = [thread for thread in threads if not thread.is_alive()]
        stop.set()
        for thread in threads:
            thread.join()
        after = [megabytes(pid) for pid in served.worker_pids()]
        counts = sum((workload.counts for workload in workloads), Counter())
        for action, count in sorted(counts.items()):
            print(f"{count:9,}  {action}")
        print(f"{sum(counts.values()):9,}  requests in {MINUTES:g} minutes")
        print(f"memory of the workers: {before} MB when warm, {after} MB at the end")
        assert not ended_early
        assert [error for workload in workloads for error in workload.errors] == []
        for workload in workloads:
            workload.check()
        assert all(last < 1.2 * first + 10 for first, last in zip(before, after, strict=True))
