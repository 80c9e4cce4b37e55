"""The key lookup, which is compiled once per process."""

import threading

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from finta_keys import secret
from finta_keys.compiled import NamedSql
from finta_keys.models import ApiKey, manager
from finta_keys.testing import make_key


def test_query_is_compiled_once(restricted, django_assert_num_queries, monkeypatch):
    ApiKey.objects.authenticate(restricted.secret)
    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.__init__", None)  # Compiling again would fail.
    for _ in range(3):
        with django_assert_num_queries(1):
            assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


def test_instances_equal_those_of_the_orm(restricted, alice):
    key = ApiKey.objects.authenticate(restricted.secret)
    plain = ApiKey.objects.select_related("owner").get(pk=restricted.key.pk)
    columns = [field.attname for field in ApiKey._meta.concrete_fields]
    assert [getattr(key, name) for name in columns] == [getattr(plain, name) for name in columns]
    assert not key._state.adding
    assert key._state.db == plain._state.db
    assert not key.get_deferred_fields()
    alice.refresh_from_db()
    columns = [field.attname for field in alice._meta.concrete_fields]
    assert [getattr(key.owner, name) for name in columns] == [getattr(alice, name) for name in columns]


def test_owner_is_not_fetched_again(restricted, alice, django_assert_num_queries):
    key = ApiKey.objects.authenticate(restricted.secret)
    with django_assert_num_queries(0):
        assert key.owner == alice


def test_related_manager_rejects_keys_of_others(alice, bob, restricted):
    bobs_key, bobs_secret = make_key(bob)
    assert bob.finta_keys.authenticate(bobs_secret) == bobs_key
    assert alice.finta_keys.authenticate(bobs_secret) is None


@pytest.mark.rule("X3")
def test_each_number_of_peppers_has_its_query(restricted, settings):
    settings.FINTA_KEYS_PEPPERS = ["22" * 32, "11" * 32, "33" * 32]
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    settings.FINTA_KEYS_PEPPERS = ["22" * 32]
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_wrong_number_of_values_is_rejected():
    with pytest.raises(ValueError, match="shorter"):
        manager._digest_query("default", 2).fetch(connection, [b""])


def test_sql_for_sqlite_is_kept():
    sql = NamedSql("SELECT %(p0)s, %(p1)s", ["p0", "p1"])
    names = {"p0": ":p0", "p1": ":p1"}
    assert sql % names == "SELECT :p0, :p1"
    assert sql % names is sql % dict(names)


@pytest.mark.rule("K2")
def test_sql_keeps_no_data():
    sql = NamedSql("SELECT %(p0)s", ["p0"])
    assert sql % {"p0": "'a digest'"} == "SELECT 'a digest'"
    assert "digest" not in repr(vars(sql))
    assert sql % {"p0": ":p0"} == "SELECT :p0"


def test_all_parameters_of_the_key_query_are_named():
    sql = manager._digest_query("default", 2).sql
    assert sql % sql.sqlite_names is sql.sqlite_sql
    assert "%" not in sql.sqlite_sql


def test_execute_wrappers_see_the_query(restricted):
    statements = []

    def wrapper(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        ApiKey.objects.authenticate(restricted.secret)
    assert len(statements) == 1


@pytest.mark.rule("K2")
def test_compiled_query_holds_no_secret(restricted):
    ApiKey.objects.authenticate(restricted.secret)
    attributes = repr(vars(manager._digest_query("default", 1)))
    assert restricted.secret not in attributes
    assert repr(bytes(restricted.key.digest)) not in attributes


@pytest.mark.rule("K4")
@pytest.mark.django_db(transaction=True)
def test_rotation_in_another_thread_takes_effect(restricted):
    assert ApiKey.objects.authenticate(restricted.secret)
    secrets = []

    def rotate():
        secrets.append(ApiKey.objects.get(pk=restricted.key.pk).rotate())
        BaseDatabaseWrapper.close(connection)  # connection.close() does not close an in-memory database.

    thread = threading.Thread(target=rotate)
    thread.start()
    thread.join()
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert ApiKey.objects.authenticate(secrets[0]) == restricted.key


@pytest.mark.django_db(transaction=True)
def test_query_survives_a_lost_connection(restricted):
    ApiKey.objects.authenticate(restricted.secret)
    connection.close()
    with CaptureQueriesContext(connection) as queries:
        assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    assert len(queries) == 1


@pytest.mark.rule("X1")
def test_malformed_secret_runs_no_query(db, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.fetch", None)
    with django_assert_num_queries(0):
        assert ApiKey.objects.authenticate(secret.generate()[:-1] + "!") is None
