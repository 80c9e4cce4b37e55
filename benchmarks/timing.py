"""Times of requests: every case in every round, each in its own process."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.cases import Case
from benchmarks.store import ROOT, Store, say, worker

Results = dict[Case, dict[str, Any]]
SLOW = ("simple", "new")  # a design that sleeps, and new connections, would take most of the time


def measure(store: Store, cases: tuple[Case, ...], rounds: int, requests: int) -> Results:
    """Return ``us``, ``queries`` and ``status`` per case and kind."""
    with workers(store, cases) as send:
        results: Results = {case: {} for case in cases}
        for case in cases:
            for kind in case.kinds:
                results[case][kind] = send(case, do="inspect", kind=kind) | {"rounds": []}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for case in cases:
                n = requests // 10 if case.design in SLOW or case.connection in SLOW else requests
                for kind in case.kinds:
                    results[case][kind]["rounds"].append(send(case, do="time", kind=kind, n=n))
    for kinds in results.values():
        for result in kinds.values():
            result["us"] = statistics.median(result.pop("rounds"))
    return results


@contextmanager
def workers(store: Store, cases: tuple[Case, ...]) -> Iterator[Any]:
    """Start a process per case. Yield a function that sends an order to a process and returns the result."""
    processes = {}
    try:
        for case in cases:
            processes[case] = subprocess.Popen(  # noqa: S603  # our own
                [*worker("serve", case.design), case.caller, case.entry, str(store.callers(case.data))],
                cwd=ROOT,
                env=store.environment_of(case),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

        def send(case: Case, **order: Any) -> Any:
            process = processes[case]
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"The process of {case.name} ended; see its output above.")
            return json.loads(line)

        yield send
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
