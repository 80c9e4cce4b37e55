"""The number of queries per request. ``last_used_at`` has just been saved, so it costs none."""

from __future__ import annotations

from uuid import uuid4

import pytest

from finta_keys import secret
from finta_keys.testing import make_key
from tests.accounts_app.api_assertions import account_url, count_queries
from tests.conftest import ApiClient
from tests.factories import AccountFactory, TransactionFactory

PEPPERS = ["11" * 32, "22" * 32, "33" * 32]


@pytest.fixture(params=["restricted", "unrestricted"])
def client(request):
    client = request.getfixturevalue(request.param).client
    client.get("/v2/me")
    return client


def query_counts(client, accounts):
    """Return the number of queries per endpoint."""
    urls = {
        "me": "/v2/me",
        "account": account_url(accounts.checking.pk),
        "missing account": account_url(uuid4()),
        "malformed account": account_url("x"),
        "accounts": "/v2/accounts?status=all",
        "transactions": "/v2/transactions?status=all",
        "transactions of one account": f"/v2/transactions?bankAccountId={accounts.checking.pk}",
        "transactions of a connection": f"/v2/transactions?bankConnectionId={uuid4()}",
        "unknown path": "/v2/nowhere",
    }
    return {name: count_queries(client, "GET", url)[1] for name, url in urls.items()}


EXPECTED = {
    "me": 1,
    "account": 2,
    "missing account": 2,
    "malformed account": 1,
    "accounts": 2,
    "transactions": 2,
    "transactions of one account": 3,
    "transactions of a connection": 2,
    "unknown path": 1,
}


def test_read_queries(client, accounts):
    assert query_counts(client, accounts) == EXPECTED


def test_read_queries_are_constant(client, alice, accounts):
    many = [AccountFactory(owner=alice) for _ in range(5)]
    for number in range(5):
        make_key(alice, f"Key {number}", [accounts.checking, *many])
    for account in (accounts.checking, *many):
        TransactionFactory.create_batch(3, account=account)
    assert query_counts(client, accounts) == EXPECTED


@pytest.mark.rule("X3")
@pytest.mark.parametrize("count", [1, 3])
def test_unknown_key_costs_one_query(db, settings, count):
    settings.FINTA_KEYS_PEPPERS = PEPPERS[:count]
    response, queries = count_queries(ApiClient(secret.generate()), "GET", "/v2/me")
    assert (response.status_code, queries) == (401, 1)


@pytest.mark.rule("X3")
@pytest.mark.parametrize("count", [1, 3])
def test_extra_peppers_cost_no_queries(unrestricted, accounts, settings, count):
    settings.FINTA_KEYS_PEPPERS = PEPPERS[:count]
    unrestricted.client.get("/v2/me")
    assert query_counts(unrestricted.client, accounts) == EXPECTED


@pytest.mark.rule("X1")
def test_malformed_key_costs_no_query(db):
    good = secret.generate()
    mistyped = good[:10] + ("a" if good[10] != "a" else "b") + good[11:]
    for presented in (mistyped, good[:-1], "finta_", "finta_x", good + "x", good.upper(), "sk_live_x"):
        response, queries = count_queries(ApiClient(presented), "GET", "/v2/me")
        assert (response.status_code, queries) == (401, 0)


def test_missing_key_costs_no_query(db):
    for url in ("/v2/me", "/v2/nowhere", account_url(), "/v2/openapi.json"):
        assert count_queries(ApiClient(), "GET", url)[1] == 0


def test_health_costs_one_query(db):
    assert count_queries(ApiClient(), "GET", "/v2/health")[1] == 1
