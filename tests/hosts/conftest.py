"""What another project gets: the built distributions, and a copy of the project beside the installed wheel."""

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
# What this test run sets, and another project does not have.
OURS = ("COV", "DATABASE_URL", "DJANGO_", "HOST_", "MYPY", "PYTEST", "PYTHON")

collect_ignore = ["project"]  # It has settings of its own, so it runs in a process of its own.


class Host:
    """The project in a folder of its own, with the app installed from its wheel and nothing of this repository."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.packages = folder / "project", folder / "packages"
        shutil.copytree(PROJECT, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", self.packages, wheel)

    def run(self, *command: object, **environment: str) -> str:
        """Run Python in the project's folder and return what it printed. Fails the test where it fails."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        own = {"PYTHONPATH": str(self.packages), "HOST_PACKAGES": str(self.packages), "PYTHONSAFEPATH": "1"}
        return run(sys.executable, *command, cwd=self.folder, env={**kept, **own, **environment})


def run(*command: object, **options: object) -> str:
    """Run a command and return what it printed. Fails the test where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    printed: str = done.stdout + done.stderr
    if done.returncode:
        pytest.fail(printed, pytrace=False)
    return printed


def build(source: Path, folder: Path, *kinds: str) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", folder, source)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build(REPOSITORY, folder, "--wheel")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What is published: the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("published")
    build(REPOSITORY, folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return SimpleNamespace(sdist=sdist, wheel=wheel)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Host:
    return Host(tmp_path_factory.mktemp("host"), wheel)
