"""A database with enough rows that its planner chooses as it does with many more, its statistics gathered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from accounts_app.models import Account, User
from benchmarks.make_data import Size, make, pk
from finta_keys.testing import make_key
from tests.conftest import ApiClient

CROWD = Size(owners=1000, keys_per_owner=4, accounts_per_owner=5, accounts_per_key=4, transactions_per_account=5)


@pytest.fixture(scope="module")
def crowd(django_db_setup, django_db_blocker):
    """Many owners with their accounts, keys and transactions: made once a module, gone after it."""
    with django_db_blocker.unblock(), transaction.atomic():
        make(connection, CROWD)
        analyze()
        yield CROWD
        transaction.set_rollback(True)


def analyze() -> None:
    """Let the planner know what there is."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def forget_statistics() -> None:
    """Let SQLite plan as it does where nobody ever ran ANALYZE, which is everywhere by default."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")


@pytest.fixture(params=["analyzed", "never analyzed"])
def statistics(request, crowd, db):
    """Both states in which a planner may find the database."""
    if request.param == "never analyzed":
        if connection.vendor != "sqlite":
            pytest.skip("PostgreSQL analyzes by itself.")
        forget_statistics()
        yield
        analyze()  # the connection keeps what it has read
        return
    yield


@pytest.fixture
def owner(crowd, db):
    """One of the crowd, with a key for two accounts and a key for all, and the clients that present them."""
    user = User.objects.get(pk=pk("owner", 500))
    accounts = list(Account.objects.filter(owner=user))
    restricted, all_accounts = (
        make_key(user, name, scope)[1] for name, scope in (("Two", accounts[:2]), ("All", None))
    )
    clients = {"restricted": ApiClient(restricted), "all accounts": ApiClient(all_accounts)}
    for client in clients.values():
        client.get("/v2/me")  # so that the time of use is written
    return SimpleNamespace(user=user, accounts=accounts, clients=clients)
