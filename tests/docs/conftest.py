"""Fixtures that follow the documents with the wheel as it would be published."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, read
from tests.docs.browser import create_key_in_browser
from tests.docs.runner import Reader
from tests.hosts.conftest import build

ACTIVATE = (". .venv/bin/activate", ". ./.env")  # the first commands in a new terminal


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """The folder with the wheel of the current code."""
    return create_once(shared / "wheel", lambda folder: build(ROOT, folder, "--wheel"))


@pytest.fixture(scope="session")
def tutorial(wheel: Path, shared: Path) -> Path:
    """The project after following the tutorial."""

    def follow_tutorial(folder: Path) -> None:
        activities = {"browser": create_key_in_browser, "stop": Reader.stop}
        Reader(folder, wheel, activities=activities).follow(read(ROOT / "docs/tutorial.md"))

    return create_once(shared / "tutorial", follow_tutorial)


def create_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Create a folder unless another process of this test run has done so, and return it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            folder.with_suffix(".done").touch()
    return folder


@pytest.fixture
def follow(wheel: Path, tutorial: Path, tmp_path: Path) -> Callable[[Path], None]:
    """Return a function that follows a document in a copy of the tutorial's project."""

    def follow_document(document: Path) -> None:
        folder = tmp_path / "project"
        shutil.copytree(tutorial, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        (folder / ".venv").symlink_to(tutorial / ".venv")
        Reader(folder, wheel, begin=ACTIVATE).follow(read(document))

    return follow_document
