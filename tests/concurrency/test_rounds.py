"""Concurrent actions keep every promise. ``make soak`` runs many more rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.live import site

PROCESSES = 2
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "4"))  # per scenario and process
SEED = int(os.environ.get("SOAK_SEED", "1"))

pytestmark = pytest.mark.live


def test_concurrent_actions_keep_all_rules(database_url):
    env = site.environment(database_url)
    site.manage(env, "migrate", "--verbosity", "0")
    command = [sys.executable, "-m", "tests.concurrency.rounds", str(ROUNDS)]
    processes = [
        subprocess.Popen([*command, str(SEED + number)], cwd=site.ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    results = [json.loads(process.communicate()[0]) for process in processes]
    for outcome in sorted({outcome for result in results for outcome in result["outcomes"]}):
        print(f"{sum(result['outcomes'].get(outcome, 0) for result in results):7,}  {outcome}")
    print(f"{sum(result['rounds'] for result in results):7,}  rounds, seeds {SEED} to {SEED + PROCESSES - 1}")
    assert [failure for result in results for failure in result["failures"]] == []
