"""What may come of two things that happen at once, and what never does. ``make soak`` plays many more rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.live import site

PROCESSES = 2
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "4"))  # of each scenario in each process
SEED = int(os.environ.get("SOAK_SEED", "1"))

pytestmark = pytest.mark.live


def test_nothing_is_lost_and_nothing_opens_when_two_act_at_once(database_url):
    env = site.environment(database_url)
    site.manage(env, "migrate", "--verbosity", "0")
    command = [sys.executable, "-m", "tests.concurrency.rounds", str(ROUNDS)]
    players = [
        subprocess.Popen([*command, str(SEED + number)], cwd=site.ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    results = [json.loads(player.communicate()[0]) for player in players]
    for outcome in sorted({outcome for result in results for outcome in result["outcomes"]}):
        print(f"{sum(result['outcomes'].get(outcome, 0) for result in results):7,}  {outcome}")
    print(f"{sum(result['rounds'] for result in results):7,}  rounds in all, seeds {SEED} to {SEED + PROCESSES - 1}")
    assert [broken for result in results for broken in result["broken"]] == []
