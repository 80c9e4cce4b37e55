"""The migrations of this app fit any host."""

import ast
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from finta_keys.migrations import __path__ as folders

HOST = {
    settings.AUTH_USER_MODEL.lower(),
    settings.FINTA_KEYS_ACCOUNT_MODEL.lower(),
    "auth.user",
    *(label.split(".")[0].lower() for label in (settings.AUTH_USER_MODEL, settings.FINTA_KEYS_ACCOUNT_MODEL)),
}


def sources():
    return sorted(path for folder in folders for path in Path(folder).glob("*.py") if path.name != "__init__.py")


def literals(source):
    """Return the strings of a module, and the names that it imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def names_the_host(source):
    return [text for text in literals(source) if any(text.lower().startswith(host) for host in HOST)]


@pytest.mark.django_db
def test_the_migrations_say_what_the_models_say():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_there_are_migrations_to_look_at():
    assert sources()[0].stem == "0001_initial"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_no_migration_names_a_model_of_the_host(path):
    assert names_the_host(path.read_text()) == []


@pytest.mark.parametrize(
    "literal", ['to="accounts_app.account"', 'to="accounts_app.Account"', 'to="auth.user"', '("accounts_app", "0001")']
)
def test_a_literal_as_makemigrations_writes_it_is_found(literal):
    assert names_the_host(f"call({literal})" if literal.startswith("to") else literal)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_the_models_of_the_host_are_named_by_its_settings(path):
    source = path.read_text()
    if "ForeignKey" in source:
        assert "migrations.swappable_dependency(settings.AUTH_USER_MODEL)" in source
        assert "migrations.swappable_dependency(settings.FINTA_KEYS_ACCOUNT_MODEL)" in source
