"""What a page of transactions costs, the first and the thousandth.

With one account in question, by filter, the index (account, sort_date, id) is read from the cursor on: both pages cost
the same. Where a key sees many accounts and none is chosen, SQLite reads each account from the cursor on and leaves it
at the first row that is too old for the page: at most accounts * (limit + 1) rows. PostgreSQL reads and sorts what the
key sees, for the first page all of it; for later ones as much at most, with all that is newer than the cursor or not.
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

ROWS = 60_000  # of one key: a thousand pages and some more
START = 100_000_000  # numbers that the crowd does not use
PAGE, HOP = 50, 250  # rows; a cursor is good for pages of any length


def a_key_for(accounts):
    """Return a client whose key is restricted to this many accounts, ``ROWS`` transactions on them in all."""
    make(connection, Size(1, 0, accounts, 0, ROWS // accounts), start=START)
    analyze()
    owner = User.objects.get(pk=pk("owner", START))
    client = ApiClient(make_key(owner, "All of them", list(Account.objects.filter(owner=owner)))[1])
    client.get("/v2/me")
    return client


def cursor_after(client, pages, filters):
    cursor = ""
    for _ in range(pages * PAGE // HOP):
        answer = client.get(f"/v2/transactions?{filters}&limit={HOP}{cursor}").json()
        cursor = f"&cursor={answer['pageInfo']['nextCursor']}"
    return cursor


def costs_of_pages(client, filters, pages=1000):
    """Return what the first page costs and what the one after ``pages - 5`` others does."""
    cursor = cursor_after(client, pages - 5, filters)

    def page(cursor):
        answer = client.get(f"/v2/transactions?{filters}&limit={PAGE}{cursor}")
        assert len(answer.json()["transactions"]) == PAGE

    return plans.cost(lambda: page("")), plans.cost(lambda: page(cursor))


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [1, 10, 1000])
def test_the_thousandth_page_costs_at_most_twice_the_first(crowd, db, accounts):
    first, thousandth = costs_of_pages(a_key_for(accounts), "")
    print(f"{accounts} accounts: {first:,} and {thousandth:,}")
    assert thousandth <= 2 * first


@pytest.mark.slow
def test_the_thousandth_page_of_one_account_costs_at_most_twice_the_first(crowd, db):
    client = a_key_for(1)
    first, thousandth = costs_of_pages(client, f"bankAccountId={pk('account', START)}")
    print(f"one account, by filter: {first:,} and {thousandth:,}")
    assert thousandth <= 2 * first
    assert first < 100 * PAGE


@pytest.mark.parametrize("days", [1000, 4000])
def test_a_page_of_one_account_costs_the_same_however_long_its_history(crowd, db, days):
    make(connection, Size(1, 0, 1, 0, days), start=START)
    owner = User.objects.get(pk=pk("owner", START))
    client = ApiClient(make_key(owner, "One")[1])
    client.get("/v2/me")
    first, later = costs_of_pages(client, f"bankAccountId={pk('account', START)}", pages=15)
    assert later <= 2 * first
    assert first < 100 * PAGE
