"""What the README names exists, and what exists it names."""

import re
from pathlib import Path

from django.core.management import get_commands
from django.urls import get_resolver

from finta_keys import secret
from finta_keys.checks import views

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_that_of_the_code():
    read = set(re.findall(r'env(?:ironment)?\.\w+\("(\w+)"', (ROOT / "config/settings.py").read_text()))
    table = README.split("## Settings")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == read


def test_the_commands_exist():
    named = set(re.findall(r"manage\.py (\w+)", README))
    assert {"createkey", "createsuperuser"} <= named <= set(get_commands())
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make (\w+)`", README)) <= targets


def test_the_pattern_for_secret_scanners_is_that_of_the_code():
    assert f"`{secret.pattern()}`" in README


def test_the_endpoints_that_the_readme_calls_exist():
    paths = {path for path, _ in views.callbacks(get_resolver())}
    assert set(re.findall(r"/v2/[\w.]+", README)) <= {f"/{path}" for path in paths}


def test_the_folders_of_the_map_exist():
    named = re.findall(r"^ {4}(\w+/)", README.split("## Map")[1].split("## ")[0], re.MULTILINE)
    assert len(named) == 6
    assert all((ROOT / name).is_dir() for name in named)


def test_each_dependency_has_its_line_in_the_decisions():
    decisions = (ROOT / "docs/decisions.md").read_text()
    pinned = re.findall(r"^([\w-]+)(?:\[\w+\])?==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert all(f"| {name} |" in decisions for name in pinned)


def test_no_path_of_a_machine_stands_in_a_document():
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", document.read_text()), document
