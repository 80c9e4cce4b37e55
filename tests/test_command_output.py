"""Commands whose standard output is closed, full or read no further end with one sentence, or silently."""

import os
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

COMMANDS = [
    ["peppers"],
    ["listkeys"],
    ["listevents"],
    ["scankeys", "README.md"],
    ["seeddemo"],
    ["createkey", "--user", "alice@example.com", "--name", "Key"],
]

pytestmark = pytest.mark.slow


@pytest.fixture
def database(tmp_path):
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "true"}
    env["DATABASE_URL"] = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    for arguments in (["migrate", "--verbosity", "0"], ["seeddemo"]):
        assert run(arguments, env).returncode == 0
    return env


def run(arguments, env, redirect=""):
    command = f'exec "$0" manage.py "$@" {redirect}'
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", command, sys.executable, *arguments], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("redirect", [">&-", ">/dev/full", "> >(head -c 0)"])
def test_output_that_cannot_be_written_is_no_traceback(database, redirect):
    for arguments in COMMANDS:
        process = run(arguments, database, redirect)
        assert "Traceback" not in process.stderr
        assert "Exception ignored" not in process.stderr
        assert process.returncode != 0 or "head" in redirect
