"""docs/reference.md lists exactly the public names of the app."""

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
from finta_keys import authentication, fields, models, scoping, signals, slash_urls, standby, testing, urls
from tests.docs.blocks import ROOT

REFERENCE = (ROOT / "docs/reference.md").read_text()
APP = Path(finta_keys.__file__).parent
COMMANDS = sorted(path.stem for path in (APP / "management/commands").glob("[!_]*.py"))

# Public modules, each with its names for internal use.
OPEN: dict[ModuleType, set[str]] = {
    authentication: set(),
    fields: set(),
    models: {"AccountUsage", "ApiKeyManager", "ApiKeyQuerySet", "CreateNonce", "KeyAccountScope", "KeyUsage"},
    scoping: {"choices", "is_scoped", "require_scope", "scope_problem"},
    standby: {"is_supported"},
    testing: {"comparable_parts"},
}
ENTRIES = dict(re.findall(r"^### `(finta_keys\.[\w.]+)(\(.*\))?`$", REFERENCE, re.MULTILINE))


def section(heading: str) -> str:
    """Return the text below a heading, up to the next heading of its level or above."""
    level = heading.count("#")
    return re.split(rf"^#{{1,{level}}} ", REFERENCE.split(f"\n{heading}\n", 1)[1], flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def resolve(path: str) -> Any:
    """Return the object at a dotted path."""
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
    ids = first_column(section("## System checks"))
    assert sorted(ids) == sorted(set(re.findall(r"finta_keys\.[EW]\d{3}", code)))
    assert [name[-3:] for name in ids] == sorted(name[-3:] for name in ids)
    assert {f"finta_keys.{name}" for name in re.findall(r"[EW]\d{3}", section("## Settings"))} <= set(ids)


def test_signals() -> None:
    names = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
    assert first_column(section("## Signals")) == names


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
        if option not in common_options()
    }
    assert set(first_column(section(f"### `{name}`"))) == own


def common_options() -> set[str]:
    parser = BaseCommand().create_parser("manage.py", "any")
    return {option for action in parser._actions for option in action.option_strings}


def test_urls() -> None:
    for patterns in (urls.urlpatterns, slash_urls.urlpatterns):
        assert sorted(first_column(section("## URLs"))) == sorted(f"finta_keys:{pattern.name}" for pattern in patterns)


def test_templates_exist() -> None:
    names = first_column(section("## Templates"))
    assert names
    assert all((APP / "templates" / name).is_file() for name in names)


def test_public_names() -> None:
    for module, internal in OPEN.items():
        names = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and callable(value)
            and not is_deprecated(value)
            and (is_of(module, value) or name in getattr(module, "__all__", ()))
        }
        assert {path.split(".")[2] for path in ENTRIES if path.startswith(f"{module.__name__}.")} == names - internal


def is_deprecated(value: Any) -> bool:
    return (value.__doc__ or "").startswith("Deprecated: ")


def is_of(module: Any, value: Any) -> bool:
    """Return True if the module, or one of its submodules, defines the object."""
    return f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")


@pytest.mark.parametrize("path", [path for path, signature in ENTRIES.items() if signature])
def test_signatures(path: str) -> None:
    documented = eval(f"lambda {ENTRIES[path][1:-1]}: None", vars(testing).copy())  # noqa: S307  # our own document
    assert parameters(documented) == parameters(resolve(path))


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    values = inspect.signature(function).parameters.values()
    return [(value.name, value.kind, value.default) for value in values if value.name != "self"]


def test_secret_pattern() -> None:
    from finta_keys import secret

    assert f"`{secret.pattern()}`" in REFERENCE


def test_security_model_names_existing_tests() -> None:
    paths = re.findall(r"`(tests/[\w/]+(?:\.py|/))`", (ROOT / "docs/security-model.md").read_text())
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
