"""``python -m benchmarks``: measure, and write ``docs/benchmarks.md`` and its plots."""

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
        alive = memory.measure(store) if options.full else {}
    path = report.write(options, report.Measured(sqlite, postgresql, served, alive), counted)
    running.say(f"wrote {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="a table of 1,000,000 keys and memory as well")
    parser.add_argument("--server", action="store_true", help="requests a second under gunicorn as well")
    parser.add_argument("--no-counts", action="store_true", help="no instruction counts")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=100, help="of each kind in each round")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run; printed at the top")
    return parser.parse_args()


def _on_postgresql(folder: Path, cases: tuple[designs.Case, ...], options: argparse.Namespace) -> running.Results:
    server = os.environ.get("DATABASE_URL_PG", "") or _local()
    if not server:
        running.say("no PostgreSQL: DATABASE_URL_PG is not set and no server answers on this machine")
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
