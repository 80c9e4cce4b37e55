"""Write ``docs/benchmarks.md`` and its plots."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import designs, svg
from benchmarks.designs import BY_OWNED, BY_SCOPE, DESIGNS, FLOOR, KEYS, PEERS, WSGI, WSGI_FLOOR, Case
from benchmarks.running import COUNTED, ROOT, Results
from benchmarks.serving import CONNECTIONS, ROUNDS, SECONDS, THREADS, WORKERS, Served

PAGE, PLOTS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks"
ALL, SOME = PEERS[:2]
NONE = "–"
KIND_LABELS = {
    "valid": "valid key",
    "unknown": "unknown key, well formed",
    "malformed": "malformed key",
    "elsewhere": "valid key, hidden or missing account (404)",
}


@dataclass(frozen=True)
class Measured:
    """The results of one run. Parts that were not measured are empty."""

    sqlite: Results
    postgresql: Results
    served: dict[Case, Served]
    memory: dict[str, list[int]]


class Figures:
    """The results of one run, formatted for the tables."""

    def __init__(self, sqlite: Results, postgresql: Results) -> None:
        self.sqlite, self.postgresql = sqlite, postgresql

    def row(self, case: Case, kind: str = "valid", floor: Case = FLOOR) -> list[str]:
        result = self.sqlite[case][kind]
        return [
            str(result["queries"]),
            self.thousands(result),
            self.above(result, self.sqlite[floor]["valid"]),
            self.ratio(self.sqlite, case, kind, floor, "instructions"),
            f"{result['us']:,.0f}",
            self.ratio(self.sqlite, case, kind, floor, "us"),
            self.ratio(self.postgresql, case, kind, floor, "us"),
        ]

    def value(self, case: Case, kind: str = "valid", floor: Case = FLOOR) -> float:
        """Return the ratio to the floor: of instructions if they were counted, otherwise of times."""
        unit = "instructions" if "instructions" in self.sqlite[floor]["valid"] else "us"
        return float(self.sqlite[case][kind][unit] / self.sqlite[floor]["valid"][unit])

    @staticmethod
    def thousands(result: dict[str, Any]) -> str:
        return f"{result['instructions'] / 1000:,.0f}" if "instructions" in result else NONE

    @staticmethod
    def above(result: dict[str, Any], floor: dict[str, Any]) -> str:
        if "instructions" not in result:
            return NONE
        return f"{(result['instructions'] - floor['instructions']) / 1000:+,.0f}".replace("-", "−")

    @staticmethod
    def ratio(results: Results, case: Case, kind: str, floor: Case, unit: str) -> str:
        if not results or unit not in results[case][kind]:
            return NONE
        return f"{results[case][kind][unit] / results[floor]['valid'][unit]:.2f}"


def write(options: argparse.Namespace, measured: Measured, counted: bool) -> Path:
    """Write the page and the plots. Return the path of the page."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    figures = Figures(measured.sqlite, measured.postgresql)
    sections = (
        _head(options, measured.postgresql, counted),
        _peers(figures),
        _rejections(figures),
        _sizes(figures, options.full),
        _handler(figures),
        _served(measured.served),
        _memory(measured.memory),
        _limits(),
    )
    PAGE.write_text("\n\n".join(sections) + "\n")
    return PAGE


def _head(options: argparse.Namespace, postgresql: Results, counted: bool) -> str:
    packages = sorted({"Django", "psycopg", "gunicorn"} | {d.package for d in DESIGNS.values() if d.package})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    instructions = (
        f"Instructions are counted by callgrind: the difference between runs of {COUNTED} and {2 * COUNTED} requests "
        "with warm caches. They hardly differ between runs, so compare these first."
        if counted
        else "Instructions were not counted in this run: valgrind is not installed."
    )
    postgresql_note = "" if postgresql else " PostgreSQL was not measured: set DATABASE_URL_PG to a server."
    return f"""# Benchmarks

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}; do not edit. `make bench ARGS="--full --server"` measures \
a million keys and gunicorn as well.

Every design protects the same view: one account by primary key, two of its fields as JSON. The *floor* is that view \
without authentication (`benchmarks/floor.py`); it reads all columns of the site's account. **Ratios are relative to \
the floor in the same run**; 2.00 means that the request costs twice as much as without authentication. A smaller \
view would have a lower floor and higher ratios, so the cost above the floor has its own column. Unless stated \
otherwise, the view is called directly and the table has {KEYS:,} keys.

{instructions} Times are medians of {options.rounds} rounds of {options.requests} requests of each kind \
(a tenth if the library sleeps). All rows take turns in every round, each in its own process; each design has its own \
database.{postgresql_note}

- Machine: {_processor()}, {platform.system()} {platform.machine()}, shared with other work
- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}
- {versions}{f"{chr(10)}{chr(10)}**Of this run:** {options.remark}" if options.remark else ""}"""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{len(models)} × {models[0]}" if models else platform.machine()


COLUMNS = (
    "queries",
    "thousand instructions",
    "above the floor",
    "ratio",
    "µs, SQLite",
    "ratio, SQLite",
    "ratio, PostgreSQL",
)


def _peers(figures: Figures) -> str:
    cases = (FLOOR, *PEERS)
    rows = [[_noted(case), *figures.row(case)] for case in cases]
    unit = _plot_unit(figures)
    bars = [(case.label, figures.value(case), case.design == "finta") for case in cases]
    _plot("beside", svg.bars(f"Cost of a request with a valid key ({unit})", bars, "", 1))
    return f"""## Valid keys

{_table(("design", *COLUMNS), rows)}

![Cost of a request with each library](benchmarks/beside.svg)"""


def _noted(case: Case) -> str:
    note = DESIGNS[case.design].note
    return f"{case.label} ({note})" if note else case.label


def _rejections(figures: Figures) -> str:
    rows = [
        [KIND_LABELS[kind], case.label, str(figures.sqlite[case][kind]["status"]), *figures.row(case, kind)]
        for kind in designs.REJECTIONS
        for case in PEERS
    ]
    return f"""## Rejected requests

For `finta_keys` the account of the 404 exists: with all accounts it belongs to another user, with a restricted scope \
to the same owner. The other libraries have no scope; for them it does not exist.

{_table(("request", "design", "status", *COLUMNS), rows)}"""


def _sizes(figures: Figures, full: bool) -> str:
    sized = designs.by_size(full)
    cases = sorted((ALL, SOME, *sized), key=lambda case: (case.caller, case.keys))
    keys = [
        [f"{case.keys:,}", caller, *figures.row(case)]
        for case in cases
        for caller in [designs.caller_label(case.caller)]
    ]
    scopes = [[designs.caller_label(case.caller), *figures.row(case)] for case in _in_order((SOME, *BY_SCOPE))]
    knox = next(case for case in PEERS if case.design == "knox")
    owned = [[_owned_label(case), *figures.row(case)] for case in _in_order((ALL, knox, *BY_OWNED))]
    series = {
        f"{label}, {designs.caller_label(caller)}": [
            (case.keys, figures.value(case, kind)) for case in cases if case.caller == caller
        ]
        for kind, label in (("valid", "valid key"), ("unknown", "unknown key"))
        for caller in (("all", "scope-100") if kind == "valid" else ("all",))
    }
    _plot("keys", svg.lines(f"Cost against keys in the table ({_plot_unit(figures)})", series, "keys in the table"))
    by_design = {
        DESIGNS[design].label: [
            (_owned(case), figures.value(case)) for case in _in_order((ALL, knox, *BY_OWNED)) if case.design == design
        ]
        for design in ("finta", "knox")
    }
    _plot("owned", svg.lines(f"Cost against keys of one owner ({_plot_unit(figures)})", by_design, "keys of the owner"))
    note = "" if full else "\n\nA table of 1,000,000 keys was not measured in this run; use `--full`."
    return f"""## Scaling

By number of keys in the table:

{_table(("keys", "key", *COLUMNS), keys)}{note}

![Cost against the number of keys](benchmarks/keys.svg)

By number of accounts in the scope:

{_table(("scope", *COLUMNS), scopes)}

By number of keys of the owner:

{_table(("design", *COLUMNS), owned)}

![Cost against the number of keys of one owner](benchmarks/owned.svg)"""


def _in_order(cases: Iterable[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: (case.design, _owned(case)))


def _owned(case: Case) -> int:
    """Return the number in the caller's name: accounts in a scope, or keys of an owner."""
    return int(case.caller.partition("-")[2] or 1)


def _owned_label(case: Case) -> str:
    return f"{DESIGNS[case.design].label}, {_owned(case):,} key{'s' if _owned(case) > 1 else ''}"


def _handler(figures: Figures) -> str:
    rows = [[_entry_label(case), *figures.row(case, floor=WSGI_FLOOR)] for case in WSGI]
    return f"""## Through the WSGI handler

Includes the URL resolver and the site's middleware, the same for all. Ratios are relative to the floor through the \
same handler. The last two rows are the site's own `GET /v2/accounts/{{id}}`, which also applies the rate limit, \
checks Storage Mode and serializes all fields.

{_table(("design", *COLUMNS), rows)}"""


def _entry_label(case: Case) -> str:
    return f"`GET /v2/accounts/{{id}}`, {designs.caller_label(case.caller)}" if case.entry == "site" else case.label


def _served(served: dict[Case, Served]) -> str:
    title = "## Requests per second under gunicorn"
    if not served:
        return f'{title}\n\nNot measured in this run; use `make bench ARGS="--server"`.'
    floor = served[WSGI_FLOOR]
    rows = [
        [
            case.label,
            f"{result.rate:,.0f}",
            f"{result.rate / floor.rate:.2f}",
            f"{result.per_cpu:,.0f}",
            f"{result.per_cpu / floor.per_cpu:.2f}",
        ]
        for case, result in served.items()
    ]
    bars = [(case.label, result.rate, case.design == "finta") for case, result in served.items()]
    _plot("served", svg.bars("Requests per second under gunicorn", bars, ""))
    return f"""{title}

{WORKERS} gthread workers with {THREADS} threads, SQLite, {CONNECTIONS} persistent connections from one process on the \
same machine; medians of {ROUNDS} rounds of {SECONDS:.0f} s, the designs taking turns. The load generator competes for \
processor time, so compare the rows and do not read them as a server's capacity. Requests per second of the workers' \
processor time exclude the load generator.

{_table(("design", "requests per second", "of the floor", "per second of processor time", "of the floor"), rows)}

![Requests per second with each library](benchmarks/served.svg)"""


def _memory(memory: dict[str, list[int]]) -> str:
    title = "## Memory of a worker"
    if not memory:
        return f'{title}\n\nNot measured in this run; use `make bench ARGS="--full"`.'
    rows = [[f"{cell:,}" for cell in row] for row in zip(*memory.values(), strict=True)]
    return f"""{title}

Python's memory (tracemalloc, after a garbage collection) after using this many different keys of one owner once each, \
through the WSGI handler, including the update of `last_used_at`. Nothing is kept per key.

{_table(("keys used", "bytes", "objects"), rows)}"""


def _limits() -> str:
    return """## Limits of these numbers

- Instructions are counted in one process. They exclude waiting for the disk, locks, `sleep()` and PostgreSQL, and the \
work of the PostgreSQL server.
- The machine was shared with other work. Differences of a few hundredths are noise.
- All data is cached, the database is on the same machine, and requests run one at a time (except under gunicorn). A \
database across a network adds a round trip per query, which makes the designs more alike.
- The view is small. The more a view does, the less its authentication matters.
- The designs do different things. `finta_keys` looks up the owner and the scope; djangorestframework-api-key has no \
user; DRF stores its tokens in plain text; the others have no scope. Each is configured as its documentation says, \
with its defaults.
- `last_used_at` is updated after the response, at most once a minute. If the view is called directly, the figures \
exclude it; through the handler they include the check whether an update is due, but hardly any updates."""


def _plot_unit(figures: Figures) -> str:
    counted = "instructions" in figures.sqlite[FLOOR]["valid"]
    return f"{'instructions' if counted else 'time'}, floor = 1"


def _plot(name: str, text: str) -> None:
    (PLOTS / f"{name}.svg").write_text(text)


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    head = list(head)
    text_columns = [cell for cell in head if cell in ("design", "request", "key", "keys", "scope")]
    rule = ["---"] * len(text_columns) + ["---:"] * (len(head) - len(text_columns))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])
