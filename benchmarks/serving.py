"""Requests per second under gunicorn. A separate process sends them over the loopback interface."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.store import ROOT, Store, say

WORKERS, THREADS, CONNECTIONS = 2, 2, 4
ROUNDS, SECONDS = 7, 3.0


@dataclass(frozen=True)
class Served:
    """Requests per second, and requests per second of the workers' processor time, without the load generator."""

    rate: float
    per_cpu: float


def measure(store: Store, cases: tuple[Case, ...]) -> dict[Case, Served]:
    """Return the medians of interleaved rounds. Each has new servers, because equal ones differ by some percent as long
    as they run."""
    rates: dict[Case, list[Served]] = {case: [] for case in cases}
    store.fill(cases)
    for number in range(ROUNDS):
        say(f"gunicorn, round {number + 1} of {ROUNDS}")
        with ExitStack() as stack:
            servers = {case: stack.enter_context(_server(store, case)) for case in cases}
            for case in cases:
                _load(store, case, *servers[case], 1.0)  # not counted: imports, connections, caches
            for case in cases:
                rates[case].append(_load(store, case, *servers[case], SECONDS))
    return {
        case: Served(statistics.median(r.rate for r in results), statistics.median(r.per_cpu for r in results))
        for case, results in rates.items()
    }


@contextmanager
def _server(store: Store, case: Case) -> Iterator[tuple[int, int]]:
    port = _free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "benchmarks.wsgi", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"),
        *("--worker-class", "gthread", "--workers", str(WORKERS), "--threads", str(THREADS)),
        *("--keep-alive", "30", "--no-control-socket"),
    ]
    environment = store.environment_of(case)
    process = subprocess.Popen(command, cwd=ROOT, env=environment)  # noqa: S603  # our own
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("gunicorn did not start; see its output above.")


def _cpu_seconds(parent: int) -> float:
    """Return the processor time of gunicorn's workers so far (Linux only)."""
    pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    # Fields 14 and 15 of proc(5), counted after the name, which is in brackets and may contain spaces.
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def _load(store: Store, case: Case, port: int, parent: int, seconds: float) -> Served:
    caller = json.loads(store.callers(case.data).read_text())[case.caller]["valid"]
    command = [sys.executable, "-m", "benchmarks.serving", str(port), caller["pk"], caller["header"], str(seconds)]
    before = _cpu_seconds(parent)
    process = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    rate, total = map(float, process.stdout.split())
    return Served(rate, total / (_cpu_seconds(parent) - before))


def load(port: int, pk: str, header: str, seconds: float) -> tuple[float, int]:
    """Request the account over persistent connections. Return the responses per second and in total."""
    lines = (f"GET /bench/accounts/{pk} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: {header}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    start = time.perf_counter()
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(_request_until(port, request, start + seconds)))
        for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < CONNECTIONS:
        raise SystemExit("A connection failed; see the exception above.")
    return sum(counts) / (time.perf_counter() - start), sum(counts)


def _request_until(port: int, request: bytes, end: float) -> int:
    count = 0
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        while time.perf_counter() < end:
            connection.sendall(request)
            _read_response(connection)
            count += 1
    return count


def _read_response(connection: socket.socket) -> None:
    """Read one response. Raise ``ConnectionError`` unless its status is 200."""
    read = b""
    while True:
        chunk = connection.recv(65536)
        read += chunk
        head, separator, body = read.partition(b"\r\n\r\n")
        if separator:
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(body) >= length:
                break
        if not chunk:
            raise ConnectionError("The server closed the connection.")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.partition(b"\r\n")[0].decode())


if __name__ == "__main__":
    print(*load(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
