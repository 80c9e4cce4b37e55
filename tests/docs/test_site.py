"""Follow the documents of the site step by step, in a clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, read
from tests.docs.conftest import create_once
from tests.docs.operations import ACTIVITIES
from tests.docs.site import ADDRESS, SiteReader, make_origin
from tests.live.servers import program

pytestmark = pytest.mark.host

PROGRAMS = ("caddy", "curl", "jq", "nginx", "openssl", "pg_dump", "pg_restore", "sqlite3", "initdb")


@pytest.fixture(scope="session")
def origin(shared: Path) -> Path:
    """A repository to clone."""
    return create_once(shared / "origin", make_origin)


def clone(origin: Path, wheel: Path, folder: Path) -> SiteReader:
    reader = SiteReader(folder, origin, wheel)
    reader.must(f"git clone --quiet {ADDRESS} && cd finta-keys")
    return reader


def test_readme(origin: Path, wheel: Path, tmp_path: Path) -> None:
    program("curl")
    reader = clone(origin, wheel, tmp_path)
    reader.follow(read(ROOT / "README.md"))
    installed = reader.folder.parent / "packages/finta_keys/scoping.py"
    assert installed.read_text() == (ROOT / "finta_keys/scoping.py").read_text()  # not another package of that name


def test_how_to_change_something(origin: Path, wheel: Path, tmp_path: Path) -> None:
    clone(origin, wheel, tmp_path).follow(read(ROOT / "docs/how-to-change-something.md"))


def test_operations(origin: Path, wheel: Path, tmp_path: Path) -> None:
    for name in PROGRAMS:
        program(name)
    reader = SiteReader(tmp_path, origin, wheel, ACTIVITIES)
    with reader.stack:
        reader.follow(read(ROOT / "docs/operations.md"))
