"""System checks of the project: its account model, databases and migrations."""

import sys
from uuid import uuid4

import pytest
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from accounts_app.models import User
from finta_keys import checks as modules
from finta_keys import conf
from finta_keys.checks import project as checks
from finta_keys.checks.settings import check_settings
from tests.finta_keys.checks.messages import only


@pytest.mark.django_db
def test_this_project_passes_every_check():
    call_command("check", fail_level="WARNING")
    ours = {
        check
        for name in modules.__all__
        for check in vars(getattr(modules, name)).values()
        if getattr(check, "tags", None)
    }
    assert ours
    assert ours <= set(django_checks.registry.registry.get_checks(include_deployment_checks=True))


# --- E001: the account model -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("accounts_app.Account", "nothing"),
        ("accounts_app.Account", "name"),
        ("accounts_app.Account", "transactions"),
        ("accounts_app.Account", "account__owner"),
        ("accounts_app.Transaction", "account"),
        ("finta_keys.KeyAccountScope", "key"),
        ("auth.Group", "user"),
    ],
)
def test_account_model_without_owner_is_reported(settings, model, field):
    settings.FINTA_KEYS_ACCOUNT_MODEL, settings.FINTA_KEYS_OWNER_FIELD = model, field
    message = only(check_settings(None), "finta_keys.E001")
    assert message.msg == f"{model} has no foreign key {field!r} to {User._meta.label}."
    assert "FINTA_KEYS_OWNER_FIELD" in message.hint


@pytest.mark.rule("S3")
def test_owner_with_to_field_is_reported(monkeypatch):
    """Keys would access the accounts of another user whose e-mail equals the primary key of the owner."""
    field = conf.account_model()._meta.get_field("owner")
    monkeypatch.setitem(vars(field), "foreign_related_fields", (field.related_model._meta.get_field("email"),))
    message = only(check_settings(None), "finta_keys.E001")
    assert message.msg.startswith(
        f"accounts_app.Account.owner points to the field 'email' of {User._meta.label}, not to its primary key"
    )
    assert "Remove to_field" in message.hint


@pytest.mark.parametrize("label", ["nowhere.Account", "accounts_app.Nothing", "Account", "", "a.b.c", None, 7])
def test_missing_account_model_is_reported(settings, label):
    settings.FINTA_KEYS_ACCOUNT_MODEL = label
    message = only(check_settings(None), "finta_keys.E001")
    assert message.msg.startswith(f"FINTA_KEYS_ACCOUNT_MODEL is {label!r}")
    assert 'such as "shops.Shop"' in message.msg
    with pytest.raises(ImproperlyConfigured):
        conf.account_model()
    assert checks.check_one_database(None) == checks.check_migration_order(None) == []


def test_owner_field_has_a_default(settings):
    assert not hasattr(settings, "FINTA_KEYS_OWNER_FIELD")
    assert conf.owner_field() == "owner"
    settings.FINTA_KEYS_ACCOUNT_MODEL, settings.FINTA_KEYS_OWNER_FIELD = "admin.LogEntry", "user"
    assert conf.owner_field() == "user"
    settings.FINTA_KEYS_ACCOUNT_GROUP = settings.FINTA_KEYS_ACCOUNT_LABEL = ""
    assert check_settings(None) == []


# --- E004: one database ----------------------------------------------------------------------------------------------


@pytest.mark.rule("K4")
def test_accounts_in_another_database_are_reported(settings):
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.AccountsElsewhere"]
    message = only(checks.check_one_database(None), "finta_keys.E004")
    assert "accounts_app.Account in 'bank'" in message.msg
    assert "finta_keys.ApiKey in 'default'" in message.msg
    assert "finta_keys.KeyAccountScope in 'default'" in message.msg
    assert "router" in message.hint


@pytest.mark.rule("K4")
def test_owners_in_another_database_are_reported(settings):
    """A key is loaded together with its owner, and each change locks the owner's row."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.OwnersElsewhere"]
    message = only(checks.check_one_database(None), "finta_keys.E004")
    assert f"{User._meta.label} in 'people'" in message.msg


def test_read_replica_passes(settings):
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
    assert checks.check_one_database(None) == []


# --- E005: the order of migrations -----------------------------------------------------------------------------------

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = {dependencies}
    run_before = {run_before}
    replaces = {replaces}
    operations = {operations}
"""
OTHERS = ('[migrations.CreateModel("User", [("id", models.BigAutoField(primary_key=True))]), '
          'migrations.RunSQL("", "")]')  # fmt: skip
ACCOUNT = '[migrations.CreateModel("Account", [("id", models.BigAutoField(primary_key=True))])]'
FIRST = [("accounts_app", "0001_initial")]
OURS = [("finta_keys", "0001_initial")]


@pytest.fixture
def project(settings, tmp_path, monkeypatch):
    """Replace the migrations of the account's app by those written with ``project(name, operations, ...)``."""
    package = f"migrations_{uuid4().hex}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"accounts_app": package}

    def write(name, operations, dependencies=(), run_before=(), replaces=()):
        lists = {"dependencies": dependencies, "run_before": run_before, "replaces": replaces}
        lists = {attribute: list(value) for attribute, value in lists.items()}
        source = MIGRATION.format(operations=operations, **lists)
        (tmp_path / package / f"{name}.py").write_text(source)

    yield write
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_later_account_migration_is_reported(project):
    project("0001_initial", OTHERS)
    project("0002_account", ACCOUNT, FIRST)
    message = only(checks.check_migration_order(None), "finta_keys.E005")
    assert "Migration 0002_account of 'accounts_app' creates or renames the account model" in message.msg
    assert message.hint == "Add to its class: run_before = [('finta_keys', '0001_initial')]"


def test_run_before_passes(project):
    project("0001_initial", OTHERS)
    project("0002_account", ACCOUNT, FIRST, run_before=OURS)
    assert checks.check_migration_order(None) == []


def test_account_in_first_migration_passes(project):
    project("0001_initial", ACCOUNT)
    assert checks.check_migration_order(None) == []


def test_account_without_create_model_passes(project):
    project("0001_initial", OTHERS)
    assert checks.check_migration_order(None) == []


@pytest.mark.parametrize("dependency", [("nowhere", "0001_initial"), ("accounts_app", "0002_second")])
def test_broken_migrations_are_left_to_migrate(project, dependency):
    project("0001_initial", ACCOUNT, [dependency])
    project("0002_second", OTHERS, FIRST)
    assert checks.check_migration_order(None) == []


@pytest.mark.parametrize("app", ["finta_keys", "accounts_app"])
def test_disabled_migrations_pass(settings, app):
    settings.MIGRATION_MODULES = {app: None}
    assert checks.check_migration_order(None) == []


SHOP = ACCOUNT.replace('"Account"', '"Shop"')
RENAME = '[migrations.RenameModel("Shop", "Account")]'


def test_renamed_account_model_is_reported(project):
    project("0001_initial", SHOP)
    project("0002_rename", RENAME, FIRST)
    message = only(checks.check_migration_order(None), "finta_keys.E005")
    assert "Migration 0002_rename of 'accounts_app'" in message.msg


def test_renamed_account_model_with_run_before_passes(project):
    project("0001_initial", SHOP)
    project("0002_rename", RENAME, FIRST, run_before=OURS)
    assert checks.check_migration_order(None) == []


@pytest.mark.parametrize("squashed", ["0001_squashed", "0003_squashed"], ids=["sorted first", "sorted last"])
def test_replaced_migrations_do_not_count(project, squashed):
    """Squashing keeps the replaced migrations on disk, but not in the graph."""
    project("0001_initial", OTHERS)
    project("0002_account", ACCOUNT, FIRST)
    replaces = [*FIRST, ("accounts_app", "0002_account")]
    project(squashed, f"{OTHERS[:-1]}, {ACCOUNT[1:]}", replaces=replaces)
    assert checks.check_migration_order(None) == []
