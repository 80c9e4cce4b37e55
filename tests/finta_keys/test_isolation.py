"""Concurrent changes at stricter isolation levels: the second one gets ``AlreadyDone``, not a database error."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from finta_keys import nonces, transactions
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import UserFactory

pytestmark = pytest.mark.rule("T2")


def conflict(sqlstate):
    error = OperationalError("could not serialize access due to concurrent update")
    error.__cause__ = Exception()
    error.__cause__.sqlstate = sqlstate
    return error


class TestRetry:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("error", [conflict("40001"), conflict("40P01"), IntegrityError()], ids=str)
    def test_conflicts_are_retried(self, error):
        change = mock.Mock(side_effect=[error, error, "done"])
        assert transactions.retry_conflicts(change)("argument") == "done"
        assert change.call_args_list == [mock.call("argument")] * 3

    @pytest.mark.django_db(transaction=True)
    def test_third_conflict_is_raised(self):
        change = mock.Mock(side_effect=conflict("40001"))
        with pytest.raises(OperationalError):
            transactions.retry_conflicts(change)()
        assert change.call_count == 3

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        "error", [OperationalError("no connection"), conflict("57014"), ValidationError("")], ids=str
    )
    def test_other_errors_are_raised_at_once(self, error):
        change = mock.Mock(side_effect=error)
        with pytest.raises(type(error)):
            transactions.retry_conflicts(change)()
        assert change.call_count == 1

    @pytest.mark.django_db
    def test_nothing_is_retried_inside_a_transaction(self):
        """The outer transaction would keep its old snapshot."""
        change = mock.Mock(side_effect=conflict("40001"))
        with transaction.atomic(), pytest.raises(OperationalError):
            transactions.retry_conflicts(change)()
        assert change.call_count == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one isolation level.")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["REPEATABLE_READ", "SERIALIZABLE"])
class TestPostgreSQL:
    @pytest.fixture(autouse=True)
    def isolation(self, monkeypatch, level):
        from psycopg import IsolationLevel

        options = connection.settings_dict["OPTIONS"]
        monkeypatch.setitem(options, "isolation_level", getattr(IsolationLevel, level))

    def run_twice(self, change):
        """Run ``change`` in two threads at once. Return the names of the results' types, sorted."""
        barrier = Barrier(2)

        def run(_):
            try:
                connection.ensure_connection()
                barrier.wait()
                return type(change()).__name__
            except (ValidationError, OperationalError, IntegrityError, ApiKey.DoesNotExist) as error:
                return type(error).__name__
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            return sorted(pool.map(run, range(2)))

    def test_second_rotation_is_already_done(self):
        for number in range(5):
            key, _ = make_key(UserFactory(), f"Key {number}")
            results = self.run_twice(lambda key=key: ApiKey.objects.get(pk=key.pk).rotate(expected=0))
            assert results == ["AlreadyDone", "Secret"]

    def test_second_create_with_a_nonce_is_already_done(self):
        for _ in range(5):
            owner = UserFactory()
            nonce = nonces.read(nonces.make(owner.pk), owner.pk)
            results = self.run_twice(
                lambda owner=owner, nonce=nonce: ApiKey.objects.create_key(owner=owner, name="New", nonce=nonce)
            )
            assert results == ["AlreadyDone", "tuple"]

    def test_second_create_with_a_name_is_rejected(self):
        for _ in range(5):
            owner = UserFactory()
            results = self.run_twice(lambda owner=owner: ApiKey.objects.create_key(owner=owner, name="New"))
            assert results == ["ValidationError", "tuple"]

    def test_second_delete_finds_no_key(self):
        for number in range(5):
            key, _ = make_key(UserFactory(), f"Key {number}")
            results = self.run_twice(lambda key=key: key.delete())
            assert results == ["DoesNotExist", "tuple"]
