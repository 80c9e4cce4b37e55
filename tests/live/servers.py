"""Temporary PostgreSQL, Redis and PgBouncer servers that tests can stop, kill and restart.

``python -m tests.live.servers COMMAND …`` runs a command with ``DATABASE_URL`` set to a temporary PostgreSQL.
"""

from __future__ import annotations

import glob
import os
import pwd
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

SOCKET = ".s.PGSQL.5432"
TIMEOUT = 60  # seconds to wait for a server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], description: str, timeout: float = TIMEOUT) -> Any:
    """Return the first true result of ``condition()``. Raise ``TimeoutError`` after a timeout."""
    until = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"Waited {timeout:g} seconds for {description}.")
        time.sleep(0.02)
    return result


def program(name: str) -> str:
    """Return the path of a program. If it is missing, skip the test, or fail it in CI."""
    # These folders are often missing from PATH.
    folders = ["/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *folders]))
    if not path:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed.")
    return path


class PostgreSQL:
    """A server in its own folder, reachable through its Unix socket only."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.data = folder, folder / "data"
        # The data is temporary, so do not wait for the disk.
        options = {"listen_addresses": "''", "unix_socket_directories": str(folder), "fsync": "off", **settings}
        self._options = " ".join(f"-c {name}={value}" for name, value in options.items())
        # The server refuses to run as root.
        self.user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        folder.chmod(0o755)
        if self.user is not None:
            os.chown(folder, self.user, -1)
        self._create()

    def _create(self) -> None:
        self._run(program("initdb"), "--no-sync", "--auth=trust", "--username=finta", "--encoding=UTF8")

    def start(self) -> None:
        self._run(program("pg_ctl"), "start", "--wait", "--log", str(self.folder / "log"), "--options", self._options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server. ``fast`` closes connections first, ``immediate`` simulates a crash."""
        self._run(program("pg_ctl"), "stop", "--wait", "--mode", mode)

    def kill(self) -> None:
        """Kill all processes, as if the machine were lost. ``stop("immediate")`` sometimes takes a minute."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def url(self, database: str = "postgres") -> str:
        return f"postgres://finta@/{database}?host={self.folder}"

    def create_database(self, database: str) -> str:
        """Create an empty database and return its URL."""
        self.sql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(f"host={self.folder} user=finta dbname={database}", autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, *command: str) -> None:
        environment = {**os.environ, "PGDATA": str(self.data), "LC_ALL": "C"}
        # Not a pipe: the started server would keep it open.
        with (self.folder / "output").open("ab") as output:
            process = subprocess.run(command, env=environment, cwd="/", user=self.user, stdout=output, stderr=output)
        if process.returncode:
            raise RuntimeError((self.folder / "output").read_text()[-2000:])


class Standby(PostgreSQL):
    """A streaming standby that begins with a copy of a stopped server, and connects to it at ``host``."""

    def __init__(self, primary: PostgreSQL, folder: Path, host: Path | None = None, **settings: object) -> None:
        self.primary, self.host = primary, host or primary.folder
        super().__init__(folder, **settings)

    def _create(self) -> None:
        copy_data(self.primary.data, self)
        connection = f"host={self.host} user=finta"
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{connection}'\n")
        (self.data / "standby.signal").touch()

    def promote(self) -> None:
        self._run(program("pg_ctl"), "promote", "--wait")


def copy_data(source: Path, server: PostgreSQL) -> None:
    """Replace the data of a stopped server."""
    shutil.rmtree(server.data, ignore_errors=True)
    shutil.copytree(source, server.data)
    for path in (server.data, *server.data.rglob("*")):
        os.chown(path, -1 if server.user is None else server.user, -1)
    server.data.chmod(0o700)


class Proxy:
    """Passes connections of a Unix socket on to a server, with a delay in both directions."""

    def __init__(self, server: PostgreSQL, folder: Path, delay: float = 0.0) -> None:
        self.server, self.folder, self.delay = server, folder, delay
        self._sockets: list[socket.socket] = []
        folder.chmod(0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        (folder / SOCKET).chmod(0o777)
        self._listener.listen()
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Pass nothing on any longer, and leave the connections open, like a broken link."""
        self._is_cut = True

    def mend(self) -> None:
        """Close the connections that are cut, and accept new ones."""
        self._close_connections()
        self._is_cut = False

    def close(self) -> None:
        self._is_cut = True
        self._listener.close()
        self._close_connections()

    def _close_connections(self) -> None:
        sockets, self._sockets = self._sockets, []
        for connection in sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(str(self.server.folder / SOCKET))
            except (ConnectionError, FileNotFoundError):  # The server is not there.
                client.close()
                upstream.close()
                continue
            except OSError:  # closed
                return
            self._sockets += [client, upstream]
            for source, target in ((client, upstream), (upstream, client)):
                chunks: queue.Queue[tuple[float, bytes]] = queue.Queue()
                threading.Thread(target=self._read, args=(source, chunks), daemon=True).start()
                threading.Thread(target=self._write, args=(target, chunks), daemon=True).start()

    def _read(self, source: socket.socket, chunks: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if not self._is_cut or not data:
                chunks.put((time.monotonic() + self.delay, data))
        source.close()

    def _write(self, target: socket.socket, chunks: queue.Queue[tuple[float, bytes]]) -> None:
        while True:
            at, data = chunks.get()
            time.sleep(max(0.0, at - time.monotonic()))
            if self._is_cut and data:
                continue
            try:
                if not data:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)
            except OSError:
                return


class LaggingReplica(PostgreSQL):
    """A streaming replica of another server. It stays at the state that it was created with."""

    def __init__(self, primary: PostgreSQL, folder: Path) -> None:
        self.primary = primary
        super().__init__(folder, recovery_min_apply_delay="1h")

    def _create(self) -> None:
        options = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--username=finta")
        self._run(program("pg_basebackup"), "--pgdata", str(self.data), "--host", str(self.primary.folder), *options)


class Redis:
    """A server without persistence, on a free port.

    ``options`` are those of ``redis-server``. Replicas and nodes of a cluster write files to ``folder``.
    """

    def __init__(self, *options: str, folder: Path = Path("/")) -> None:
        self.port, self.folder, self._options = free_port(), folder, options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [program("redis-server"), *self._options, "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: is_listening(self.port), "Redis to start")

    def pause(self) -> None:
        """Let the server hang: the system accepts connections, and no request gets a response."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process:
            self._process.kill()  # A paused server does not terminate.
            self._process.wait()
            self._process = None


class Sentinel(Redis):
    """Watches a Redis by the name ``limits``, and replaces it with a replica after a second."""

    def __init__(self, master: Redis, folder: Path) -> None:
        path = folder / f"sentinel-{len(list(folder.iterdir()))}.conf"
        lines = (f"monitor limits 127.0.0.1 {master.port} 2", "down-after-milliseconds limits 1000")
        path.write_text("".join(f"sentinel {line}\n" for line in lines))
        super().__init__(str(path), "--sentinel")


class PgBouncer:
    """A connection pool in transaction mode in front of PostgreSQL."""

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.port, self.server, self.folder = free_port(), server, folder
        self._path = folder / "pgbouncer.ini"

    def url(self, database: str) -> str:
        return f"postgres://finta@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._write_settings()
        self._process = subprocess.Popen(
            [program("pgbouncer"), str(self._path)], cwd="/", user=self.server.user, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: is_listening(self.port), "PgBouncer to start")

    def move_to(self, server: PostgreSQL) -> None:
        """Change the host of the databases, as an operator does after a failover."""
        import psycopg

        self.server = server
        self._write_settings()
        with psycopg.connect(self.url("pgbouncer"), autocommit=True) as console:
            console.execute("RELOAD")
            console.execute("RECONNECT")

    def _write_settings(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": "finta",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "ignore_startup_parameters": "extra_float_digits",
            "query_wait_timeout": 5,
            "server_login_retry": 1,
            "logfile": self.folder / "log",
        }
        lines = ["[databases]", f"* = host={self.server.folder} user=finta", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        self.folder.chmod(0o777)
        (self.folder / "users").write_text('"finta" ""\n')
        self._path.write_text("\n".join(lines))
        self._path.chmod(0o644)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def is_listening(port: int) -> bool:
    """Return True if a local port accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def postgresql(**settings: object) -> Iterator[PostgreSQL]:
    """Start a temporary PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="finta-pg-") as name:
        server = PostgreSQL(Path(name), **settings)
        server.start()
        try:
            yield server
        finally:
            with suppress(RuntimeError):  # A test left it stopped.
                server.stop("immediate")


@contextmanager
def lagging_replica(primary: PostgreSQL) -> Iterator[LaggingReplica]:
    """Start a replica that applies no change of the primary for an hour."""
    with tempfile.TemporaryDirectory(prefix="finta-replica-") as name:
        replica = LaggingReplica(primary, Path(name))
        replica.start()
        try:
            yield replica
        finally:
            replica.stop("immediate")


@contextmanager
def redis(*options: str, folder: Path = Path("/")) -> Iterator[Redis]:
    server = Redis(*options, folder=folder)
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
