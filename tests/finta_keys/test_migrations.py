"""The migrations of this app fit any project."""

import ast
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import models
from django.test.utils import isolate_apps

from accounts_app.models import Account, User
from finta_keys.migrations import __path__ as folders

PROJECT = {
    settings.AUTH_USER_MODEL.lower(),
    settings.FINTA_KEYS_ACCOUNT_MODEL.lower(),
    "auth.user",
    *(label.split(".")[0].lower() for label in (settings.AUTH_USER_MODEL, settings.FINTA_KEYS_ACCOUNT_MODEL)),
}


def sources():
    return sorted(path for folder in folders for path in Path(folder).glob("*.py") if path.name != "__init__.py")


def literals(source):
    """Yield the strings of a module and the names of its imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def project_names(source):
    return [text for text in literals(source) if any(text.lower().startswith(label) for label in PROJECT)]


@pytest.mark.django_db
def test_migrations_match_the_models():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_there_are_migrations():
    assert sources()[0].stem == "0001_initial"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_migrations_name_no_model_of_the_project(path):
    assert project_names(path.read_text()) == []


@pytest.mark.parametrize(
    "literal", ['to="accounts_app.account"', 'to="accounts_app.Account"', 'to="auth.user"', '("accounts_app", "0001")']
)
def test_literals_of_makemigrations_are_recognized(literal):
    assert project_names(f"call({literal})" if literal.startswith("to") else literal)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_foreign_keys_use_settings(path):
    source = path.read_text()
    if "ForeignKey" in source:
        assert "migrations.swappable_dependency(settings.AUTH_USER_MODEL)" in source
        assert "migrations.swappable_dependency(settings.FINTA_KEYS_ACCOUNT_MODEL)" in source


@isolate_apps("accounts_app")
@pytest.mark.parametrize("name", ["api_keys", "keys", "key_scopes"])
def test_other_apps_may_use_common_related_names(name):
    class OtherKey(models.Model):
        user = models.ForeignKey(User, models.CASCADE, related_name=name)
        account = models.ForeignKey(Account, models.CASCADE, related_name=name)

        class Meta:
            app_label = "accounts_app"

        def __str__(self):
            return name

    clashes = {"fields.E302", "fields.E303", "fields.E304", "fields.E305"}
    assert not clashes & {error.id for error in OtherKey.check()}
