"""Writes ``docs/benchmarks.md`` and its plots from the figures of one run."""

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
from benchmarks.designs import BESIDE, BY_OWNED, BY_SCOPE, DESIGNS, FLOOR, KEYS, WSGI, WSGI_FLOOR, Case
from benchmarks.running import COUNTED, ROOT, Results
from benchmarks.serving import CONNECTIONS, ROUNDS, SECONDS, THREADS, WORKERS, Served

PAGE, PLOTS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks"
ALL, SOME = BESIDE[:2]
NONE = "–"
KIND_LABELS = {
    "good": "good key",
    "unknown": "unknown key, well formed",
    "malformed": "malformed key",
    "elsewhere": "good key, hidden or missing account (404)",
}


@dataclass(frozen=True)
class Measured:
    """All that was measured in one run; what was not is empty."""

    sqlite: Results
    postgresql: Results
    served: dict[Case, Served]
    alive: dict[str, list[int]]


class Figures:
    """The results of one run, in the forms that the tables show."""

    def __init__(self, sqlite: Results, postgresql: Results) -> None:
        self.sqlite, self.postgresql = sqlite, postgresql

    def row(self, case: Case, kind: str = "good", floor: Case = FLOOR) -> list[str]:
        result = self.sqlite[case][kind]
        return [
            str(result["queries"]),
            self.thousands(result),
            self.above(result, self.sqlite[floor]["good"]),
            self.ratio(self.sqlite, case, kind, floor, "instructions"),
            f"{result['us']:,.0f}",
            self.ratio(self.sqlite, case, kind, floor, "us"),
            self.ratio(self.postgresql, case, kind, floor, "us"),
        ]

    def value(self, case: Case, kind: str = "good", floor: Case = FLOOR) -> float:
        """Return the ratio to the floor: of instructions where they were counted, else of times."""
        what = "instructions" if "instructions" in self.sqlite[floor]["good"] else "us"
        return float(self.sqlite[case][kind][what] / self.sqlite[floor]["good"][what])

    @staticmethod
    def thousands(result: dict[str, Any]) -> str:
        return f"{result['instructions'] / 1000:,.0f}" if "instructions" in result else NONE

    @staticmethod
    def above(result: dict[str, Any], floor: dict[str, Any]) -> str:
        if "instructions" not in result:
            return NONE
        return f"{(result['instructions'] - floor['instructions']) / 1000:+,.0f}".replace("-", "−")

    @staticmethod
    def ratio(results: Results, case: Case, kind: str, floor: Case, what: str) -> str:
        if not results or what not in results[case][kind]:
            return NONE
        return f"{results[case][kind][what] / results[floor]['good'][what]:.2f}"


def write(options: argparse.Namespace, measured: Measured, counted: bool) -> Path:
    """Write the page and the plots, and return the path of the page."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    figures = Figures(measured.sqlite, measured.postgresql)
    sections = (
        _head(options, measured.postgresql, counted),
        _beside(figures),
        _refusals(figures),
        _sizes(figures, options.full),
        _handler(figures),
        _served(measured.served),
        _alive(measured.alive),
        _limits(),
    )
    PAGE.write_text("\n\n".join(sections) + "\n")
    return PAGE


def _head(options: argparse.Namespace, postgresql: Results, counted: bool) -> str:
    packages = sorted({"Django", "psycopg", "gunicorn"} | {d.package for d in DESIGNS.values() if d.package})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    instructions = (
        f"Instructions are counted by callgrind: a run of {COUNTED} requests taken from a run of {2 * COUNTED}, all "
        "caches warm. They hardly differ from run to run, so compare these first."
        if counted
        else "Instructions were not counted in this run: that needs valgrind."
    )
    elsewhere = "" if postgresql else " PostgreSQL was not measured: set DATABASE_URL_PG to a server."
    return f"""# What a key check costs

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}; do not edit. `make bench ARGS="--full --server"` measures \
a million keys and gunicorn as well.

Every design guards the same view: one account by primary key, two of its fields as JSON. The *floor* is that view \
with no authentication (`benchmarks/floor.py`); it reads all columns of the site's account. **Ratios are to the floor \
in the same run**; 2.00 means that the request costs twice what it costs with no authentication. A view that does less \
would have a lower floor and so higher ratios, which is why what is added above the floor has a column of its own. \
Where nothing else is said, the view is called directly and there are {KEYS:,} keys in the table.

{instructions} Times are medians of {options.rounds} rounds of {options.requests} requests of each kind \
(a tenth of them where the library sleeps). All rows take turns in each round, every one in a process of its own; \
each design has a database of its own.{elsewhere}

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


def _beside(figures: Figures) -> str:
    cases = (FLOOR, *BESIDE)
    rows = [[_noted(case), *figures.row(case)] for case in cases]
    unit = _plot_unit(figures)
    bars = [(case.label, figures.value(case), case.design == "finta") for case in cases]
    _plot("beside", svg.bars(f"Cost of a request with a good key ({unit})", bars, "", 1))
    return f"""## A good key

{_table(("design", *COLUMNS), rows)}

![Cost of a request beside each library](benchmarks/beside.svg)"""


def _noted(case: Case) -> str:
    note = DESIGNS[case.design].note
    return f"{case.label} ({note})" if note else case.label


def _refusals(figures: Figures) -> str:
    rows = [
        [KIND_LABELS[kind], case.label, str(figures.sqlite[case][kind]["status"]), *figures.row(case, kind)]
        for kind in designs.REFUSALS
        for case in BESIDE
    ]
    return f"""## Refusals

For `finta_keys` the account of the 404 exists: with all accounts it is somebody else's, with a restricted scope \
another one of the same owner. The others have no scope; for them it does not exist.

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
    knox = next(case for case in BESIDE if case.design == "knox")
    owned = [[_owned_label(case), *figures.row(case)] for case in _in_order((ALL, knox, *BY_OWNED))]
    series = {
        f"{label}, {designs.caller_label(caller)}": [
            (case.keys, figures.value(case, kind)) for case in cases if case.caller == caller
        ]
        for kind, label in (("good", "good key"), ("unknown", "unknown key"))
        for caller in (("all", "scope-100") if kind == "good" else ("all",))
    }
    _plot("keys", svg.lines(f"Cost against keys in the table ({_plot_unit(figures)})", series, "keys in the table"))
    by_design = {
        DESIGNS[design].label: [
            (_owned(case), figures.value(case)) for case in _in_order((ALL, knox, *BY_OWNED)) if case.design == design
        ]
        for design in ("finta", "knox")
    }
    _plot("owned", svg.lines(f"Cost against keys of one owner ({_plot_unit(figures)})", by_design, "keys of the owner"))
    absent = "" if full else "\n\nA table of 1,000,000 keys was not measured in this run: `--full` does."
    return f"""## Does it grow?

With the number of keys in the table:

{_table(("keys", "key", *COLUMNS), keys)}{absent}

![Cost against the number of keys](benchmarks/keys.svg)

With the number of accounts in the scope:

{_table(("scope", *COLUMNS), scopes)}

With the number of keys that the owner has:

{_table(("design", *COLUMNS), owned)}

![Cost against the number of keys of one owner](benchmarks/owned.svg)"""


def _in_order(cases: Iterable[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: (case.design, _owned(case)))


def _owned(case: Case) -> int:
    """Return the number in the caller's name: accounts of a scope, or keys of an owner."""
    return int(case.caller.partition("-")[2] or 1)


def _owned_label(case: Case) -> str:
    return f"{DESIGNS[case.design].label}, {_owned(case):,} key{'s' if _owned(case) > 1 else ''}"


def _handler(figures: Figures) -> str:
    rows = [[_door_label(case), *figures.row(case, floor=WSGI_FLOOR)] for case in WSGI]
    return f"""## Through the whole WSGI handler

URL resolver and the site's middleware included, the same for all; ratios are to the floor through the same handler. \
The last two rows are the site's own `GET /v2/accounts/{{id}}`, which also counts for the rate limit, looks at Storage \
Mode and serializes all fields.

{_table(("design", *COLUMNS), rows)}"""


def _door_label(case: Case) -> str:
    return f"`GET /v2/accounts/{{id}}`, {designs.caller_label(case.caller)}" if case.door == "site" else case.label


def _served(served: dict[Case, Served]) -> str:
    title = "## Requests a second under gunicorn"
    if not served:
        return f'{title}\n\nNot measured in this run: `make bench ARGS="--server"` does.'
    floor = served[WSGI_FLOOR]
    rows = [
        [
            case.label,
            f"{found.rate:,.0f}",
            f"{found.rate / floor.rate:.2f}",
            f"{found.per_cpu:,.0f}",
            f"{found.per_cpu / floor.per_cpu:.2f}",
        ]
        for case, found in served.items()
    ]
    bars = [(case.label, found.rate, case.design == "finta") for case, found in served.items()]
    _plot("served", svg.bars("Requests a second under gunicorn", bars, ""))
    return f"""{title}

{WORKERS} gthread workers of {THREADS} threads, SQLite, {CONNECTIONS} kept connections from one process on the same \
machine, over the loopback; medians of {ROUNDS} rounds of {SECONDS:.0f} s, the designs taking turns. The load takes \
processor time from the workers, so these are comparisons and not what a server can do; the requests for each second \
of processor time of the workers do not contain it.

{_table(("design", "requests a second", "of the floor", "for each second of processor", "of the floor"), rows)}

![Requests a second beside each library](benchmarks/served.svg)"""


def _alive(alive: dict[str, list[int]]) -> str:
    title = "## What stays in a worker"
    if not alive:
        return f'{title}\n\nNot measured in this run: `make bench ARGS="--full"` does.'
    rows = [[f"{cell:,}" for cell in row] for row in zip(*alive.values(), strict=True)]
    return f"""{title}

Memory that Python holds (tracemalloc, after a collection) when so many different keys of one owner were used, each \
once, through the whole handler, its time of use written. Nothing is kept of a key.

{_table(("keys used", "bytes", "objects"), rows)}"""


def _limits() -> str:
    return """## What the numbers do not say

- Instructions are those of one process. Waiting is not in them: for a disk, for the PostgreSQL server (whose own work \
they do not contain either), for a lock, for a `sleep()`.
- Times were taken on a machine that did other work as well. Differences of a few hundredths mean nothing.
- Everything is warm and in memory, the database is on the same machine, and there is one request at a time (but under \
gunicorn). A database across a network adds a round trip for each query, which makes the designs more alike.
- The view is small. The more a view does, the less its authentication matters.
- The designs do not do the same. `finta_keys` looks up the owner and the scope; djangorestframework-api-key knows no \
user; DRF's tokens are stored as they are; the others have no scope. Each is set up as its documentation says, with \
its defaults.
- When a key was last used is written after the response and at most once a minute. Where the view is called directly \
that is not in the figures; through the handler the look whether it is due is, and hardly ever the write."""


def _plot_unit(figures: Figures) -> str:
    counted = "instructions" in figures.sqlite[FLOOR]["good"]
    return f"{'instructions' if counted else 'time'}, floor = 1"


def _plot(name: str, text: str) -> None:
    (PLOTS / f"{name}.svg").write_text(text)


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    head = list(head)
    words = [cell for cell in head if cell in ("design", "request", "key", "keys", "scope")]
    rule = ["---"] * len(words) + ["---:"] * (len(head) - len(words))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])
