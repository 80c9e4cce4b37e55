"""The tables at the top of the page."""

from __future__ import annotations

from benchmarks import cases
from benchmarks.cases import ALL, FLOOR, HANDLERS, SOME, TOKEN, WSGI_ALL, WSGI_FLOOR, WSGI_SOME, WSGI_TOKEN, Case
from benchmarks.figures import NONE, Figures, table
from benchmarks.serving import Served

REQUESTS = {
    "valid key": "valid",
    "valid key, hidden account (404)": "elsewhere",
    "unknown key": "unknown",
    "malformed key": "malformed",
}


def summary(figures: Figures, served: dict[Case, Served], full: bool) -> str:
    parts = [_costs(figures), _growth(figures, full)]
    if served:
        parts.append(_rates(served))
    return "\n\n".join(parts)


def _costs(figures: Figures) -> str:
    rows = [
        _row(figures, f"{label}{place}", kind, case, floor, token)
        for all_accounts, some, floor, token, place in (
            (ALL, SOME, FLOOR, TOKEN, ""),
            (WSGI_ALL, WSGI_SOME, WSGI_FLOOR, WSGI_TOKEN, ", whole WSGI handler"),
        )
        for label, kind in REQUESTS.items()
        for case in ((all_accounts, some) if kind in ("valid", "elsewhere") else (all_accounts,))
    ]
    rows += [_row(figures, "valid key, lookup in the handler", "valid", case, FLOOR, TOKEN) for case in HANDLERS]
    raises = _row(figures, "rejected by a class that only raises", "malformed", cases.RAISES, FLOOR, TOKEN)
    raises[1] = "DRF itself"
    head = ("request", "key", "thousand instructions", "floors", "of TokenAuthentication")
    return table(head, [*rows, raises])


def _row(figures: Figures, label: str, kind: str, case: Case, floor: Case, token: Case) -> list[str]:
    return [
        label,
        cases.caller_label(case.caller),
        figures.thousands(case, kind),
        f"{figures.value(case, kind, floor):.2f}",
        f"{figures.value(case, kind, token, kind):.2f}",
    ]


def _growth(figures: Figures, full: bool) -> str:
    by_size, by_events = (_by_caller(group(full)) for group in (cases.by_size, cases.by_events))
    scope = sorted(cases.BY_SCOPE, key=lambda case: case.count)

    def ratio(few: Case, many: Case, kind: str = "valid") -> str:
        return f"{figures.value(many, kind, few, kind):.2f}"

    rows = [
        [f"{label}, {first:,} … {last:,}", *(ratio(*group[name]) for name in group), ratio(*group["all"], "unknown")]
        for label, group, first, last in (
            ("keys", by_size, by_size["all"][0].keys, by_size["all"][1].keys),
            ("events of the history", by_events, by_events["all"][0].events, by_events["all"][1].events),
        )
    ]
    rows.append(
        [f"accounts in scope, {scope[0].count:,} … {scope[-1].count:,}", NONE, ratio(scope[0], scope[-1]), NONE]
    )
    return "What grows, and how many times as many instructions a request then takes:\n\n" + table(
        ("from … to", "all accounts", "restricted", "unknown key"), rows
    )


def _by_caller(group: tuple[Case, ...]) -> dict[str, tuple[Case, Case]]:
    """Return the first and the last case of each caller."""
    callers = dict.fromkeys(case.caller for case in group)
    of_caller = {caller: [case for case in group if case.caller == caller] for caller in callers}
    return {caller: (group_cases[0], group_cases[-1]) for caller, group_cases in of_caller.items()}


def _rates(served: dict[Case, Served]) -> str:
    token, knox = (next(served[case] for case in served if case.design == name) for name in ("token", "knox"))
    rows = [
        [
            case.label,
            *(f"{result.rate / other.rate:.2f}" for other in (token, knox)),
            *(f"{result.per_cpu / other.per_cpu:.2f}" for other in (token, knox)),
        ]
        for case, result in served.items()
        if case.design == "finta"
    ]
    head = (
        *("requests per second", "times TokenAuthentication", "times knox"),
        *("per second of processor time, times TokenAuthentication", "times knox"),
    )
    return "Under gunicorn:\n\n" + table(head, rows)
