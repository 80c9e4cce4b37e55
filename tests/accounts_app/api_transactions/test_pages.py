"""GET /v2/transactions: pages and cursors."""

from __future__ import annotations

import pytest
from django.core import signing

from accounts_app.api import pagination
from accounts_app.models import Account, Transaction
from finta_keys.testing import make_key
from tests.accounts_app.api_assertions import assert_error
from tests.accounts_app.api_transactions.helpers import (
    day,
    flatten,
    get,
    get_all_pages,
    ids,
    rows,
    summaries,
)
from tests.conftest import ApiClient
from tests.factories import TransactionFactory

# Pages


def test_page_size(client, accounts):
    rows_ = [TransactionFactory.build(account=accounts.checking) for _ in range(251)]
    Transaction.objects.bulk_create(rows_)
    assert [len(page) for page in get_all_pages(client)] == [50] * 5 + [1]
    assert [len(page) for page in get_all_pages(client, limit=250)] == [250, 1]
    assert len(get(client, limit=1).json()["transactions"]) == 1


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 12, 13])
def test_page_order_with_ties(client, transactions, limit):
    pages = get_all_pages(client, limit=limit)
    assert flatten(pages) == ids(transactions)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_page_order_uses_first_known_date(client, accounts):
    def make(summary, **dates):
        TransactionFactory(account=accounts.checking, summary=summary, **{"posted_date": None, **dates})

    make("posted on the 2nd", status="posted", posted_date=day(2), authorized_date=day(9), created_date=day(9))
    make("authorised on the 3rd", status="pending", authorized_date=day(3), created_date=day(9))
    make("created on the 4th", status="pending", created_date=day(4))
    make("posted on the 5th", status="deleted", posted_date=day(5), created_date=day(1))
    expected = ["posted on the 5th", "created on the 4th", "authorised on the 3rd", "posted on the 2nd"]
    assert summaries(client, status="all") == expected
    assert len(flatten(get_all_pages(client, status="all", limit=1))) == 4


def test_limit_can_change_between_pages(client, transactions):
    first = get(client, limit=5).json()
    second = get(client, limit=7, cursor=first["pageInfo"]["nextCursor"]).json()
    assert [row["id"] for row in first["transactions"] + second["transactions"]] == ids(transactions)
    assert second["pageInfo"] == {"nextCursor": None, "hasMore": False}


def test_page_can_be_requested_again(client, transactions):
    cursor = get(client, limit=5).json()["pageInfo"]["nextCursor"]
    first, second = (get(client, limit=5, cursor=cursor).json()["transactions"] for _ in range(2))
    assert len(first) == 5
    assert first == second  # the next cursors differ: they say when they were signed


def test_filters_apply_to_every_page(client, accounts, transactions):
    pages = get_all_pages(client, limit=2, bankAccountId=accounts.checking.pk, startDate=day(2))
    wanted = [
        transaction
        for transaction in transactions
        if transaction.account_id == accounts.checking.pk and transaction.posted_date >= day(2)
    ]
    assert flatten(pages) == ids(wanted)


def test_concurrent_changes_do_not_shift_pages(client, accounts, transactions):
    expected = ids(transactions[:5] + transactions[6:])

    def change(page):
        if page == 1:
            # Newer than the current page.
            TransactionFactory(account=accounts.checking, posted_date=day(28))
            transactions[0].delete()
            transactions[2].delete()  # the row in the cursor
            transactions[5].delete()

    pages = get_all_pages(client, change, limit=3)
    assert flatten(pages) == expected


@pytest.mark.rule("S3")
def test_scope_applies_to_every_page(alice, accounts, transactions):
    key, secret = make_key(alice, "Both", [accounts.checking, accounts.savings])
    pages = get_all_pages(ApiClient(secret), lambda page: key.restrict_to([accounts.checking]), limit=4)
    rest = [transaction for transaction in transactions[4:] if transaction.account_id == accounts.checking.pk]
    assert flatten(pages) == ids(transactions[:4] + rest)


@pytest.mark.rule("S3")
def test_removed_account_is_404_on_next_page(alice, accounts, transactions):
    key, secret = make_key(alice, "Both", [accounts.checking, accounts.savings])
    client, query = ApiClient(secret), {"bankAccountId": accounts.savings.pk, "limit": 2}
    cursor = get(client, **query).json()["pageInfo"]["nextCursor"]
    key.restrict_to([accounts.checking])
    assert_error(get(client, **query, cursor=cursor), 404, "NOT_FOUND")


@pytest.mark.rule("K4")
def test_rotation_between_pages_keeps_cursor(alice, accounts, transactions):
    key, secret = make_key(alice)
    cursor = get(ApiClient(secret), limit=5).json()["pageInfo"]["nextCursor"]
    new = key.rotate()
    assert get(ApiClient(secret), limit=7, cursor=cursor).status_code == 401
    assert [row["id"] for row in rows(ApiClient(new), limit=7, cursor=cursor)] == ids(transactions[5:])


# Cursors


@pytest.fixture
def cursor(client, transactions):
    return get(client, limit=5).json()["pageInfo"]["nextCursor"]


def test_tampered_cursor_is_a_400(client, cursor):
    for place in range(0, len(cursor), 5):
        other = "A" if cursor[place] != "A" else "B"
        broken = cursor[:place] + other + cursor[place + 1 :]
        assert_error(get(client, cursor=broken), 400, "BAD_REQUEST", "cursor: ")
    for broken in (cursor[:-1], cursor + "A", cursor + cursor, cursor.upper(), "." + cursor, ":" + cursor, "é", "::"):
        assert_error(get(client, cursor=broken), 400, "BAD_REQUEST", "cursor: ")


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "all"},
        {"startDate": "2026-01-01"},
        {"endDate": "2026-12-31"},
        {"bankConnectionId": "00000000-0000-0000-0000-000000000000"},
        {"bankAccountId": "checking"},
    ],
)
def test_cursor_of_other_filters_is_a_400(client, accounts, cursor, filters):
    if "bankAccountId" in filters:
        filters = {"bankAccountId": accounts.checking.pk}
    Account.objects.update(bank_connection_id="00000000-0000-0000-0000-000000000000")
    assert_error(get(client, cursor=cursor, **filters), 400, "BAD_REQUEST", "cursor: ")
    other = get(client, limit=1, **filters).json()["pageInfo"]["nextCursor"]
    assert get(client, cursor=other, **filters).status_code == 200
    assert_error(get(client, cursor=other), 400, "BAD_REQUEST", "cursor: ")


def test_cursor_accepts_explicit_defaults(client, cursor):
    assert len(rows(client, cursor=cursor, status="posted")) == 7


@pytest.mark.rule("S3")
def test_cursor_of_other_owner_leaks_nothing(client, cursor, bob, bobs_account, transactions):
    older = TransactionFactory(account=bobs_account, posted_date=day(-10))
    newer = TransactionFactory(account=bobs_account, posted_date=day(28))
    _, secret = make_key(bob)
    assert [row["id"] for row in rows(ApiClient(secret), cursor=cursor)] == ids([older])
    assert flatten(get_all_pages(ApiClient(secret))) == ids([newer, older])


def test_cursor_contains_only_position(client, cursor, transactions, alice, accounts):
    salt = pagination._salt({"status": "posted"})
    assert signing.loads(cursor, salt=salt) == [transactions[4].posted_date.isoformat(), transactions[4].pk.hex]


@pytest.mark.parametrize("payload", [None, 1, [], ["x"], ["x", "y"], [1, 2], {"a": 1, "b": 2}, ["2026-01-01", 5], "ab"])
def test_signed_cursor_of_other_shape_is_a_400(client, payload):
    signed = signing.dumps(payload, salt=pagination._salt({"status": "posted"}))
    assert_error(get(client, cursor=signed), 400, "BAD_REQUEST", "cursor: ")


def test_full_last_page_has_no_cursor(client, transactions):
    assert [len(page) for page in get_all_pages(client, limit=4)] == [4, 4, 4]
