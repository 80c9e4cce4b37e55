"""The app within a project: checks, migrations, signals."""

import importlib
import os

import pytest
from django.core.management import call_command
from django.db import connection
from host.variant import KEYS

import finta_keys
from finta_keys import signals
from finta_keys.checks.project import check_migration_order
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from suite.reading import seen

TABLES = {"finta_keys_apikey", "finta_keys_keyaccountscope", "finta_keys_createnonce"}


@pytest.mark.django_db
def test_checks_and_migrations_have_nothing_to_say():
    call_command("check", fail_level="WARNING", databases=["default"])
    call_command("makemigrations", check=True, dry_run=True)


def test_the_check_tells_of_a_missing_run_before(monkeypatch):
    maker = importlib.import_module("shops.migrations.0002_shop").Migration
    assert check_migration_order(None) == []
    monkeypatch.setattr(maker, "run_before", [])
    (told,) = check_migration_order(None)
    assert told.id == "finta_keys.E005"
    assert "run_before" in told.hint


@pytest.mark.django_db(transaction=True)
def test_there_and_back(merchant, shops):
    call_command("migrate", "finta_keys", "zero", verbosity=0)
    try:
        assert not TABLES & set(connection.introspection.table_names())
    finally:
        call_command("migrate", verbosity=0)
    assert set(connection.introspection.table_names()) >= TABLES
    assert seen(make_key(merchant, accounts=[shops[0]])[1]) == [str(shops[0].pk)]


@pytest.mark.django_db
def test_the_columns_are_of_the_keys_that_they_point_to():
    with connection.cursor() as cursor:
        told = {
            table: {
                column.name: connection.introspection.get_field_type(column.type_code, column)
                for column in connection.introspection.get_table_description(cursor, table)
            }
            for table in ("finta_keys_apikey", "finta_keys_keyaccountscope", "shops_shop")
        }
    kinds = {
        told["finta_keys_keyaccountscope"]["account_id"].removeprefix("Big").removeprefix("Auto"),
        told["shops_shop"]["id"].removeprefix("Big").removesuffix("AutoField") or "IntegerField",
    }
    assert len(kinds) == 1, (KEYS, told)


def test_signals_tell_of_all_that_happens(merchant, shops):
    told = []

    def hear(signal, key, **more):
        told.append((names[signal], key.name, more.get("old_name")))

    names = {signal: name for name, signal in vars(signals).items() if name.startswith("key_")}
    for signal in names:
        signal.connect(hear)
    try:
        key, _ = make_key(merchant, "First", shops[:1])
        key.rename("Second")
        key.restrict_to([shop.pk for shop in shops[1:]])
        key.rotate()
        key.delete()
        make_key(merchant, "Third", shops)
        merchant.delete()
    finally:
        for signal in names:
            signal.disconnect(hear)
    assert told == [
        ("key_created", "First", None),
        ("key_renamed", "Second", "First"),
        ("key_scope_edited", "Second", None),
        ("key_rotated", "Second", None),
        ("key_deleted", "Second", None),
        ("key_created", "Third", None),
        ("key_deleted", "Third", None),
    ]
    assert not ApiKey.objects.exists()


def test_it_is_the_installed_app():
    """And not the source tree, where somebody says in which folder it is installed."""
    assert finta_keys.__file__.startswith(os.environ.get("HOST_PACKAGES", ""))
