"""docs/rules.md and the rule markers of the tests match."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECTIONS = re.split(r"^### ", (ROOT / "docs/rules.md").read_text(), flags=re.MULTILINE)[1:]
RULES = {section.split()[0]: section for section in SECTIONS}


def rules_of(tree: ast.AST):
    """Yield the rules of all markers in a module. ``pytest.mark.rule("S7.3")`` is about point 3 of rule S7."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
            constants = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            yield from (str(value).partition(".")[0] for value in constants)


def files_by_rule():
    files = defaultdict(set)
    for path in (ROOT / "tests").rglob("*.py"):
        for rule in rules_of(ast.parse(path.read_text())):
            files[rule].add(str(path.relative_to(ROOT)))
    return files


MARKED = files_by_rule()


@pytest.mark.parametrize("rule", RULES)
def test_rule_has_tests(rule):
    assert MARKED[rule], f"No test is marked with rule {rule}."


def test_markers_name_documented_rules():
    assert set(MARKED) <= set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_documented_files_test_the_rule(rule):
    documented = set(re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)", RULES[rule]))
    assert documented
    assert documented <= MARKED[rule]


def test_markers_are_collected():
    module = '@pytest.mark.rule("K1")\n@pytest.mark.rule("S7.3")\n@pytest.mark.rule(name)\ndef test_a(): pass\n'
    assert sorted(rules_of(ast.parse(module))) == ["K1", "S7"]
