"""Write ``docs/benchmarks.md`` and its plots."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import about, cases, svg
from benchmarks.cases import BY_OWNED, BY_SCOPE, FLOOR, NINJA, PEERS, RAISES, SITE, WSGI, WSGI_FLOOR, Case
from benchmarks.connections import CONNECTIONS
from benchmarks.designs import DESIGNS
from benchmarks.figures import COLUMNS, Figures, Measured, table
from benchmarks.serving import CONNECTIONS as SENDERS
from benchmarks.serving import ROUNDS, SECONDS, THREADS, WORKERS, Served
from benchmarks.store import ROOT
from benchmarks.summary import summary
from benchmarks.timing import Results

PAGE, PLOTS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks"
KIND_LABELS = {
    "valid": "valid key",
    "unknown": "unknown key, well formed",
    "malformed": "malformed key",
    "elsewhere": "valid key, hidden or missing account (404)",
}


def write(options: argparse.Namespace, measured: Measured) -> Path:
    """Write the page and the plots. Return the path of the page."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    figures = Figures(measured)
    sections = (
        about.head(options),
        summary(figures, measured.served, options.full),
        about.method(options, figures, measured),
        _peers(figures),
        _rejections(figures),
        _growth(figures, options.full),
        _handler(figures),
        _connections(measured.connections),
        _served(measured.served),
        _memory(measured.memory),
        about.LIMITS,
    )
    PAGE.write_text("\n\n".join(sections) + "\n")
    return PAGE


def _peers(figures: Figures) -> str:
    rows = [[_noted(case), *figures.row(case)] for case in (FLOOR, *PEERS, NINJA, *cases.HANDLERS)]
    wagtail = next(case for case in PEERS if case.design == "wagtail")
    bars = [(case.label, figures.value(case), case.design == "finta") for case in (FLOOR, *PEERS)]
    _plot("beside", svg.bars(f"Cost of a request with a valid key ({_plot_unit(figures)})", bars, "", 1))
    return f"""## Valid keys

{table(("design", *COLUMNS), rows)}

Wagtail's tokens are for views of django-ninja, whose own floor is lower. Above that, they cost \
{figures.above(wagtail, floor=NINJA)} thousand instructions: the request takes \
{figures.value(wagtail, other=NINJA):.2f} times as many as the same view of django-ninja without authentication.

![Cost of a request with each library](benchmarks/beside.svg)"""


def _noted(case: Case) -> str:
    note = DESIGNS[case.design].note
    return f"{case.label} ({note})" if note else case.label


def _rejections(figures: Figures) -> str:
    rows = [
        [KIND_LABELS[kind], case.label, str(figures.sqlite[case][kind]["status"]), *figures.row(case, kind)]
        for kind in cases.REJECTIONS
        for case in (*PEERS, *([RAISES] if kind == "malformed" else []))
    ]
    return f"""## Rejected requests

For `finta_keys` the account of the 404 exists: with all accounts it belongs to another user, with a restricted scope \
to the same owner. The other libraries have no scope; for them it does not exist. A class whose `authenticate()` only \
raises an error shows what DRF itself costs.

{table(("request", "design", "status", *COLUMNS), rows)}"""


def _growth(figures: Figures, full: bool) -> str:
    sized, grown = cases.by_size(full), cases.by_events(full)
    by_keys = [[f"{case.keys:,}", cases.caller_label(case.caller), *figures.row(case)] for case in sized]
    by_events = [
        [f"{case.events:,}", f"{label}, {cases.caller_label(case.caller)}", *figures.row(case, kind)]
        for case in grown
        for kind, label in (("valid", "valid key"), ("unknown", "unknown key"))
    ]
    by_scope = [[cases.caller_label(case.caller), *figures.row(case)] for case in BY_SCOPE]
    by_owned = [[_owned_label(case), *figures.row(case)] for case in BY_OWNED]
    series = {
        f"{label}, {cases.caller_label(caller)}": [
            (case.keys, figures.value(case, kind)) for case in sized if case.caller == caller
        ]
        for kind, label, callers in (("valid", "valid key", ("all", "scope-100")), ("unknown", "unknown key", ("all",)))
        for caller in callers
    }
    _plot("keys", svg.lines(f"Cost against keys in the table ({_plot_unit(figures)})", series, "keys in the table"))
    by_design = {
        DESIGNS[design].label: [(case.count, figures.value(case)) for case in BY_OWNED if case.design == design]
        for design in dict.fromkeys(case.design for case in BY_OWNED)
    }
    _plot("owned", svg.lines(f"Cost against keys of one owner ({_plot_unit(figures)})", by_design, "keys of the owner"))
    note = "" if full else "\n\nLarger tables were not measured in this run; use `--full`."
    return f"""## Scaling

By number of keys in the table:

{table(("keys", "key", *COLUMNS), by_keys)}{note}

![Cost against the number of keys](benchmarks/keys.svg)

By number of accounts in the scope:

{table(("scope", *COLUMNS), by_scope)}

By number of events in the history of 1,000 keys, with a tenth as many retired secrets:

{table(("events", "key", *COLUMNS), by_events)}

By number of keys of the owner:

{table(("design", *COLUMNS), by_owned)}

![Cost against the number of keys of one owner](benchmarks/owned.svg)"""


def _owned_label(case: Case) -> str:
    return f"{DESIGNS[case.design].label}, {case.count:,} key{'s' if case.count > 1 else ''}"


def _handler(figures: Figures) -> str:
    rows = [
        [KIND_LABELS[kind], case.label, *figures.row(case, kind, WSGI_FLOOR)]
        for kind in cases.KINDS
        for case in WSGI
        if kind in case.kinds
    ]
    for case in SITE:
        label = f"`GET /v2/accounts/{{id}}`, {cases.caller_label(case.caller)}"
        rows.append([KIND_LABELS["valid"], label, *figures.row(case, floor=WSGI_FLOOR)])
    return f"""## Through the WSGI handler

Includes the URL resolver and the site's middleware, the same for all. Ratios are relative to the floor through the \
same handler. The last two rows are the site's own `GET /v2/accounts/{{id}}`, which also applies the rate limit, \
checks Storage Mode and serializes all fields.

{table(("request", "design", *COLUMNS), rows)}"""


def _connections(results: Results) -> str:
    title = "## Connections to PostgreSQL"
    if not results:
        return f"{title}\n\nNot measured in this run, because no server of PostgreSQL is running."
    rows = []
    for name, kind in CONNECTIONS.items():
        times = {case.label: results[case]["valid"]["us"] for case in results if case.connection == name}
        floor, *others = times.values()
        rows.append([kind.label, f"{floor:,.0f}", *(f"{us:,.0f} ({us / floor:.2f})" for us in others)])
    return f"""{title}

µs of a valid request through the WSGI handler, and in brackets relative to the floor with the same connections. See \
[operations](operations.md#scale-out) for the settings.

{table(("connection", *(case.label for case in WSGI)), rows)}"""


def _served(served: dict[Case, Served]) -> str:
    title = "## Requests per second under gunicorn"
    if not served:
        return f'{title}\n\nNot measured in this run; use `make bench ARGS="--server"`.'
    floor = served[next(case for case in served if case.design == "floor")]
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

{WORKERS} gthread workers with {THREADS} threads, SQLite, {SENDERS} persistent connections from one process on the \
same machine; medians of {ROUNDS} rounds of {SECONDS:.0f} s, the designs taking turns, each round with new servers. \
The load generator competes for processor time, so compare the rows and do not read them as a server's capacity. \
Requests per second of the workers' processor time exclude the load generator.

{table(("design", "per second", "of the floor", "per second of processor time", "of the floor"), rows)}

![Requests per second with each library](benchmarks/served.svg)"""


def _memory(memory: dict[str, list[int]]) -> str:
    title = "## Memory of a worker"
    if not memory:
        return f'{title}\n\nNot measured in this run; use `make bench ARGS="--memory"`.'
    rows = [[f"{cell:,}" for cell in row] for row in zip(*memory.values(), strict=True)]
    return f"""{title}

Python's memory (tracemalloc, after a garbage collection) after using this many different keys of one owner once each, \
through the WSGI handler, including the update of `last_used_at`. Nothing is kept per key.

{table(("keys used", "bytes", "objects"), rows)}"""


def _plot_unit(figures: Figures) -> str:
    return f"{'instructions' if figures.unit == 'instructions' else 'time'}, floor = 1"


def _plot(name: str, text: str) -> None:
    (PLOTS / f"{name}.svg").write_text(text)
