"""The documents' site has every document and public name, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.test_reference import ENTRIES

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site. Building fails for each warning."""
    if not importlib.util.find_spec("furo"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("requirements-docs.txt is not installed.")
    folder = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--fail-on-warning", "--keep-going", "-b", "html", "-c", "docs/site")
    command = [sys.executable, "-m", "sphinx", *options, ".", str(folder)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return folder


def test_every_document_is_a_page(rendered: Path) -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    pages = [rendered / path.relative_to(ROOT).with_suffix(".html") for path in documents]
    assert [page for page in pages if not page.is_file()] == []


def test_api_page_has_every_public_name(rendered: Path) -> None:
    anchors = set(re.findall(r'id="(?:module-)?(finta_keys[\w.]+)"', (rendered / "docs/api.html").read_text()))
    assert {*ENTRIES} - anchors == set()


def test_pictures_exist(rendered: Path) -> None:
    pictures = [
        (page.parent / source).resolve()
        for page in rendered.rglob("*.html")
        for source in re.findall(r'<img\b[^>]*? src="([^"]+)"', page.read_text())
    ]
    assert len(pictures) > 3
    assert [picture for picture in pictures if not picture.is_file()] == []


def test_nothing_is_loaded_from_elsewhere(rendered: Path) -> None:
    loads = r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"'> ]*"""
    pages = [*rendered.rglob("*.html")]
    assert len(pages) > 40
    assert [load for page in pages for load in re.findall(loads, page.read_text())] == []
    styles = "".join(path.read_text() for path in rendered.rglob("*.css"))
    assert re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"';]*""", styles) == []


def test_search_finds_words_of_the_documents(rendered: Path) -> None:
    index = (rendered / "searchindex.js").read_text()
    assert "pepper" in index
    assert '"docs/operations"' in index
