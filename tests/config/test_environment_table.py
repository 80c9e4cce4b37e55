"""The table of unusual values in docs/operations.md, for every variable."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.config.conftest import SETTINGS
from tests.config.test_environment import GOOD, VALID, setting

ROOT = SETTINGS.parent.parent
OTHER_TYPE = {"SECRET_KEY": "12345", "DEBUG": "2", "LOG_LEVEL": "10"}
COLUMNS = {
    "unset": None,
    "empty": "",
    "blanks": "  {} ",
    "quotes": '"{}"',
    "BOM": "\ufeff{}",
    "`$`": "${}",
    "`#`": "{}#x",
    "not ASCII": "{}ü",
    "other type": '{"a": 1}',
}


def documented_rows():
    text = (ROOT / "docs/operations.md").read_text()
    table = text.split("### Unusual values")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    header, _, *rows = lines
    assert header == ["", *COLUMNS, "file"]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_all_variables_are_in_the_table():
    calls = re.findall(r'environment\.\w+\(\s*"(\w+)"', SETTINGS.read_text())
    assert set(calls) == set(VALID) == set(documented_rows())


@pytest.mark.parametrize("name", VALID)
def test_values_have_the_documented_result(load, tmp_path, name):
    assert [*results(load, name), from_file(load, tmp_path, name)] == documented_rows()[name]


def results(load, name):
    valid = VALID[name][0]
    for column, template in COLUMNS.items():
        if template is None:
            variables = {key: value for key, value in GOOD.items() if key != name}
        elif column == "other type":
            variables = GOOD | {name: OTHER_TYPE.get(name, template)}
        else:
            variables = GOOD | {name: template.format(valid)}
        yield result(load, name, variables)


def from_file(load, tmp_path, name):
    (tmp_path / "value").write_text(f"{VALID[name][0]}\n")
    variables = {key: value for key, value in GOOD.items() if key != name}
    return result(load, name, variables | {f"{name}_FILE": str(tmp_path / "value")})


def result(load, name, variables):
    """Return the word of the table for the result of a value."""
    _, target, expected = VALID[name]
    given = variables.get(name, "").strip()
    try:
        actual = setting(load(**variables), target)
    except ImproperlyConfigured as error:
        message = str(error)
    else:
        return "used" if actual == expected else "literal" if given else "default"
    assert name in message
    assert not given or given not in message
    return "required" if message.startswith("Not set") else "rejected"
