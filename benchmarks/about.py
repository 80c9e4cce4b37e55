"""What the page says about a run: how it was measured, and the limits of its numbers."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import KEYS
from benchmarks.counting import COUNTED, PROCESSES
from benchmarks.designs import DESIGNS
from benchmarks.figures import Figures, Measured


def head(options: argparse.Namespace) -> str:
    remark = f"\n\n**Of this run:** {options.remark}" if options.remark else ""
    return f"""# Benchmarks

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}; do not edit. `make bench ARGS="--full --server --memory"` \
measures a million keys and events, gunicorn, and memory as well.{remark}

The *floor* is a view of Django REST framework without authentication. The table compares the same view with an API \
key of `finta_keys`: in floors, and relative to the same request with `TokenAuthentication` of Django REST framework. \
0.70 floors means that the request takes 30 % fewer instructions than one without authentication."""


def method(options: argparse.Namespace, figures: Figures, measured: Measured) -> str:
    packages = sorted({"Django", "psycopg", "gunicorn"} | {d.package for d in DESIGNS.values() if d.package})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    instructions = (
        f"Instructions are counted by callgrind: the difference between runs of {COUNTED} and {2 * COUNTED} requests "
        "with warm caches. They differ by up to 2 % between processes, so those of the floor and of finta_keys are "
        f"medians of {PROCESSES} processes. Compare these first."
        if figures.unit == "instructions"
        else "Instructions were not counted in this run: valgrind is not installed. The tables above compare times."
    )
    skipped = "" if measured.postgresql else " PostgreSQL was not measured: set DATABASE_URL_PG to a server."
    return f"""## Method

Every design protects the same view: one account by primary key, two of its fields as JSON. The floor \
(`benchmarks/floor.py`) reads all columns of the site's account. **Ratios are relative to the floor in the same run.** \
A smaller view would have a lower floor and higher ratios, so the cost above the floor has its own column. Unless \
stated otherwise, the view is called directly and the table has {KEYS:,} keys.

{instructions} Times are medians of {options.rounds} rounds of {options.requests} requests of each kind \
(a tenth if the library sleeps). All rows take turns in every round, each in its own process; each design has its own \
database.{skipped}

- Machine: {_processor()}, {platform.system()} {platform.machine()}, shared with other work
- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}
- {versions}"""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{len(models)} × {models[0]}" if models else platform.machine()


LIMITS = """## Limits of these numbers

- Instructions are counted in one process. They exclude waiting for the disk, locks, `sleep()` and PostgreSQL, and the \
work of the PostgreSQL server.
- The machine was shared with other work. Differences of a few hundredths are noise.
- All data is cached, the database is on the same machine, and requests run one at a time (except under gunicorn). A \
database across a network adds a round trip per query, which makes the designs more alike.
- The view is small. The more a view does, the less its authentication matters.
- The designs do different things. `finta_keys` looks up the owner and the scope; djangorestframework-api-key and \
django-tenant-apikeys have no user; DRF stores its tokens in plain text; the others have no scope of rows. Each is \
configured as its documentation says, with its defaults.
- `last_used_at` is updated after the response, at most once a minute, and use is counted in memory and saved once a \
minute by a thread. If the view is called directly, the figures exclude both; through the handler they include the \
check whether an update is due and the counting, but no writes."""
