"""Database and cache servers of a test run's own, which it may stop, kill and start again.

``python -m tests.live.servers COMMAND …`` runs a command with ``DATABASE_URL`` set to a PostgreSQL of its own.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60  # seconds until a server that does not come up is given up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return what ``true()`` returns as soon as that is true. Raises ``TimeoutError``."""
    until = time.monotonic() + patience
    while not (result := true()):
        if time.monotonic() > until:
            raise TimeoutError(f"After {patience:g} seconds: not {what}.")
        time.sleep(0.02)
    return result


def program(name: str) -> str:
    """Return the path of a server's program. Skips the test where there is none; fails it in CI."""
    elsewhere = ["/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # not on everybody's PATH
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *elsewhere]))
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"There is no {name} on this machine.")
    return found


class PostgreSQL:
    """A server in a folder of its own, reached by its socket only."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.data = folder, folder / "data"
        # Nothing here outlives the machine, so nothing waits for the disk.
        options = {"listen_addresses": "''", "unix_socket_directories": str(folder), "fsync": "off", **settings}
        self._options = " ".join(f"-c {name}={value}" for name, value in options.items())
        # The server refuses to run as root.
        self.user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        folder.chmod(0o755)
        if self.user is not None:
            os.chown(folder, self.user, -1)
        self._run(program("initdb"), "--no-sync", "--auth=trust", "--username=finta", "--encoding=UTF8")

    def start(self) -> None:
        self._run(program("pg_ctl"), "start", "--wait", "--log", str(self.folder / "log"), "--options", self._options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends the connections first, ``immediate`` is as good as a crash."""
        self._run(program("pg_ctl"), "stop", "--wait", "--mode", mode)

    def url(self, database: str = "postgres") -> str:
        return f"postgres://finta@/{database}?host={self.folder}"

    def make(self, database: str) -> str:
        """Make an empty database and return its address."""
        self.sql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(f"host={self.folder} user=finta dbname={database}", autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, *command: str) -> None:
        environment = {**os.environ, "PGDATA": str(self.data), "LC_ALL": "C"}
        # Not through a pipe: the server that is started would hold it open.
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(command, env=environment, cwd="/", user=self.user, stdout=output, stderr=output)
        if done.returncode:
            raise RuntimeError((self.folder / "output").read_text()[-2000:])


class Redis:
    """A server that keeps nothing, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [program("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""],
            cwd="/",
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: answers(self.port), "a Redis that answers")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None


class PgBouncer:
    """A pool before a PostgreSQL that hands out a connection for one transaction only."""

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.port, self.server, self.folder = free_port(), server, folder

    def url(self, database: str) -> str:
        return f"postgres://finta@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "ignore_startup_parameters": "extra_float_digits",
            "logfile": self.folder / "log",
        }
        lines = ["[databases]", f"* = host={self.server.folder} user=finta", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        path = self.folder / "pgbouncer.ini"
        path.write_text("\n".join(lines))
        self.folder.chmod(0o777)
        path.chmod(0o644)
        self._process = subprocess.Popen(
            [program("pgbouncer"), str(path)], cwd="/", user=self.server.user, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: answers(self.port), "a PgBouncer that answers")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def answers(port: int) -> bool:
    """Tell whether something takes connections at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def postgresql(**settings: object) -> Iterator[PostgreSQL]:
    """Start a PostgreSQL, and remove all of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="finta-pg-") as name:
        server = PostgreSQL(Path(name), **settings)
        server.start()
        try:
            yield server
        finally:
            with suppress(RuntimeError):  # A test left it stopped.
                server.stop("immediate")


@contextmanager
def redis() -> Iterator[Redis]:
    server = Redis()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main(*command: str) -> int:
    with postgresql() as server:
        environment = {**os.environ, "DATABASE_URL": server.url()}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
