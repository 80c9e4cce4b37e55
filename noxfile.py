"""Run the tests of the app on every supported Python (if installed) and Django: ``make matrix``.

Environment variables: ``MATRIX_AT_LEAST`` is the number of combinations that must pass.
``MATRIX_WITHOUT_OWN`` skips the combination of this environment, whose tests have already passed.
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
THOROUGH = "not slow and not browser and not live and not host"
# Requirements that a session chooses itself or that the tests of the app do not need.
EXCLUDED = (
    r"django~=|ruff|mypy|django-stubs|djangorestframework-stubs|djlint|import-linter|schemathesis|nox|uv|build|hatch"
)

results = dict.fromkeys(COMBINATIONS, "not run: Python is not installed, or not selected")
passed = set()
if os.environ.get("MATRIX_WITHOUT_OWN") and OWN in COMBINATIONS:
    results[OWN] = "passed before, in this environment"
    passed.add(OWN)

if shutil.which("pyenv"):  # Its shims run only the selected Python, so put the others on the PATH.
    for python in DJANGOS:
        command = ["pyenv", "prefix", python]
        prefix = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
        if prefix:
            os.environ["PATH"] = f"{prefix}/bin{os.pathsep}{os.environ['PATH']}"

nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "table"]


@nox.session
@nox.parametrize("python,version", [combination for combination in COMBINATIONS if combination not in passed])
def tests(session: nox.Session, version: str) -> None:
    """Run the tests of the app and of the test project."""
    combination, start = (str(session.python), version), time.monotonic()
    results[combination] = "FAILED"
    lines = f"{Path('requirements.in').read_text()}\n{Path('requirements-dev.in').read_text()}".splitlines()
    requirements = [line for line in lines if re.match(rf"(?!{EXCLUDED})\w", line)]
    locked = re.findall(r"^(?!django==)\w.*==.*[^\\ \n]", Path("requirements-dev.txt").read_text(), re.MULTILINE)
    constraints = Path(session.create_tmp(), "constraints.txt")
    constraints.write_text("\n".join(locked))
    session.install("--quiet", *requirements, f"django~={version}.0", "--constraint", str(constraints))
    release = str(session.run("python", "-m", "django", "--version", silent=True)).strip()
    count = pytest(session, "--numprocesses", "2", "-m", THOROUGH, "tests/finta_keys")
    session.chdir("tests/hosts/project")
    count += pytest(session, env={"PYTHONPATH": str(Path(__file__).parent)})
    results[combination] = f"{count} tests passed with Django {release} in {time.monotonic() - start:.0f} seconds"
    passed.add(combination)


def pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> int:
    """Run pytest and return the number of passed tests."""
    output = session.run("python", "-m", "pytest", "-p", "no:cacheprovider", *arguments, env=env, silent=True)
    return int(re.findall(r"(\d+) passed", str(output))[-1])


@nox.session(python=False)
def table(session: nox.Session) -> None:
    """Print the result of each combination. Fail if fewer than ``MATRIX_AT_LEAST`` passed."""
    for python, version in COMBINATIONS:
        print(f"Python {python:5} Django {version:4} {results[python, version]}")
    print(f"{len(passed)} of {len(COMBINATIONS)} combinations passed.")
    if len(passed) < int(os.environ.get("MATRIX_AT_LEAST", 0)):
        session.error(f"At least {os.environ['MATRIX_AT_LEAST']} must pass.")
