"""The documents agree with the code."""

import re
from pathlib import Path

from finta_keys import secret

ROOT = Path(__file__).parent.parent
OPERATORS = (ROOT / "docs/start/operators.md").read_text()


def test_operations_lists_all_settings():
    read = set(re.findall(r'env(?:ironment)?\.\w+\("(\w+)"', (ROOT / "config/settings.py").read_text()))
    table = (ROOT / "docs/operations.md").read_text().split("## Settings")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == read


def test_operators_read_current_secret_pattern():
    assert f"`{secret.pattern()}`" in OPERATORS


def test_decisions_cover_every_dependency():
    decisions = (ROOT / "docs/decisions.md").read_text()
    names = re.findall(r"^[\w-]+", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert names
    assert all(f"| {name} |" in decisions for name in names)


def test_docs_contain_no_local_paths():
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", document.read_text()), document
