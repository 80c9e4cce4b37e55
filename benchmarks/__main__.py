"""``python -m benchmarks``: measure and write ``docs/benchmarks.md`` with its plots."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import cases, counting, memory, report, serving, timing
from benchmarks.connections import CONNECTIONS
from benchmarks.figures import Measured
from benchmarks.store import Store, say
from benchmarks.timing import Results

LOCAL = "postgres:///postgres?host=/var/run/postgresql"


def main() -> None:
    options = _options()
    measured_cases = cases.on_sqlite(options.full)
    with tempfile.TemporaryDirectory(prefix="finta-bench-") as name:
        store = Store(Path(name))
        store.fill((*measured_cases, *(cases.SERVED if options.server else ())))
        served = serving.measure(store, cases.SERVED) if options.server else {}
        sqlite = timing.measure(store, measured_cases, options.rounds, options.requests)
        if not options.no_counts:
            counting.count(store, measured_cases, sqlite)
        postgresql, connections = _on_postgresql(Path(name), options)
        memory_use = memory.measure(store) if options.memory else {}
    path = report.write(options, Measured(sqlite, postgresql, connections, served, memory_use))
    say(f"wrote {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="also measure 1,000,000 keys and events")
    parser.add_argument("--memory", action="store_true", help="also measure the memory of a worker")
    parser.add_argument("--server", action="store_true", help="also measure requests per second under gunicorn")
    parser.add_argument("--no-counts", action="store_true", help="do not count instructions")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=100, help="requests of each kind per round")
    parser.add_argument("--remark", default="", help="a note on this run for the top of the page")
    return parser.parse_args()


def _on_postgresql(folder: Path, options: argparse.Namespace) -> tuple[Results, Results]:
    """Return the results of the cases, and those of each kind of connection."""
    server = os.environ.get("DATABASE_URL_PG", "") or _local()
    if not server:
        say("PostgreSQL skipped: DATABASE_URL_PG is not set and no local server is running")
        return {}, {}
    store, measured_cases = Store(folder, server), cases.ON_POSTGRESQL
    try:
        store.fill(measured_cases)
        return (
            timing.measure(store, measured_cases, options.rounds, options.requests),
            timing.measure(store, cases.by_connection(tuple(CONNECTIONS)), options.rounds, options.requests),
        )
    finally:
        store.remove()


def _local() -> str:
    import psycopg

    try:
        psycopg.connect(LOCAL, connect_timeout=3).close()
    except psycopg.OperationalError:
        return ""
    return LOCAL


main()
