"""Instructions of requests, counted by callgrind."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.store import ROOT, Store, say, worker
from benchmarks.timing import Results

COUNTED = 20  # requests of a counted run; a second run has twice as many
# The counts of one case differ by up to 2 % between processes, partly because Python's cache of attributes depends on
# addresses. So the floor and our own designs are counted in several processes, each with another order of hashes.
PROCESSES = 3
COUNTED_AGAIN = ("floor", "finta", "handler", "raises")


def count(store: Store, cases: tuple[Case, ...], results: Results) -> bool:
    """Add ``instructions`` per request. Return False if valgrind is not installed.

    Counts do not depend on the load of the machine, so one run per processor is active.
    """
    if not shutil.which("valgrind"):
        say("valgrind is not installed: no instruction counts")
        return False
    runs = [(case, seed) for case in cases for seed in range(PROCESSES if case.design in COUNTED_AGAIN else 1)]
    counts: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (case, _), counted in zip(runs, pool.map(lambda run: _count(store, *run), runs), strict=True):
            counts[case].append(counted)
    for case in cases:
        for kind in case.kinds:
            results[case][kind]["instructions"] = statistics.median(counted[kind] for counted in counts[case])
    return True


def _count(store: Store, case: Case, seed: int) -> dict[str, float]:
    say(f"counting {case.name}, process {seed + 1}")
    folder = store.folder / f"callgrind-{case.name}-{seed}"
    folder.mkdir()
    # Start without instrumentation, because imports would take most of the time. The worker switches it on.
    command = [
        *("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--dump-before=getppid"),
        *(f"--callgrind-out-file={folder / 'out'}", *worker("count", case.design)),
        *(case.caller, case.entry, str(store.callers(case.data)), ",".join(case.kinds), str(COUNTED)),
    ]
    environment = store.environment_of(case) | {"PYTHONHASHSEED": str(seed)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603  # our own
    # Each of the two runs per kind has a mark before and after it, so the 2nd and 4th of four dumps are the runs.
    dumps = [_total(folder / f"out.{number + 1}") for number in range(4 * len(case.kinds))]
    runs = {kind: dumps[4 * place : 4 * place + 4] for place, kind in enumerate(case.kinds)}
    return {kind: (run[3] - run[1]) / COUNTED for kind, run in runs.items()}


def _total(dump: Path) -> int:
    match = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)
    if not match:
        raise SystemExit(f"{dump} contains no total.")
    return int(match[1])
