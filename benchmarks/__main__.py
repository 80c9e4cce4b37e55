"""``python -m benchmarks``: measure and write ``docs/benchmarks.md`` with its plots."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import designs, memory, report, running, serving

LOCAL = "postgres:///postgres?host=/var/run/postgresql"


def main() -> None:
    options = _options()
    cases = designs.cases(options.full)
    with tempfile.TemporaryDirectory(prefix="finta-bench-") as name:
        store = running.Store(Path(name))
        served = serving.measure(store, designs.SERVED) if options.server else {}
        running.fill_all(store, cases)
        sqlite = running.measure(store, cases, options.rounds, options.requests)
        counted = not options.no_counts and running.count(store, cases, sqlite)
        postgresql = _on_postgresql(Path(name), cases, options)
        memory_use = memory.measure(store) if options.full else {}
    path = report.write(options, report.Measured(sqlite, postgresql, served, memory_use), counted)
    running.say(f"wrote {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="also measure a table of 1,000,000 keys, and memory")
    parser.add_argument("--server", action="store_true", help="also measure requests per second under gunicorn")
    parser.add_argument("--no-counts", action="store_true", help="do not count instructions")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=100, help="requests of each kind per round")
    parser.add_argument("--remark", default="", help="a note on this run for the top of the page")
    return parser.parse_args()


def _on_postgresql(folder: Path, cases: tuple[designs.Case, ...], options: argparse.Namespace) -> running.Results:
    server = os.environ.get("DATABASE_URL_PG", "") or _local()
    if not server:
        running.say("PostgreSQL skipped: DATABASE_URL_PG is not set and no local server is running")
        return {}
    store = running.Store(folder, server)
    try:
        running.fill_all(store, cases)
        return running.measure(store, cases, options.rounds, options.requests)
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
