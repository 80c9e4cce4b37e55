"""The databases of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.cases import Case, Data

ROOT = Path(__file__).resolve().parent.parent
STARTED = time.monotonic()


class Store:
    """SQLite files in a folder, or databases on a PostgreSQL server."""

    def __init__(self, folder: Path, server: str = "") -> None:
        self.folder, self.server = folder, server
        self.created: list[str] = []

    def url(self, data: Data) -> str:
        if not self.server:
            return f"sqlite:///{self.folder / self._name(data)}.sqlite3"
        return self._url_on_server(self._name(data))

    def callers(self, data: Data) -> Path:
        """Return the file with the callers of a database. It exists when the database is filled."""
        return self.folder / f"{'postgresql' if self.server else 'sqlite'}-{data.name}.json"

    def environment(self, data: Data, design: str = "", connection: str = "persistent") -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "BENCH_DESIGN": design or data.design,
            "BENCH_DATABASE": self.url(data),
            "BENCH_CONNECTION": connection,
            "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore::UserWarning",  # about static files, which are not used
        }

    def environment_of(self, case: Case) -> dict[str, str]:
        return self.environment(case.data, case.design, case.connection)

    def fill(self, cases: Iterable[Case]) -> None:
        """Create the databases of these cases that do not exist yet, one per processor at a time."""
        missing = {case.data for case in cases if not self.callers(case.data).exists()}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._fill, sorted(missing, key=lambda data: -data.keys)))

    def _fill(self, data: Data) -> None:
        say(f"filling {data.name}")
        if self.server:
            self._administer(f'CREATE DATABASE "{self._name(data)}"')
            self.created.append(self._name(data))
        command = [*worker("fill", data.design), str(data.keys), str(data.events), str(self.callers(data))]
        subprocess.run(command, cwd=ROOT, env=self.environment(data), check=True)  # noqa: S603  # our own

    def remove(self) -> None:
        """Drop the created databases. The caller removes the folder."""
        for name in self.created:
            self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @staticmethod
    def _name(data: Data) -> str:
        return f"finta_bench_{os.getpid()}_{data.name}"

    def _url_on_server(self, name: str) -> str:
        address, _, query = self.server.partition("?")
        return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def _administer(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._url_on_server("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def worker(action: str, design: str) -> list[str]:
    """Return the command of a process of ``benchmarks.worker``."""
    return [sys.executable, "-m", "benchmarks.worker", action, design]


def say(text: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)
