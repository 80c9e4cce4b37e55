"""What README.md and docs/operations.md name within a line is there: commands, settings, files, names, paths."""

from __future__ import annotations

import re
import shlex

from django.conf import global_settings
from django.core.management import get_commands, load_command_class
from django.urls import get_resolver
from limits import parse_many

from finta_keys.checks import views
from tests.docs.blocks import ROOT, SITE
from tests.docs.site import SETTINGS
from tests.docs.test_reference import found

PROSE = "\n".join(re.sub(r"(?ms)^```.*?^```$", "", document.read_text()) for document in SITE)
INLINE = sorted(set(re.findall(r"`([^`\n]+)`", PROSE)))
MAKEFILE = (ROOT / "Makefile").read_text()
PACKAGES = ("config", "accounts_app", "finta_keys")
CODE = "".join(path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def matches(pattern: str) -> list[re.Match[str]]:
    """Return the pieces of inline code that are like this. Fails where there are none: nothing would be looked at."""
    there = [match for code in INLINE if (match := re.fullmatch(pattern, code))]
    assert there, pattern
    return there


def test_commands_have_their_options() -> None:
    for match in matches(r"(?:manage\.py )?(\w+)((?: --[\w-]+)*)"):
        name, options = match[1], set(match[2].split())
        if name in get_commands() or match[0].startswith("manage.py") or options:
            assert options <= options_of(name), match[0]


def test_options_by_themselves_are_those_of_a_command_of_ours() -> None:
    ours = set().union(*(options_of(name) for name in ("createkey", "peppers", "scankeys")))
    assert {match[0] for match in matches(r"--[\w-]+")} <= ours


def options_of(command: str) -> set[str]:
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    return {option for action in parser._actions for option in action.option_strings}


def test_names_in_capitals_are_in_the_code() -> None:
    there = set(re.findall(r"[A-Z][A-Z_]+", CODE + MAKEFILE)) | set(dir(global_settings))
    assert [match[0] for match in matches("[A-Z][A-Z_]+") if match[0] not in there] == []


def test_values_are_those_of_settings_or_of_make() -> None:
    for match in matches(r"([A-Z_]+)=(.*)"):
        assert match[1] in SETTINGS, match[0]
        (value,) = shlex.split(match[2])
        assert not match[1].endswith("_LIMIT") or parse_many(value)
    for match in matches(r"make \w+ (\w+)=\S+"):
        assert f"\n{match[1]} ?= " in MAKEFILE, match[0]


def test_defaults_are_those_of_the_settings() -> None:
    settings = (ROOT / "config/settings.py").read_text()
    read = dict(re.findall(r'env\.\w+\("(\w+)", default="?([^")]+)"?\)', settings))
    read |= dict.fromkeys(re.findall(r'environment\.flag\("(\w+)"\)', settings), "false")
    named = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PROSE, re.MULTILINE))
    assert len(named) > 8
    assert named == {name: read[name] for name in named}


def test_files_and_folders_are_there() -> None:
    named = {match[0] for match in matches(r"(?![/~])[\w./-]*(?:\.(?:py|md|toml)|\w/)")}
    assert {"gunicorn.conf.py", "finta_keys/", "tests/docs/"} <= named
    # A bare name may be that of a file that each project has.
    assert [path for path in named if not (ROOT / path).exists() and not [*ROOT.glob(f"*/{path}")]] == []


def test_dotted_names_lead_somewhere() -> None:
    for match in matches(r"(?:finta_keys|accounts_app)(?:\.\w+)+"):
        assert found(match[0])


def test_paths_are_those_of_the_site() -> None:
    there = {f"/{path}" for path, _ in views.callbacks(get_resolver())}
    named = {match[2] for match in matches(r"([A-Z]+ )?(/v2/[\w./]+)")}
    called = set(re.findall(r"(?<=8000)/[\w/.]+", "".join(document.read_text() for document in SITE)))
    assert named | called <= there
