"""A database with enough rows that the query planner chooses as it does with many more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts_app.models import Account, User
from benchmarks.make_data import Size, make, pk
from finta_keys.models import AccountUsage, ApiKey, KeyUsage
from finta_keys.testing import make_key
from tests.conftest import ApiClient

CROWD = Size(owners=1000, keys_per_owner=4, accounts_per_owner=5, accounts_per_key=4, transactions_per_account=5)


@pytest.fixture(scope="module")
def crowd(django_db_setup, django_db_blocker):
    """Many owners with accounts, keys and transactions, created once per module and rolled back."""
    with django_db_blocker.unblock(), transaction.atomic():
        make(connection, CROWD)
        use_all_keys()
        analyze()
        yield CROWD
        transaction.set_rollback(True)


def use_all_keys() -> None:
    now = timezone.now()
    numbers = {"requests": 1, "reads": 1, "writes": 0, "refused": 0}
    moments = {"first_at": now, "last_at": now}
    keys = ApiKey.objects.values_list("pk", "owner_id")
    KeyUsage.objects.bulk_create(
        KeyUsage(key_id=key, day=now.date(), source="192.0.2.0/24", agent="curl", **numbers, **moments)
        for key, _owner in keys
    )
    accounts = dict(Account.objects.values_list("owner_id", "pk"))
    AccountUsage.objects.bulk_create(
        AccountUsage(key_id=key, account_id=str(accounts[owner]), day=now.date(), responses=1, **moments)
        for key, owner in keys
    )


def analyze() -> None:
    """Update the planner's statistics."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def forget_statistics() -> None:
    """Remove SQLite's statistics: by default, no one runs ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")


@pytest.fixture(params=["analyzed", "never analyzed"])
def statistics(request, crowd, db):
    """Run a test with and without statistics."""
    if request.param == "never analyzed":
        if connection.vendor != "sqlite":
            pytest.skip("PostgreSQL runs ANALYZE automatically.")
        forget_statistics()
        yield
        analyze()  # the connection caches the statistics
        return
    yield


@pytest.fixture
def owner(crowd, db):
    """One of many owners, with a client for a key restricted to two accounts and one for all accounts."""
    user = User.objects.get(pk=pk("owner", 500))
    accounts = list(Account.objects.filter(owner=user))
    restricted, all_accounts = (
        make_key(user, name, scope)[1] for name, scope in (("Two", accounts[:2]), ("All", None))
    )
    clients = {"restricted": ApiClient(restricted), "all accounts": ApiClient(all_accounts)}
    for client in clients.values():
        client.get("/v2/me")  # so that last_used_at is already updated
    return SimpleNamespace(user=user, accounts=accounts, clients=clients)
