"""The cost of the first and the thousandth page of transactions.

Each account's index is read from the cursor on, so both cost the same. The bounds are in test_rows_read.py.
"""

from __future__ import annotations

import pytest
from django.db import connection

from accounts_app.models import Account, User
from benchmarks.make_data import Size, make, pk
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.scale import plans
from tests.scale.conftest import analyze

ROWS = 60_000  # per key: more than a thousand pages
START = 100_000_000  # numbers that the crowd does not use
PAGE, HOP = 50, 250  # rows; a cursor works with any page length


def client_for(accounts):
    """Return a client whose key is restricted to ``accounts`` accounts with ``ROWS`` transactions in total."""
    make(connection, Size(1, 0, accounts, 0, ROWS // accounts), start=START)
    analyze()
    owner = User.objects.get(pk=pk("owner", START))
    client = ApiClient(make_key(owner, "All of them", list(Account.objects.filter(owner=owner)))[1])
    client.get("/v2/me")
    return client


def cursor_after(client, pages, filters):
    cursor = ""
    for _ in range(pages * PAGE // HOP):
        response = client.get(f"/v2/transactions?{filters}&limit={HOP}{cursor}").json()
        cursor = f"&cursor={response['pageInfo']['nextCursor']}"
    return cursor


def costs_of_pages(client, filters, pages=1000):
    """Return the costs of the first page and of a page near the end of ``pages``."""
    cursor = cursor_after(client, pages - 5, filters)

    def page(cursor):
        response = client.get(f"/v2/transactions?{filters}&limit={PAGE}{cursor}")
        assert len(response.json()["transactions"]) == PAGE

    return plans.cost(lambda: page("")), plans.cost(lambda: page(cursor))


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [1, 10, 1000])
def test_thousandth_page_costs_at_most_twice_the_first(crowd, db, accounts):
    first, thousandth = costs_of_pages(client_for(accounts), "")
    print(f"{accounts} accounts: {first:,} and {thousandth:,}")
    assert thousandth <= 2 * first


@pytest.mark.slow
def test_thousandth_page_of_one_account(crowd, db):
    client = client_for(1)
    first, thousandth = costs_of_pages(client, f"bankAccountId={pk('account', START)}")
    print(f"one account, by filter: {first:,} and {thousandth:,}")
    assert thousandth <= 2 * first
    assert first < 100 * PAGE


@pytest.mark.parametrize("days", [1000, 4000])
def test_cost_of_a_page_is_independent_of_history(crowd, db, days):
    make(connection, Size(1, 0, 1, 0, days), start=START)
    owner = User.objects.get(pk=pk("owner", START))
    client = ApiClient(make_key(owner, "One")[1])
    client.get("/v2/me")
    first, later = costs_of_pages(client, f"bankAccountId={pk('account', START)}", pages=15)
    assert later <= 2 * first
    assert first < 100 * PAGE
