"""docs/reference.md names all that is there, and nothing else."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

import finta_keys
from finta_keys import authentication, fields, models, scoping, signals, slash_urls, testing, urls
from tests.docs.blocks import ROOT

REFERENCE = (ROOT / "docs/reference.md").read_text()
APP = Path(finta_keys.__file__).parent
COMMANDS = sorted(path.stem for path in (APP / "management/commands").glob("[!_]*.py"))

# Modules that are for others, and what stands in them for the app itself.
OPEN: dict[ModuleType, set[str]] = {
    authentication: set(),
    fields: set(),
    models: {"ApiKeyManager", "ApiKeyQuerySet", "CreateNonce", "KeyAccountScope"},
    scoping: {"choices", "is_scoped", "require_scope", "scope_problem"},
    testing: {"answer_of"},
}
ENTRIES = dict(re.findall(r"^### `(finta_keys\.[\w.]+)(\(.*\))?`$", REFERENCE, re.MULTILINE))


def section(heading: str) -> str:
    """Return what stands below a heading, up to the next one of its level or above."""
    level = heading.count("#")
    return re.split(rf"^#{{1,{level}}} ", REFERENCE.split(f"\n{heading}\n", 1)[1], flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def found(path: str) -> Any:
    """Return what a dotted path leads to."""
    module = ".".join(path.split(".")[:2])
    value: Any = import_module(module)
    for name in path.split(".")[2:]:
        value = getattr(value, name)
    return value


def test_settings() -> None:
    code = (APP / "conf.py").read_text() + "".join(path.read_text() for path in APP.glob("checks/*.py"))
    assert sorted(first_column(section("## Settings"))) == sorted(set(re.findall(r"FINTA_KEYS_[A-Z_]+", code)))


def test_checks() -> None:
    code = "".join(path.read_text() for path in APP.rglob("*.py"))
    named = first_column(section("## System checks"))
    assert sorted(named) == sorted(set(re.findall(r"finta_keys\.[EW]\d{3}", code)))
    assert [name[-3:] for name in named] == sorted(name[-3:] for name in named)
    assert {f"finta_keys.{each}" for each in re.findall(r"[EW]\d{3}", section("## Settings"))} <= set(named)


def test_signals() -> None:
    there = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
    assert first_column(section("## Signals")) == there


def test_commands() -> None:
    assert sorted(re.findall(r"^### `(\w+)`$", section("## Commands"), re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_options(name: str) -> None:
    command = load_command_class("finta_keys", name)
    assert isinstance(command, BaseCommand)
    own = {
        option
        for action in command.create_parser("manage.py", name)._actions
        for option in (action.option_strings or [str(action.metavar)])
        if option not in everybodys_options()
    }
    assert set(first_column(section(f"### `{name}`"))) == own


def everybodys_options() -> set[str]:
    parser = BaseCommand().create_parser("manage.py", "any")
    return {option for action in parser._actions for option in action.option_strings}


def test_urls() -> None:
    for patterns in (urls.urlpatterns, slash_urls.urlpatterns):
        assert sorted(first_column(section("## URLs"))) == sorted(f"finta_keys:{each.name}" for each in patterns)


def test_templates_are_there() -> None:
    named = first_column(section("## Templates"))
    assert named
    assert all((APP / "templates" / name).is_file() for name in named)


def test_public_names() -> None:
    for module, inner in OPEN.items():
        there = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and callable(value) and is_of(module, value) and not is_deprecated(value)
        }
        assert {path.split(".")[2] for path in ENTRIES if path.startswith(f"{module.__name__}.")} == there - inner


def is_deprecated(value: Any) -> bool:
    return (value.__doc__ or "").startswith("Deprecated: ")


def is_of(module: Any, value: Any) -> bool:
    """Tell whether a module, or one inside of it, is where this was written."""
    return f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")


@pytest.mark.parametrize("path", [path for path, signature in ENTRIES.items() if signature])
def test_signatures(path: str) -> None:
    written = eval(f"lambda {ENTRIES[path][1:-1]}: None", vars(testing).copy())  # noqa: S307  # our own document
    assert parameters(written) == parameters(found(path))


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    there = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in there if each.name != "self"]


def test_the_pattern_of_a_secret() -> None:
    from finta_keys import secret

    assert f"`{secret.pattern()}`" in REFERENCE


def test_the_tests_that_the_security_model_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+(?:\.py|/))`", (ROOT / "docs/security-model.md").read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
