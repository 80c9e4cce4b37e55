"""Follow every document step by step (`pytest tests/docs -m host`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, SITE, documents, read

pytestmark = pytest.mark.host

FOLLOWED_ELSEWHERE = [ROOT / "docs/tutorial.md", *SITE]
OTHERS = [document for document in documents() if document not in FOLLOWED_ELSEWHERE and read(document)]


def test_tutorial(tutorial: Path) -> None:
    (installed,) = tutorial.glob(".venv/lib/*/site-packages/finta_keys/scoping.py")
    assert installed.read_text() == (ROOT / "finta_keys/scoping.py").read_text()  # not another package of that name
    assert (tutorial / "hidden.txt").read_bytes() == (tutorial / "missing.txt").read_bytes()
    assert b"404 Not Found" in (tutorial / "hidden.txt").read_bytes()


@pytest.mark.parametrize("document", OTHERS, ids=[str(document.relative_to(ROOT)) for document in OTHERS])
def test_other_documents(document: Path, follow: Callable[[Path], None]) -> None:
    follow(document)
