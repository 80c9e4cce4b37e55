"""The number of rows that a page of transactions reads, for any owner and any filter.

The bounds are those in ``accounts_app.api.pagination``, and a constant for the other statements. On
SQLite the unit is an instruction of the virtual machine; a row takes at most ``STEPS``.
"""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.db.models import F

from accounts_app.models import Account, Transaction, User
from benchmarks.make_data import Size, make, pk
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.scale import plans
from tests.scale.conftest import analyze, forget_statistics

START = 200_000_000  # numbers that the other rows do not use
ACCOUNTS, ROWS, LIMIT = 40, 4000, 5
STEPS = 80
CATEGORY = uuid.UUID(int=1)
BANK = uuid.UUID(int=2)


def one_account_has_all_rows():
    rows().update(account=pk("account", START + 7), provider_id=F("id"))


def all_rows_have_one_date():
    rows().update(posted_date="2025-06-01")


def all_rows_of_an_account_are_newest():
    rows().filter(account=pk("account", START + 7)).update(posted_date="2025-12-31")


def evenly():
    pass


def rows():
    return Transaction.objects.filter(account__owner=pk("owner", START))


def pks(condition):
    """Return the ids of some rows: one of each hundred."""
    return [row for number, row in enumerate(rows().order_by("pk").values_list("pk", flat=True)) if condition(number)]


@pytest.fixture(params=[evenly, one_account_has_all_rows, all_rows_have_one_date, all_rows_of_an_account_are_newest])
def owner(request, crowd, db):
    """An owner with some pending rows, some of a category, and some accounts at one bank."""
    make(connection, Size(1, 0, ACCOUNTS, 0, ROWS // ACCOUNTS), start=START)
    request.param()
    Transaction.objects.filter(pk__in=pks(lambda number: number % 100 == 3)).update(status="pending")
    Transaction.objects.filter(pk__in=pks(lambda number: number % 100 == 4)).update(category_id=CATEGORY)
    Account.objects.filter(pk__in=[pk("account", START + number) for number in range(20)]).update(
        bank_connection_id=BANK
    )
    # SQLite has no statistics by default. With those of few rows it may choose another index.
    forget_statistics() if connection.vendor == "sqlite" else analyze()
    yield User.objects.get(pk=pk("owner", START))
    analyze()  # the connection caches the statistics


def bound(accounts, limit=LIMIT):
    if connection.vendor == "sqlite":
        return STEPS * (accounts + accounts * (limit + 1)) + 1000
    page = 2 * (limit + 1)  # the rows of the page, and their accounts
    others = 5 * accounts + 20  # accounts and scope rows, key and owner
    return 2 * accounts + 2 * min(accounts, limit + 1) * (limit + 1) + page + others


FILTERS = {
    "": ACCOUNTS,
    "&status=all": ACCOUNTS,
    "&status=pending": ACCOUNTS,
    "&status=deleted": ACCOUNTS,
    f"&categoryId={CATEGORY}": ACCOUNTS,
    f"&categoryId={CATEGORY}&status=deleted": ACCOUNTS,
    f"&categoryId={uuid.UUID(int=9)}": ACCOUNTS,
    "&startDate=2025-12-01": ACCOUNTS,
    "&endDate=2025-10-31": ACCOUNTS,
    "&startDate=2025-11-01&endDate=2025-11-02": ACCOUNTS,
    f"&bankConnectionId={BANK}": ACCOUNTS,
    f"&bankAccountId={pk('account', START + 7)}": 1,
    f"&bankAccountId={pk('account', START + 7)}&status=pending": 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["all accounts", "restricted"])
def test_pages_read_a_bounded_number_of_rows(owner, scope):
    accounts = list(owner.accounts.all()) if scope == "restricted" else None
    client = ApiClient(make_key(owner, "Key", accounts)[1])
    client.get("/v2/me")
    costs = {}
    for query, number in FILTERS.items():
        costs[query] = (page(client, query), bound(number))
        cursor = client.get(f"/v2/transactions?limit=250{query}").json()["pageInfo"]["nextCursor"]
        if cursor:
            costs[f"{query}, later"] = (page(client, f"{query}&cursor={cursor}"), bound(number))
    assert {query: cost for query, cost in costs.items() if cost[0] > cost[1]} == {}
    print(max(costs.values()))


def page(client, query):
    """Return the cost of a page."""
    return plans.cost(lambda: client.get(f"/v2/transactions?limit={LIMIT}{query}"))
