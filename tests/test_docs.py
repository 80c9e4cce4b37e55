"""What the README names exists, and what exists it names."""

import re
from pathlib import Path

from finta_keys import secret

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_that_of_the_code():
    read = set(re.findall(r'env(?:ironment)?\.\w+\("(\w+)"', (ROOT / "config/settings.py").read_text()))
    table = README.split("## Settings")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == read


def test_the_pattern_for_secret_scanners_is_that_of_the_code():
    assert f"`{secret.pattern()}`" in README


def test_each_dependency_has_its_line_in_the_decisions():
    decisions = (ROOT / "docs/decisions.md").read_text()
    pinned = re.findall(r"^([\w-]+)(?:\[\w+\])?==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert all(f"| {name} |" in decisions for name in pinned)


def test_no_path_of_a_machine_stands_in_a_document():
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", document.read_text()), document
