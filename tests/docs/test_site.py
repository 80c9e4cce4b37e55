"""README.md and docs/operations.md are true: each is followed to the letter, in a clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, read
from tests.docs.conftest import made_once
from tests.docs.operations import ACTIVITIES
from tests.docs.site import ADDRESS, SiteReader, make_origin
from tests.live.servers import program

pytestmark = pytest.mark.host

PROGRAMS = ("caddy", "curl", "jq", "nginx", "openssl", "pg_dump", "pg_restore", "sqlite3", "initdb")


@pytest.fixture(scope="session")
def origin(shared: Path) -> Path:
    """A repository to clone from."""
    return made_once(shared / "origin", make_origin)


def test_readme(origin: Path, wheel: Path, tmp_path: Path) -> None:
    program("curl")
    reader = SiteReader(tmp_path, origin, wheel)
    reader.must(f"git clone --quiet {ADDRESS} && cd finta-keys")
    reader.follow(read(ROOT / "README.md"))
    installed = reader.folder.parent / "packages/finta_keys/scoping.py"
    assert installed.read_text() == (ROOT / "finta_keys/scoping.py").read_text()  # ours, and no other of that name


def test_operations(origin: Path, wheel: Path, tmp_path: Path) -> None:
    for each in PROGRAMS:
        program(each)
    reader = SiteReader(tmp_path, origin, wheel, ACTIVITIES)
    with reader.stack:
        reader.follow(read(ROOT / "docs/operations.md"))
