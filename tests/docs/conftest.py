"""A reader who follows the documents to the letter, with the wheel as it would be published."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, read
from tests.docs.browser import in_a_browser
from tests.docs.runner import Reader
from tests.hosts.conftest import build

AGAIN = (". .venv/bin/activate", ". ./.env")  # what somebody types who comes back to the project


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, the same in all of its processes."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """The folder with the wheel of the app as it is now."""
    return made_once(shared / "wheel", lambda folder: build(ROOT, folder, "--wheel"))


@pytest.fixture(scope="session")
def tutorial(wheel: Path, shared: Path) -> Path:
    """The folder of a project that was made by following the tutorial to its end."""

    def follow_it(folder: Path) -> None:
        elsewhere = {"browser": in_a_browser, "stop": Reader.stop}
        Reader(folder, wheel, activities=elsewhere).follow(read(ROOT / "docs/tutorial.md"))

    return made_once(shared / "tutorial", follow_it)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Fill a folder, unless another process of this test run has done so, and return it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture
def follow(wheel: Path, tutorial: Path, tmp_path: Path) -> Callable[[Path], None]:
    """Follow another document, in a copy of that project."""

    def follow_one(document: Path) -> None:
        folder = tmp_path / "project"
        shutil.copytree(tutorial, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        (folder / ".venv").symlink_to(tutorial / ".venv")
        Reader(folder, wheel, begin=AGAIN).follow(read(document))

    return follow_one
