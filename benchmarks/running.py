"""Databases, worker processes, interleaved rounds and instruction counts."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.designs import Case

ROOT = Path(__file__).resolve().parent.parent
COUNTED = 20  # requests of a counted run; a second run has twice as many
Results = dict[Case, dict[str, Any]]


class Store:
    """The databases of a run: SQLite files in a folder, or databases on a PostgreSQL server."""

    def __init__(self, folder: Path, server: str = "") -> None:
        self.folder, self.server = folder, server
        self.created: list[str] = []

    def url(self, design: str, keys: int) -> str:
        name = f"finta_bench_{os.getpid()}_{design}_{keys}"
        if not self.server:
            return f"sqlite:///{self.folder / name}.sqlite3"
        address, _, query = self.server.partition("?")
        return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def callers(self, design: str, keys: int) -> Path:
        return self.folder / f"{'postgresql' if self.server else 'sqlite'}-{design}-{keys}.json"

    def environment(self, design: str, keys: int) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "BENCH_DESIGN": design,
            "BENCH_DATABASE": self.url(design, keys),
            "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore::UserWarning",  # about static files, which are not used
        }

    def fill(self, design: str, keys: int) -> None:
        if self.server:
            self._administer(f'CREATE DATABASE "{self._database(design, keys)}"')
            self.created.append(self._database(design, keys))
        command = [*_worker("fill", design), str(keys), str(self.callers(design, keys))]
        subprocess.run(command, cwd=ROOT, env=self.environment(design, keys), check=True)  # noqa: S603  # our own

    def remove(self) -> None:
        """Drop the created databases. The caller removes the folder."""
        for name in self.created:
            self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _database(self, design: str, keys: int) -> str:
        return self.url(design, keys).partition("?")[0].rpartition("/")[2]

    def _administer(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(maintenance(self.server), autocommit=True) as connection:
            connection.execute(statement)


def maintenance(server: str) -> str:
    """Return the URL of the server's maintenance database."""
    address, _, query = server.partition("?")
    return f"{address.rpartition('/')[0]}/postgres" + (f"?{query}" if query else "")


def fill_all(store: Store, cases: Iterable[Case]) -> None:
    """Create the databases of these cases that do not exist yet."""
    for design, keys in sorted({(case.design, case.keys) for case in cases}):
        if store.callers(design, keys).exists():
            continue
        say(f"filling {design} with {keys:,} keys")
        store.fill(design, keys)


def measure(store: Store, cases: tuple[Case, ...], rounds: int, requests: int) -> Results:
    """Time every case in every round. Return ``us``, ``queries`` and ``status`` per case and kind."""
    with workers(store, cases) as send:
        results: Results = {case: {} for case in cases}
        for case in cases:
            for kind in case.kinds:
                results[case][kind] = send(case, do="inspect", kind=kind) | {"rounds": []}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for case in cases:
                # It sleeps, which would take most of the time.
                n = requests // 10 if case.design == "simple" else requests
                for kind in case.kinds:
                    results[case][kind]["rounds"].append(send(case, do="time", kind=kind, n=n))
    for kinds in results.values():
        for result in kinds.values():
            result["us"] = statistics.median(result.pop("rounds"))
    return results


@contextmanager
def workers(store: Store, cases: tuple[Case, ...]) -> Iterator[Any]:
    """Start a process per case. Yield a function that sends an order to a process and returns the result."""
    processes = {}
    try:
        for case in cases:
            processes[case] = subprocess.Popen(  # noqa: S603  # our own
                [*_worker("serve", case.design), case.caller, case.entry, str(store.callers(case.design, case.keys))],
                cwd=ROOT,
                env=store.environment(case.design, case.keys),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

        def send(case: Case, **order: Any) -> Any:
            process = processes[case]
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"The process of {case.name} ended; see its output above.")
            return json.loads(line)

        yield send
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()


def count(store: Store, cases: tuple[Case, ...], results: Results) -> bool:
    """Add ``instructions`` per request. Return False if valgrind is not installed.

    Counts do not depend on the load of the machine, so one run per processor is active.
    """
    if not shutil.which("valgrind"):
        say("valgrind is not installed: no instruction counts")
        return False
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, counts in zip(cases, pool.map(lambda case: _count(store, case), cases), strict=True):
            for kind, instructions in counts.items():
                results[case][kind]["instructions"] = instructions
    return True


def _count(store: Store, case: Case) -> dict[str, float]:
    say(f"counting {case.name}")
    folder = store.folder / f"callgrind-{case.name}"
    folder.mkdir()
    command = [
        *("valgrind", "-q", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={folder / 'out'}"),
        *_worker("count", case.design),
        *(case.caller, case.entry, str(store.callers(case.design, case.keys)), ",".join(case.kinds), str(COUNTED)),
    ]
    environment = store.environment(case.design, case.keys)
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603  # our own
    # Each of the two runs per kind has a mark before and after it, so the 2nd and 4th of four dumps are the runs.
    dumps = [_total(folder / f"out.{number + 1}") for number in range(4 * len(case.kinds))]
    runs = {kind: dumps[4 * place : 4 * place + 4] for place, kind in enumerate(case.kinds)}
    return {kind: (run[3] - run[1]) / COUNTED for kind, run in runs.items()}


def _total(dump: Path) -> int:
    match = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)
    if not match:
        raise SystemExit(f"{dump} contains no total.")
    return int(match[1])


def _worker(action: str, design: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.worker", action, design]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
