"""Reads and key changes of all kinds, mixed, for as long as ``SOAK_MINUTES`` says."""

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
    """What a key must be now. None of ``accounts`` means all."""

    path: str
    secret: str
    name: str
    accounts: list[str] | None
    rotation: int = 0


@dataclass
class Life:
    """One owner who changes keys, and scripts that read with them. Nobody else changes these keys."""

    served: site.Site
    owner: site.Owner
    chance: random.Random
    over: threading.Event
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    dying: set[str] = field(default_factory=set)  # dead as soon as the server answers, or already
    dead: list[str] = field(default_factory=list)

    def change(self) -> None:
        self.person = self.served.sign_in(self.owner)
        self.create()
        while not self.over.is_set():
            act = self.chance.choice([self.create, self.rename, self.edit_scope, self.rotate, self.rotate, self.delete])
            act()
            time.sleep(self.chance.random() * 0.05)

    def create(self) -> None:
        if len(self.keys) > 5:
            return
        name, accounts = f"Key {self.counts['create 200']}", self.some_accounts()
        answer = self.person.create(name, accounts)
        if self.expect("create", answer, 200):
            self.keys.append(Key(self.person.key_paths()[0], answer.secret, name, accounts))

    def rename(self) -> None:
        key = self.chance.choice(self.keys)
        name = f"Renamed {self.counts['rename 302']}"
        if self.expect("rename", self.person.send(f"{key.path}/rename", {"name": name}), 302):
            key.name = name

    def edit_scope(self) -> None:
        key, accounts = self.chance.choice(self.keys), self.some_accounts()
        if self.expect("edit scope", self.person.send(f"{key.path}/edit-scope", site.scope(accounts)), 302):
            key.accounts = accounts

    def rotate(self) -> None:
        key = self.chance.choice(self.keys)
        self.dying.add(key.secret)
        answer = self.person.send(f"{key.path}/rotate", {})
        if self.expect("rotate", answer, 200):
            self.dead.append(key.secret)
            key.secret, key.rotation = answer.secret, key.rotation + 1

    def delete(self) -> None:
        if len(self.keys) < 2:
            return
        key = self.keys.pop(self.chance.randrange(len(self.keys)))
        self.dying.add(key.secret)
        if self.expect("delete", self.person.send(f"{key.path}/delete", {}), 302):
            self.dead.append(key.secret)

    def read(self) -> None:
        asked = self.served.connect()
        while not self.over.is_set():
            keys, dead = self.keys[:], self.dead[-5:]
            if not keys:
                continue
            secret = self.chance.choice([key.secret for key in keys] * 3 + dead)
            was_dead = secret in self.dead
            answer = asked.call(secret, self.chance.choice(["/v2/accounts", "/v2/accounts?status=all"]))
            self.counts[f"read {answer.status}"] += 1
            if answer.status == 200 and was_dead:
                self.wrong.append("a dead secret was served")
            elif answer.status == 200:
                seen = {account["id"] for account in answer.json()["accounts"]}
                if not seen <= set(self.owner.accounts):
                    self.wrong.append("somebody else's account was served")
            elif answer.status != 401 or secret not in self.dying:
                self.wrong.append(f"a read was answered {answer.status}")

    def expect(self, what: str, answer: site.Answer, status: int) -> bool:
        self.counts[f"{what} {answer.status}"] += 1
        if answer.status != status:
            self.wrong.append(f"{what} was answered {answer.status}")
        return answer.status == status

    def some_accounts(self) -> list[str] | None:
        if self.chance.random() < 0.3:
            return None
        return self.chance.sample(self.owner.accounts, self.chance.randint(1, len(self.owner.accounts)))

    def check(self) -> None:
        """Assert that all is as this owner left it."""
        asked = self.served.connect()
        self.person.close()  # The server may have, meanwhile.
        assert sorted(self.person.key_paths()) == sorted(key.path for key in self.keys)
        for key in self.keys:
            answer = asked.call(key.secret, "/v2/accounts?status=all")
            seen = {account["id"] for account in answer.json()["accounts"]}
            assert seen == set(self.owner.accounts if key.accounts is None else key.accounts)
            assert key.name in self.person.page(f"{key.path}/rename").text
            assert self.person.form(f"{key.path}/rotate")["rotation"] == str(key.rotation)
        assert {asked.call(secret).status for secret in self.dead} <= {401}


def megabytes(pid: int) -> float:
    """Return what a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_soak(postgresql, redis):
    env = site.environment(postgresql.make("soak"), RATE_LIMIT_STORAGE=redis.url)
    over = threading.Event()
    with site.serving(env, workers=2, threads=4) as served:
        lives = [
            Life(served, site.make_owner(env, f"owner{number}@example.com", 5), random.Random(number), over)  # noqa: S311
            for number in range(OWNERS)
        ]
        jobs = [job for life in lives for job in (life.change, life.read)]
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(min(30, MINUTES * 60 / 4))  # until all is warm
        before = [megabytes(pid) for pid in served.worker_pids()]
        begun = time.monotonic()
        while time.monotonic() - begun < MINUTES * 60 and all(thread.is_alive() for thread in threads):
            time.sleep(0.2)
        ended_early = [thread for thread in threads if not thread.is_alive()]
        over.set()
        for thread in threads:
            thread.join()
        after = [megabytes(pid) for pid in served.worker_pids()]
        counts = sum((life.counts for life in lives), Counter())
        for what, count in sorted(counts.items()):
            print(f"{count:9,}  {what}")
        print(f"{sum(counts.values()):9,}  requests in {MINUTES:g} minutes")
        print(f"memory of the workers: {before} MB when warm, {after} MB at the end")
        assert not ended_early
        assert [wrong for life in lives for wrong in life.wrong] == []
        for life in lives:
            life.check()
        assert all(end < 1.2 * start + 10 for start, end in zip(before, after, strict=True))
