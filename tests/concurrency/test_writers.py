"""Two processes write at the same time in a project on Django's default settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.hosts.conftest import PROJECT
from tests.live.site import ROOT

ROUNDS = int(os.environ.get("SOAK_WRITES", "60"))  # per process

pytestmark = pytest.mark.live


def run(module: str, database_url: str, processes: int, rounds: int) -> tuple[Counter[str], list[str]]:
    """Run a module in several processes. Return the numbers of outcomes, and the failures."""
    env = {**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "host.settings"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(PROJECT)])
    subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], env=env, check=True)
    command = [sys.executable, "-m", module, str(rounds)]
    running = [
        subprocess.Popen([*command, str(number)], env=env, stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    results = [json.loads(process.communicate()[0]) for process in running]
    outcomes = sum((Counter(result["outcomes"]) for result in results), Counter())
    for outcome, number in sorted(outcomes.items()):
        print(f"{number:7,}  {outcome}")
    return outcomes, [failure for result in results for failure in result["failures"]]


@pytest.mark.rule("S7.5", "T1a")
def test_writers_never_meet_a_lock_error(database_url):
    """Correct requests succeed, and a rejected one changes nothing."""
    outcomes, failures = run("tests.concurrency.writers", database_url, 2, ROUNDS)
    assert failures == []
    assert outcomes["POST: 201"] == outcomes["PATCH: 200"] == 2 * ROUNDS
    assert outcomes["POST of one number by both: 201"] == ROUNDS


@pytest.mark.rule("T1a")
@pytest.mark.parametrize("processes", [2, 6])
def test_pages_admin_and_command_avoid_lock_errors(database_url, processes):
    outcomes, failures = run("tests.concurrency.page_writers", database_url, processes, ROUNDS // 6)
    assert failures == []
    assert outcomes["page delete: 302"] == outcomes["admin delete: 302"] == processes * (ROUNDS // 6)
