"""The results of a run, formatted for tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.cases import FLOOR, Case
from benchmarks.serving import Served
from benchmarks.timing import Results

NONE = "–"
COLUMNS = (
    "queries",
    "thousand instructions",
    "above the floor",
    "ratio",
    "µs, SQLite",
    "ratio, SQLite",
    "ratio, PostgreSQL",
)
TEXT_COLUMNS = ("connection", "design", "key", "keys", "events", "request", "requests per second", "scope", "from … to")


@dataclass(frozen=True)
class Measured:
    """The results of one run. Parts that were not measured are empty."""

    sqlite: Results
    postgresql: Results
    connections: Results
    served: dict[Case, Served]
    memory: dict[str, list[int]]


class Figures:
    def __init__(self, measured: Measured) -> None:
        self.sqlite, self.postgresql = measured.sqlite, measured.postgresql
        self.unit = "instructions" if "instructions" in self.sqlite[FLOOR]["valid"] else "us"

    def row(self, case: Case, kind: str = "valid", floor: Case = FLOOR) -> list[str]:
        result = self.sqlite[case][kind]
        return [
            str(result["queries"]),
            self.thousands(case, kind),
            self.above(case, kind, floor),
            self.ratio(self.sqlite, "instructions", case, kind, floor),
            f"{result['us']:,.0f}",
            self.ratio(self.sqlite, "us", case, kind, floor),
            self.ratio(self.postgresql, "us", case, kind, floor),
        ]

    def value(self, case: Case, kind: str = "valid", other: Case = FLOOR, other_kind: str = "valid") -> float:
        """Return the ratio of two requests: of instructions if they were counted, otherwise of times."""
        return float(self.sqlite[case][kind][self.unit] / self.sqlite[other][other_kind][self.unit])

    def thousands(self, case: Case, kind: str = "valid") -> str:
        result = self.sqlite[case][kind]
        return f"{result['instructions'] / 1000:,.0f}" if "instructions" in result else NONE

    def above(self, case: Case, kind: str = "valid", floor: Case = FLOOR) -> str:
        result = self.sqlite[case][kind]
        if "instructions" not in result:
            return NONE
        return f"{(result['instructions'] - self.sqlite[floor]['valid']['instructions']) / 1000:+,.0f}".replace(
            "-", "−"
        )

    @staticmethod
    def ratio(results: Results, unit: str, case: Case, kind: str = "valid", floor: Case = FLOOR) -> str:
        if case not in results or unit not in results[case][kind]:
            return NONE
        return f"{results[case][kind][unit] / results[floor]['valid'][unit]:.2f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    rule = ["---" if cell in TEXT_COLUMNS else "---:" for cell in head]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])
