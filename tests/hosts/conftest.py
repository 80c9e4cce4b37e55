"""The built distributions, and a copy of the test project with the wheel installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.concurrency.conftest import postgresql  # noqa: F401  # a fixture

REPOSITORY = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "project"
# Environment variables that this test run sets and another project does not have.
TEST_VARIABLES = ("COV", "DATABASE_URL", "DJANGO_", "HOST_", "MYPY", "PYTEST", "PYTHON")

collect_ignore = ["project", "fresh"]  # They have their own settings and run in their own processes.


class Host:
    """A copy of the project in its own folder, with only the wheel installed from this repository."""

    def __init__(self, folder: Path, wheel: Path, source: Path = PROJECT) -> None:
        self.folder, self.packages = folder / "project", folder / "packages"
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", self.packages, wheel)

    def run(self, *command: object, **environment: str) -> str:
        """Run Python in the project's folder and return the output. Fail the test if the command fails."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(TEST_VARIABLES)}
        own = {"PYTHONPATH": str(self.packages), "HOST_PACKAGES": str(self.packages), "PYTHONSAFEPATH": "1"}
        return run(sys.executable, *command, cwd=self.folder, env={**inherited, **own, **environment})


def run(*command: object, **options: object) -> str:
    """Run a command and return its output. Fail the test if the command fails."""
    process = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    printed: str = process.stdout + process.stderr
    if process.returncode:
        pytest.fail(printed, pytrace=False)
    return printed


def build(source: Path, folder: Path, *kinds: str) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", folder, source)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build(REPOSITORY, folder, "--wheel")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The published files: the sdist and the wheel built from it."""
    folder = tmp_path_factory.mktemp("published")
    build(REPOSITORY, folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return SimpleNamespace(sdist=sdist, wheel=wheel)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Host:
    return Host(tmp_path_factory.mktemp("host"), wheel)
