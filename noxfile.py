"""The tests of the app on every Python and Django that it is for, as far as the machine has them: ``make matrix``.

The environment says more: ``MATRIX_AT_LEAST`` how many combinations must pass, and ``MATRIX_WITHOUT_OWN`` that the
combination of this environment is not run once more, because its tests have passed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import django
import nox

DJANGOS = {"3.11": ["5.2"], "3.12": ["5.2", "6.0", "6.1"], "3.13": ["5.2", "6.0", "6.1"]}
COMBINATIONS = [(python, version) for python, versions in DJANGOS.items() for version in versions]
OWN = (f"3.{sys.version_info.minor}", f"{django.VERSION[0]}.{django.VERSION[1]}")
# Of the requirements, what each session chooses for itself, and what the tests of the app do not need.
LEFT_OUT = (
    r"django==|ruff|mypy|django-stubs|djangorestframework-stubs|djlint|import-linter|schemathesis|nox|uv|build|hatch"
)

# What the table says of a combination.
shown = dict.fromkeys(COMBINATIONS, "not run: no such Python here, or not asked for")
passed = set()
if os.environ.get("MATRIX_WITHOUT_OWN") and OWN in COMBINATIONS:
    shown[OWN] = "passed before, in the environment that this one runs in"
    passed.add(OWN)

if shutil.which("pyenv"):  # What it puts on the PATH runs only the Python that is chosen, and else prints an error.
    for python in DJANGOS:
        asked = ["pyenv", "prefix", python]
        prefix = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
        if prefix:
            os.environ["PATH"] = f"{prefix}/bin{os.pathsep}{os.environ['PATH']}"

nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "table"]


@nox.session
@nox.parametrize("python,version", [each for each in COMBINATIONS if each not in passed])
def tests(session: nox.Session, version: str) -> None:
    """Run the tests of the app, and those of the project of others."""
    combination, begun = (str(session.python), version), time.monotonic()
    shown[combination] = "FAILED"
    lines = f"{Path('requirements.txt').read_text()}\n{Path('requirements-dev.txt').read_text()}".splitlines()
    wanted = [line for line in lines if re.match(rf"(?!{LEFT_OUT})\w", line)]
    session.install("--quiet", *wanted, f"django~={version}.0")
    release = str(session.run("python", "-m", "django", "--version", silent=True)).strip()
    number = pytest(session, "--numprocesses", "2", "tests/finta_keys")
    session.chdir("tests/hosts/project")
    number += pytest(session, env={"PYTHONPATH": str(Path(__file__).parent)})
    shown[combination] = f"{number} tests passed with Django {release} in {time.monotonic() - begun:.0f} seconds"
    passed.add(combination)


def pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> int:
    """Run pytest, and return how many tests passed."""
    printed = session.run("python", "-m", "pytest", "-p", "no:cacheprovider", *arguments, env=env, silent=True)
    return int(re.findall(r"(\d+) passed", str(printed))[-1])


@nox.session(python=False)
def table(session: nox.Session) -> None:
    """Print what came of each combination. Fails where fewer than ``MATRIX_AT_LEAST`` passed."""
    for python, version in COMBINATIONS:
        print(f"Python {python:5} Django {version:4} {shown[python, version]}")
    print(f"{len(passed)} of {len(COMBINATIONS)} combinations passed.")
    if len(passed) < int(os.environ.get("MATRIX_AT_LEAST", 0)):
        session.error(f"At least {os.environ['MATRIX_AT_LEAST']} must pass.")
