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


@pytest.mark.rule("S7.5", "T1a")
def test_writers_never_meet_a_lock_error(database_url):
    """Correct requests succeed, and a rejected one changes nothing."""
    env = {**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "host.settings"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(PROJECT)])
    subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], env=env, check=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.concurrency.writers", str(ROUNDS), str(number)],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    results = [json.loads(process.communicate()[0]) for process in processes]
    outcomes = sum((Counter(result["outcomes"]) for result in results), Counter())
    for outcome, number in sorted(outcomes.items()):
        print(f"{number:7,}  {outcome}")
    assert [failure for result in results for failure in result["failures"]] == []
    assert outcomes["POST: 201"] == outcomes["PATCH: 200"] == 2 * ROUNDS
    assert outcomes["POST of one number by both: 201"] == ROUNDS
