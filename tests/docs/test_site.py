"""Follow the documents of the site step by step, in a clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, read
from tests.docs.conftest import create_once
from tests.docs.operations import ACTIVITIES
from tests.docs.runner import Reader
from tests.docs.site import ADDRESS, SiteReader, git_config, make_origin
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
    """The first part installs the app in an empty folder, the second runs the site in a clone."""
    program("curl")
    blocks = read(ROOT / "README.md")
    start = [block.text for block in blocks].index("clone")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitconfig").write_text(git_config(origin))
    Reader(folder, wheel, activities={"stop": Reader.stop}).follow(blocks[:start])
    (installed,) = folder.glob(".venv/lib/*/site-packages/finta_keys/scoping.py")
    assert installed.read_text() == (ROOT / "finta_keys/scoping.py").read_text()  # not another package of that name
    SiteReader(tmp_path, origin, wheel).follow(blocks[start + 1 :])


@pytest.mark.parametrize("name", ["how-to-change-something", "start/operators", "start/integrators"])
def test_documents_of_a_clone(origin: Path, wheel: Path, tmp_path: Path, name: str) -> None:
    clone(origin, wheel, tmp_path).follow(read(ROOT / f"docs/{name}.md"))


def test_operations(origin: Path, wheel: Path, tmp_path: Path) -> None:
    for name in PROGRAMS:
        program(name)
    reader = SiteReader(tmp_path, origin, wheel, ACTIVITIES)
    with reader.stack:
        reader.follow(read(ROOT / "docs/operations.md"))
