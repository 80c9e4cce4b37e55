"""What the system checks find in the project around before it fails late."""

import sys
from uuid import uuid4

import pytest
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from finta_keys import checks as modules
from finta_keys import conf
from finta_keys.checks import project as checks
from tests.finta_keys.checks.messages import only


@pytest.mark.django_db
def test_the_real_project_is_clean():
    call_command("check", fail_level="WARNING")
    ours = {
        check
        for name in modules.__all__
        for check in vars(getattr(modules, name)).values()
        if getattr(check, "tags", None)
    }
    assert len(ours) == 21
    assert ours <= set(django_checks.registry.registry.get_checks(include_deployment_checks=True))


# --- E003: the account model -----------------------------------------------------------------------------------------


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
def test_E003_an_account_model_without_a_foreign_key_to_its_owner_is_found(settings, model, field):
    settings.FINTA_KEYS_ACCOUNT_MODEL, settings.FINTA_KEYS_OWNER_FIELD = model, field
    message = only(checks.check_account_model(None), "finta_keys.E003")
    assert message.msg == f"{model} has no foreign key {field!r} to accounts_app.User."
    assert "FINTA_KEYS_OWNER_FIELD" in message.hint


def test_E003_a_foreign_key_to_another_field_of_the_user_is_found(monkeypatch):
    """A user who is named like the number of another would see what is theirs."""
    field = conf.account_model()._meta.get_field("owner")
    monkeypatch.setitem(vars(field), "foreign_related_fields", (field.related_model._meta.get_field("email"),))
    message = only(checks.check_account_model(None), "finta_keys.E003")
    assert message.msg.startswith(
        "accounts_app.Account.owner leads to the field 'email' of accounts_app.User, not to its primary key"
    )
    assert "Remove to_field" in message.hint


@pytest.mark.parametrize("label", ["nowhere.Account", "accounts_app.Nothing", "Account", "", "a.b.c", None, 7])
def test_E003_an_account_model_that_is_not_there_is_found(settings, label):
    settings.FINTA_KEYS_ACCOUNT_MODEL = label
    message = only(checks.check_account_model(None), "finta_keys.E003")
    assert message.msg.startswith(f"FINTA_KEYS_ACCOUNT_MODEL is {label!r}")
    assert 'such as "shops.Shop"' in message.msg
    with pytest.raises(ImproperlyConfigured):
        conf.account_model()
    assert checks.check_one_database(None) == checks.check_migration_order(None) == []


def test_the_owner_field_has_a_default(settings):
    assert not hasattr(settings, "FINTA_KEYS_OWNER_FIELD")
    assert conf.owner_field() == "owner"
    settings.FINTA_KEYS_ACCOUNT_MODEL, settings.FINTA_KEYS_OWNER_FIELD = "admin.LogEntry", "user"
    assert conf.owner_field() == "user"
    assert checks.check_account_model(None) == []


# --- E004: one database ----------------------------------------------------------------------------------------------


def test_E004_accounts_in_another_database_than_keys_are_found(settings):
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.AccountsElsewhere"]
    message = only(checks.check_one_database(None), "finta_keys.E004")
    assert "accounts_app.Account in 'bank'" in message.msg
    assert "finta_keys.ApiKey in 'default'" in message.msg
    assert "finta_keys.KeyAccountScope in 'default'" in message.msg
    assert "router" in message.hint


def test_E004_owners_in_another_database_than_keys_are_found(settings):
    """The key is looked up together with its owner, and the owner's row is locked for each change."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.OwnersElsewhere"]
    message = only(checks.check_one_database(None), "finta_keys.E004")
    assert "accounts_app.User in 'people'" in message.msg


def test_a_replica_to_read_from_is_fine(settings):
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
    assert checks.check_one_database(None) == []


# --- E005: the order of migrations -----------------------------------------------------------------------------------

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = {dependencies}
    run_before = {run_before}
    operations = {operations}
"""
OTHERS = ('[migrations.CreateModel("User", [("id", models.BigAutoField(primary_key=True))]), '
          'migrations.RunSQL("", "")]')  # fmt: skip
ACCOUNT = '[migrations.CreateModel("Account", [("id", models.BigAutoField(primary_key=True))])]'
FIRST = [("accounts_app", "0001_initial")]
OURS = [("finta_keys", "0001_initial")]


@pytest.fixture
def host(settings, tmp_path, monkeypatch):
    """Give the account's app other migrations: those that are written with ``host(name, operations, ...)``."""
    package = f"migrations_{uuid4().hex}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"accounts_app": package}

    def write(name, operations, dependencies=(), run_before=()):
        source = MIGRATION.format(operations=operations, dependencies=list(dependencies), run_before=list(run_before))
        (tmp_path / package / f"{name}.py").write_text(source)

    yield write
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_E005_an_account_model_that_is_made_in_a_later_migration_is_found(host):
    host("0001_initial", OTHERS)
    host("0002_account", ACCOUNT, FIRST)
    message = only(checks.check_migration_order(None), "finta_keys.E005")
    assert "Migration 0002_account of 'accounts_app' makes the account model" in message.msg
    assert message.hint == "Add to its class: run_before = [('finta_keys', '0001_initial')]"


def test_E005_run_before_puts_it_right(host):
    host("0001_initial", OTHERS)
    host("0002_account", ACCOUNT, FIRST, run_before=OURS)
    assert checks.check_migration_order(None) == []


def test_E005_an_account_model_of_the_first_migration_is_fine(host):
    host("0001_initial", ACCOUNT)
    assert checks.check_migration_order(None) == []


def test_E005_a_host_that_makes_the_model_otherwise_is_left_alone(host):
    host("0001_initial", OTHERS)
    assert checks.check_migration_order(None) == []


@pytest.mark.parametrize("dependency", [("nowhere", "0001_initial"), ("accounts_app", "0002_second")])
def test_E005_broken_migrations_are_left_to_migrate_to_tell(host, dependency):
    host("0001_initial", ACCOUNT, [dependency])
    host("0002_second", OTHERS, FIRST)
    assert checks.check_migration_order(None) == []


@pytest.mark.parametrize("app", ["finta_keys", "accounts_app"])
def test_E005_migrations_that_are_switched_off_are_fine(settings, app):
    settings.MIGRATION_MODULES = {app: None}
    assert checks.check_migration_order(None) == []
