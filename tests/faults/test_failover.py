"""The primary is lost, and a standby takes its place: a change that was confirmed is not undone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.live import servers, site

FAILOVERS = int(os.environ.get("SOAK_FAILOVERS", "1"))
CUT = 0.5  # seconds before the primary is lost

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def template() -> Iterator[servers.PostgreSQL]:
    """A stopped server with the tables of the site."""
    names = {"synchronous_commit": "local", "wal_level": "replica", "shared_buffers": "16MB"}
    with servers.postgresql(**names) as server:
        site.manage(site.environment(server.url()), "migrate", "--verbosity", "0")
        server.stop()
        yield server


class Pair:
    """A primary and its standby, with a proxy between them. ``begin()`` starts them with equal data."""

    def __init__(self, template: servers.PostgreSQL, folder: Path, delay: float, addresses: Any = ("", "")) -> None:
        self.template, self.folder, self.delay = template, folder, delay
        address, self.standby_address = addresses
        folder.chmod(0o755)
        for name in ("primary", "standby", "proxy"):
            (folder / name).mkdir()
        self.primary = servers.PostgreSQL.__new__(servers.PostgreSQL)
        self.primary.__dict__.update(template.__dict__ | {"folder": folder / "primary"})
        self.primary.data = folder / "primary/data"
        os.chown(folder / "primary", template.user if template.user is not None else -1, -1)
        self.primary._options = template._options.replace(str(template.folder), str(folder / "primary"))
        self.primary._options += f' -c synchronous_standby_names="ANY 1 (*)" -c listen_addresses="{address}"'
        self.proxy = servers.Proxy(self.primary, folder / "proxy", delay)

    def begin(self) -> None:
        servers.copy_data(self.template.data, self.primary)
        self.proxy.mend()
        self.standby = servers.Standby(
            self.template, self.folder / "standby", self.proxy.folder, listen_addresses=f'"{self.standby_address}"'
        )
        self.primary.start()
        self.standby.start()
        servers.wait_until(self._is_streaming, "the standby to stream")

    def _is_streaming(self) -> bool:
        with psycopg.connect(f"host={self.primary.folder} user=finta dbname=postgres") as connection:
            return (
                connection.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'").fetchone() is not None
            )

    def end(self) -> None:
        for server in (self.primary, self.standby):
            try:
                server.stop("immediate")
            except RuntimeError:  # stopped by the test
                continue


class Worker:
    """A process that changes keys."""

    def __init__(self, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.live.changes"]
        self.process = subprocess.Popen(
            command, cwd=site.ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _send_line(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def start(self) -> None:
        self._send_line()
        self.events: list[dict[str, Any]] = []
        self._read_until("started")

    def end(self) -> list[dict[str, Any]]:
        self._send_line()
        self._read_until("ended")
        return [event for event in self.events if "confirmed" in event]

    def _read_until(self, kind: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            event = json.loads(line)
            if event["kind"] == kind:
                return
            self.events.append(event)
        raise RuntimeError("The process that changes keys has ended.")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def is_lost(event: dict[str, Any], keys: dict[str, tuple[int, int, int]], deleted: set[str]) -> bool:
    """Return True if a change is not in these keys: name, scope edits and rotation by id."""
    key, kind = keys.get(event["key"]), event["kind"]
    if kind == "delete":
        return key is not None
    if key is None:
        return event["key"] not in deleted
    return {"create": 0, "rename": key[0], "edit scope": key[1], "rotate": key[2]}[kind] < event["value"]


def fail_over(pair: Pair, worker: Worker, seconds: float, *, is_cut: bool) -> tuple[list[dict[str, Any]], Any]:
    """Change keys, lose the primary, promote the standby. Return the changes and the keys that are left."""
    pair.begin()
    try:
        worker.start()
        time.sleep(seconds)
        if is_cut:
            pair.proxy.cut()
            time.sleep(CUT)
        pair.primary.kill()
        pair.proxy.cut()
        events = worker.end()
        pair.standby.promote()
        with psycopg.connect(f"host={pair.standby.folder} user=finta dbname=postgres") as connection:
            rows = connection.execute("SELECT id, name, scope_edits, rotation FROM finta_keys_apikey").fetchall()
        return events, {str(pk): (int(name), *numbers) for pk, name, *numbers in rows}
    finally:
        pair.end()


MODES: dict[str, dict[str, Any]] = {
    "barrier, 0 ms": {"delay": 0.0, "timeout": "1"},
    "barrier, 25 ms": {"delay": 0.025, "timeout": "1"},
    "barrier, link cut": {"delay": 0.0, "timeout": "1", "is_cut": True},
    "asynchronous, 0 ms": {"delay": 0.0},
    "asynchronous, 25 ms": {"delay": 0.025},
    "asynchronous, link cut": {"delay": 0.0, "is_cut": True},
}


@pytest.mark.rule("K4")
@pytest.mark.parametrize("mode", MODES if FAILOVERS > 1 else ["barrier, 25 ms", "barrier, link cut"])
def test_confirmed_changes_survive_the_loss_of_the_primary(template, tmp_path, mode):
    options = MODES[mode]
    rng = random.Random(os.environ.get("SOAK_SEED", "1"))  # noqa: S311  # repeatable on purpose
    with tempfile.TemporaryDirectory(prefix="finta-failover-") as name:
        pair = Pair(template, Path(name), options["delay"])
        env = site.environment(pair.primary.url(), STANDBY_TIMEOUT=options.get("timeout", ""))
        worker = Worker(env)
        counts: dict[str, Counter[str]] = {}
        undone = 0
        try:
            for _ in range(FAILOVERS):
                seconds = 0.5 + rng.random()
                events, keys = fail_over(pair, worker, seconds, is_cut=options.get("is_cut", False))
                deleted = {event["key"] for event in events if event["kind"] == "delete"}
                lost = [event for event in events if is_lost(event, keys, deleted)]
                undone += bool(lost)
                for kind, group in (
                    ("acknowledged", events),
                    ("confirmed", [event for event in events if event["confirmed"]]),
                    ("lost", lost),
                    ("confirmed and lost", [event for event in lost if event["confirmed"]]),
                ):
                    counts.setdefault(kind, Counter()).update(event["kind"] for event in group)
        finally:
            worker.close()
            pair.proxy.close()
    print(f"\n{mode}: {undone} of {FAILOVERS} failovers lost changes")
    for kind, counter in counts.items():
        print(f"{counter.total():7,}  {kind}: {dict(sorted(counter.items()))}")
    assert counts["acknowledged"].total() > 0
    if "timeout" in options:
        assert counts["confirmed"].total() > 0
        assert counts["confirmed and lost"] == Counter()


CREATE = """
from accounts_app.models import User
from finta_keys.models import ApiKey
ApiKey.objects.create_key(owner=User.objects.get(), name="Lost")
"""
DELETE = "from finta_keys.models import ApiKey; ApiKey.objects.get().delete()"


def test_events_of_the_old_primary_show_lost_changes(template):
    """As docs/operations.md compares them."""
    with tempfile.TemporaryDirectory(prefix="finta-failover-") as name:
        pair = Pair(template, Path(name), 0.0)
        pair.begin()
        try:
            old, new = (site.environment(server.url()) for server in (pair.primary, pair.standby))
            site.create_owner(old)
            site.manage(old, "shell", "--no-imports", "--command", CREATE)
            with psycopg.connect(f"host={pair.standby.folder} user=finta dbname=postgres", autocommit=True) as standby:
                events = "SELECT 1 FROM finta_keys_keyevent"
                servers.wait_until(lambda: standby.execute(events).fetchone(), "the standby to have the key")
            pair.proxy.cut()
            site.manage(old, "shell", "--no-imports", "--command", DELETE)
            pair.primary.stop("immediate")
            pair.standby.promote()
            pair.primary.start()
            lines = [site.manage(env, "listevents").splitlines()[:-2] for env in (old, new)]
        finally:
            pair.end()
            pair.proxy.close()
    (line,) = set(lines[0]) - set(lines[1])
    assert "  deleted  " in line
    assert "“Lost”  of owner@example.com, by the service" in line
