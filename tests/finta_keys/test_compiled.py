"""The key query, which is built once in a process."""

import threading

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.models import key as models
from finta_keys.testing import make_key


def test_the_query_is_built_once_and_asked_each_time(restricted, django_assert_num_queries, monkeypatch):
    ApiKey.objects.authenticate(restricted.secret)
    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.__init__", None)  # not to be built again
    for _ in range(3):
        with django_assert_num_queries(1):
            assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


def test_it_finds_what_the_orm_finds(restricted, alice):
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


def test_the_owner_is_not_fetched_again(restricted, alice, django_assert_num_queries):
    key = ApiKey.objects.authenticate(restricted.secret)
    with django_assert_num_queries(0):
        assert key.owner == alice


def test_what_a_queryset_leaves_out_is_not_found(alice, bob, restricted):
    bobs_key, bobs_secret = make_key(bob)
    assert bob.api_keys.authenticate(bobs_secret) == bobs_key
    assert alice.api_keys.authenticate(bobs_secret) is None


def test_each_number_of_peppers_has_a_query_of_its_own(restricted, settings):
    settings.FINTA_KEYS_PEPPERS = ["22" * 32, "11" * 32, "33" * 32]
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    settings.FINTA_KEYS_PEPPERS = ["22" * 32]
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_a_wrong_number_of_values_is_refused():
    with pytest.raises(ValueError, match="takes 2 values, not 1"):
        models._by_digest("default", 2).execute([b""])


def test_wrappers_of_the_connection_see_it(restricted):
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        ApiKey.objects.authenticate(restricted.secret)
    assert len(seen) == 1


def test_it_holds_no_value_of_a_secret(restricted):
    ApiKey.objects.authenticate(restricted.secret)
    kept = repr(vars(models._by_digest("default", 1)))
    assert restricted.secret not in kept
    assert repr(bytes(restricted.key.digest)) not in kept


@pytest.mark.django_db(transaction=True)
def test_K4_a_rotation_in_another_thread_is_in_force_here_at_once(restricted):
    assert ApiKey.objects.authenticate(restricted.secret)
    fresh = []

    def rotate():
        fresh.append(ApiKey.objects.get(pk=restricted.key.pk).rotate())
        BaseDatabaseWrapper.close(connection)  # close() itself leaves a database in memory open

    thread = threading.Thread(target=rotate)
    thread.start()
    thread.join()
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert ApiKey.objects.authenticate(fresh[0]) == restricted.key


@pytest.mark.django_db(transaction=True)
def test_it_goes_on_after_the_connection_was_lost(restricted):
    ApiKey.objects.authenticate(restricted.secret)
    connection.close()
    with CaptureQueriesContext(connection) as queries:
        assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    assert len(queries) == 1


def test_a_malformed_secret_builds_and_asks_nothing(db, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("finta_keys.compiled.CompiledQuery.execute", None)
    with django_assert_num_queries(0):
        assert ApiKey.objects.authenticate(secret.generate()[:-1] + "!") is None
