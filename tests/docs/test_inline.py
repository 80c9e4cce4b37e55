"""Commands, settings, files, names and paths in inline code of the site's documents exist."""

from __future__ import annotations

import re
import shlex
from signal import Signals

from django.conf import global_settings
from django.core.management import get_commands, load_command_class
from django.urls import get_resolver
from gunicorn.config import KNOWN_SETTINGS
from limits import parse_many

from finta_keys.checks.routes import entries as routes_of
from tests.docs.blocks import ROOT, SITE
from tests.docs.site import SETTINGS
from tests.docs.test_reference import resolve

# The first part of the README is about a new project.
TEXT = "\n".join(document.read_text().split("<!-- test: clone -->")[-1] for document in SITE)
PROSE = re.sub(r"(?ms)^```.*?^```$", "", TEXT)
INLINE = sorted(set(re.findall(r"`([^`\n]+)`", PROSE)))
MAKEFILE = (ROOT / "Makefile").read_text()
PACKAGES = ("config", "accounts_app", "finta_keys")
PGBOUNCER = {"RECONNECT", "RELOAD"}  # commands of its console
CODE = "".join(path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def matches(pattern: str) -> list[re.Match[str]]:
    """Return the inline code that matches. Fail if there is none, so that no test passes without checking."""
    result = [match for code in INLINE if (match := re.fullmatch(pattern, code))]
    assert result, pattern
    return result


def test_command_options_exist() -> None:
    for match in matches(r"(?:manage\.py )?(\w+)((?: --[\w-]+)*)"):
        name, options = match[1], set(match[2].split())
        if name in get_commands() or match[0].startswith("manage.py") or options:
            assert options <= options_of(name), match[0]


def test_standalone_options_exist() -> None:
    options = set().union(*(options_of(name) for name in ("createkey", "doctor", "peppers", "scankeys")))
    of_gunicorn = {option for setting in KNOWN_SETTINGS for option in setting.cli or ()}
    assert {match[0] for match in matches(r"--[\w-]+")} <= options | of_gunicorn


def options_of(command: str) -> set[str]:
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    return {option for action in parser._actions for option in action.option_strings}


def test_uppercase_names_exist_in_the_code() -> None:
    names = (
        set(re.findall(r"[A-Z][A-Z_]+", CODE + MAKEFILE))
        | set(dir(global_settings))
        | {*Signals.__members__}
        | PGBOUNCER
    )
    assert [match[0] for match in matches("[A-Z][A-Z_]+") if match[0] not in names] == []


def test_assignments_are_valid() -> None:
    for match in matches(r"([A-Z_]+)=(.*)"):
        assert match[1].removesuffix("_FILE") in SETTINGS, match[0]
        (value,) = shlex.split(match[2])
        assert not match[1].endswith("_LIMIT") or parse_many(value)
    for match in matches(r"make \w+ (\w+)=\S+"):
        assert f"\n{match[1]} ?= " in MAKEFILE, match[0]


def test_documented_defaults_match_settings() -> None:
    settings = (ROOT / "config/settings.py").read_text()
    read = dict(re.findall(r'environment\.\w+\("(\w+)",[^\n]* default="?([^")]+)"?\)', settings))
    read |= dict.fromkeys(re.findall(r'environment\.flag\("(\w+)"\)', settings), "false")
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PROSE, re.MULTILINE))
    assert len(documented) > 8
    assert documented == {name: read[name] for name in documented}


def test_files_and_folders_exist() -> None:
    paths = {match[0] for match in matches(r"(?![/~])[\w./-]*(?:\.(?:py|md|toml)|\w/)")}
    assert "gunicorn.conf.py" in paths
    # A bare name may be a file inside a package, such as urls.py.
    assert [path for path in paths if not (ROOT / path).exists() and not [*ROOT.glob(f"*/{path}")]] == []


def test_dotted_names_exist() -> None:
    for match in matches(r"(?:finta_keys|accounts_app)(?:\.\w+)+"):
        assert resolve(match[0])


def test_url_paths_exist() -> None:
    routes = {f"/{path}" for path, _, _ in routes_of(get_resolver())}
    paths = {match[2] for match in matches(r"([A-Z]+ )?(/v2/[\w./]+)")}
    called = set(re.findall(r"(?<=8000)/[\w/.]+", TEXT))
    assert paths | called <= routes
