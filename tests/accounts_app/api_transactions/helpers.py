from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

FIELDS = [
    "id",
    "bankConnectionId",
    "bankAccountId",
    "provider",
    "providerId",
    "summary",
    "status",
    "amount",
    "currency",
    "authorizedDate",
    "postedDate",
    "merchantName",
    "categoryId",
    "fees",
    "feeType",
    "netAmount",
    "subAccount",
    "paymentChannel",
    "checkNumber",
    "originalDescription",
    "source",
]
JAN = dt.date(2026, 1, 1)


def day(number):
    return JAN + dt.timedelta(days=number - 1)


def get(client, **query):
    return client.get(f"/v2/transactions?{urlencode(query)}")


def rows(client, **query):
    response = get(client, **query)
    assert response.status_code == 200, response.content
    assert list(response.json()) == ["transactions", "pageInfo"]
    return response.json()["transactions"]


def summaries(client, **query):
    return [row["summary"] for row in rows(client, **query)]


def get_all_pages(client, between=lambda page: None, **query):
    """Return the ids of every page. Calls ``between`` after each page except the last."""
    pages, cursor = [], {}
    while True:
        response = get(client, **query, **cursor).json()
        pages.append([row["id"] for row in response["transactions"]])
        info = response["pageInfo"]
        assert list(info) == ["nextCursor", "hasMore"]
        assert info["hasMore"] is (info["nextCursor"] is not None)
        if not info["hasMore"]:
            return pages
        cursor = {"cursor": info["nextCursor"]}
        between(len(pages))


def flatten(pages):
    return [pk for page in pages for pk in page]


def ids(transactions):
    return [str(transaction.pk) for transaction in transactions]
