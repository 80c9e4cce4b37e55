"""Checks, migrations and signals of the app in a project."""

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

TABLES = {f"finta_keys_{name}" for name in ("apikey", "keyaccountscope", "createnonce", "keyevent", "retiredsecret")}


@pytest.mark.django_db
def test_no_check_messages_or_missing_migrations():
    call_command("check", fail_level="WARNING", databases=["default"])
    call_command("makemigrations", check=True, dry_run=True)


def test_check_finds_missing_run_before(monkeypatch):
    migration = importlib.import_module("shops.migrations.0002_shop").Migration
    assert check_migration_order(None) == []
    monkeypatch.setattr(migration, "run_before", [])
    (error,) = check_migration_order(None)
    assert error.id == "finta_keys.E005"
    assert "run_before" in error.hint


@pytest.mark.django_db(transaction=True)
def test_migrations_are_reversible(merchant, shops):
    call_command("migrate", "finta_keys", "zero", verbosity=0)
    try:
        assert not TABLES & set(connection.introspection.table_names())
    finally:
        call_command("migrate", verbosity=0)
    assert set(connection.introspection.table_names()) >= TABLES
    assert seen(make_key(merchant, accounts=[shops[0]])[1]) == [str(shops[0].pk)]


@pytest.mark.django_db
def test_foreign_key_columns_match_their_targets():
    with connection.cursor() as cursor:
        types = {
            table: {
                column.name: connection.introspection.get_field_type(column.type_code, column)
                for column in connection.introspection.get_table_description(cursor, table)
            }
            for table in ("finta_keys_apikey", "finta_keys_keyaccountscope", "shops_shop")
        }
    kinds = {
        types["finta_keys_keyaccountscope"]["account_id"].removeprefix("Big").removeprefix("Auto"),
        types["shops_shop"]["id"].removeprefix("Big").removesuffix("AutoField") or "IntegerField",
    }
    assert len(kinds) == 1, (KEYS, types)


def test_every_action_sends_a_signal(merchant, shops):
    received = []

    def record(signal, key, **kwargs):
        received.append((names[signal], key.name, kwargs.get("old_name")))

    names = {signal: name for name, signal in vars(signals).items() if name.startswith("key_")}
    for signal in names:
        signal.connect(record)
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
            signal.disconnect(record)
    assert received == [
        ("key_created", "First", None),
        ("key_renamed", "Second", "First"),
        ("key_scope_edited", "Second", None),
        ("key_rotated", "Second", None),
        ("key_deleted", "Second", None),
        ("key_created", "Third", None),
        ("key_deleted", "Third", None),
    ]
    assert not ApiKey.objects.exists()


def test_app_is_the_installed_one():
    """Not the source tree, if HOST_PACKAGES names the installation folder."""
    assert finta_keys.__file__.startswith(os.environ.get("HOST_PACKAGES", ""))
