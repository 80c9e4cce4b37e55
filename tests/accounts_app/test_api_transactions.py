"""GET /v2/transactions: what a transaction looks like, the filters, and the pages."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.core import signing
from django.test import Client

from accounts_app.api import pagination
from accounts_app.models import Account, Transaction
from finta_keys.testing import make_key
from tests.accounts_app.api_assertions import assert_error
from tests.conftest import ApiClient
from tests.factories import AccountFactory, TransactionFactory

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


def walk(client, between=lambda page: None, **query):
    """Return the ids on each page, following the cursors; ``between`` is called after each page but the last."""
    pages, cursor = [], {}
    while True:
        answer = get(client, **query, **cursor).json()
        pages.append([row["id"] for row in answer["transactions"]])
        info = answer["pageInfo"]
        assert list(info) == ["nextCursor", "hasMore"]
        assert info["hasMore"] is (info["nextCursor"] is not None)
        if not info["hasMore"]:
            return pages
        cursor = {"cursor": info["nextCursor"]}
        between(len(pages))


def flat(pages):
    return [pk for page in pages for pk in page]


def ids(transactions):
    return [str(each.pk) for each in transactions]


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


@pytest.fixture
def twelve(accounts):
    """Twelve transactions on two accounts, three a day, in the order of the contract."""
    for number in range(12):
        account = accounts.checking if number % 2 else accounts.savings
        TransactionFactory(account=account, posted_date=day(1 + number // 3))
    return sorted(Transaction.objects.all(), key=lambda each: (each.posted_date, each.pk), reverse=True)


# What a transaction looks like


def test_a_transaction_has_exactly_the_fields_of_the_contract(client, accounts):
    connection, category = uuid4(), uuid4()
    Account.objects.filter(pk=accounts.checking.pk).update(bank_connection_id=connection)
    transaction = TransactionFactory(
        account=accounts.checking,
        provider_id="tx-1",
        summary="Coffee",
        amount=Decimal("-4.5"),
        authorized_date=day(1),
        posted_date=day(2),
        merchant_name="Café",
        category_id=category,
        fees=Decimal("0.3"),
        fee_type="foreign",
        net_amount=Decimal("-4.8"),
        sub_account="Main",
        payment_channel="in store",
        check_number="0007",
        original_description="COFFEE 123",
        source="sync",
    )
    [row] = rows(client)
    assert list(row) == FIELDS
    assert row == {
        "id": str(transaction.pk),
        "bankConnectionId": str(connection),
        "bankAccountId": str(accounts.checking.pk),
        "provider": "plaid",
        "providerId": "tx-1",
        "summary": "Coffee",
        "status": "posted",
        "amount": -4.5,
        "currency": "USD",
        "authorizedDate": "2026-01-01",
        "postedDate": "2026-01-02",
        "merchantName": "Café",
        "categoryId": str(category),
        "fees": 0.3,
        "feeType": "foreign",
        "netAmount": -4.8,
        "subAccount": "Main",
        "paymentChannel": "in store",
        "checkNumber": "0007",
        "originalDescription": "COFFEE 123",
        "source": "sync",
    }


def test_what_is_unknown_is_null_and_there(client, accounts):
    TransactionFactory(account=accounts.checking, status="pending", posted_date=None)
    [row] = rows(client, status="pending")
    assert list(row) == FIELDS
    known = {"id", "bankAccountId", "provider", "providerId", "summary", "status", "amount", "currency"}
    assert {name for name, value in row.items() if value is not None} == known


@pytest.mark.parametrize("amount", ["99999999999.9999", "-99999999999.9999", "0.0001", "0"])
def test_sums_are_json_numbers_and_exact_to_15_digits(client, accounts, amount):
    sums = dict.fromkeys(("amount", "fees", "net_amount"), Decimal(amount))
    TransactionFactory(account=accounts.checking, **sums)
    [row] = rows(client)
    for name in ("amount", "fees", "netAmount"):
        assert isinstance(row[name], float)
        assert Decimal(str(row[name])) == Decimal(amount)


def test_no_transactions_are_an_empty_page(client):
    assert get(client).json() == {"transactions": [], "pageInfo": {"nextCursor": None, "hasMore": False}}


# Filters


@pytest.fixture
def each_status(accounts):
    for number, status in enumerate(("posted", "pending", "deleted")):
        posted = None if status == "pending" else day(10 - number)
        TransactionFactory(account=accounts.checking, status=status, posted_date=posted, summary=status)


def test_posted_ones_are_listed_by_default(client, each_status):
    assert summaries(client) == summaries(client, status="posted") == ["posted"]


def test_the_status_filter(client, each_status):
    assert summaries(client, status="pending") == ["pending"]
    assert summaries(client, status="deleted") == ["deleted"]
    assert sorted(summaries(client, status="all")) == ["deleted", "pending", "posted"]


def test_the_account_filter(client, accounts, twelve):
    for account in (accounts.checking, accounts.savings):
        shown = rows(client, bankAccountId=account.pk)
        assert [row["id"] for row in shown] == ids(each for each in twelve if each.account_id == account.pk)
    assert rows(client, bankAccountId=accounts.cash.pk) == []


def test_the_account_filter_takes_closed_accounts_too(client, alice):
    account = AccountFactory(owner=alice, status="closed", closed_at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    TransactionFactory(account=account)
    assert len(rows(client, bankAccountId=account.pk)) == len(rows(client)) == 1


def test_the_connection_filter(client, accounts, twelve):
    connection = uuid4()
    Account.objects.filter(pk=accounts.savings.pk).update(bank_connection_id=connection)
    assert {row["bankAccountId"] for row in rows(client, bankConnectionId=connection)} == {str(accounts.savings.pk)}
    assert rows(client, bankConnectionId=uuid4()) == []
    assert rows(client, bankConnectionId=connection, bankAccountId=accounts.checking.pk) == []


def test_dates_are_inclusive_and_on_the_posted_date(client, accounts):
    for number in range(1, 6):
        # Authorised long before: what counts is the posted date.
        TransactionFactory(
            account=accounts.checking, summary=str(number), posted_date=day(number), authorized_date=day(-30)
        )
    assert summaries(client, startDate=day(2), endDate=day(4)) == ["4", "3", "2"]
    assert summaries(client, startDate=day(4)) == ["5", "4"]
    assert summaries(client, endDate=day(2)) == ["2", "1"]
    assert summaries(client, startDate=day(3), endDate=day(3)) == ["3"]
    assert summaries(client, startDate="0001-01-01", endDate="9999-12-31") == ["5", "4", "3", "2", "1"]


def test_what_has_no_posted_date_is_in_no_period(client, each_status):
    assert summaries(client, status="all", startDate="0001-01-01") == ["posted", "deleted"]
    assert summaries(client, status="pending", endDate="9999-12-31") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *[
            (f"limit={value}", "limit")
            for value in ("0", "251", "x", "-1", "1.5", "1.0", "1_0", "%D9%A1", "1e1", "%2B5")
        ],
        *[(f"limit={value}", "limit") for value in ("", "%201", "%D9%A1", "1e1", "%2B5", "9" * 5000)],
        *[(f"status={value}", "status") for value in ("", "POSTED", "any", "%00")],
        *[(f"{name}=", name) for name in ("startDate", "endDate", "cursor", "bankConnectionId")],
        *[(f"startDate={value}", "startDate") for value in ("x", "2026-1-5", "2026-02-30", "0000-01-01", "20260105")],
        *[(f"endDate={value}", "endDate") for value in ("2026-W01-1", "10000-01-01", "2026-01-01T00:00:00Z", "-1")],
        ("startDate=%D9%A2%D9%A0%D9%A2%D9%A6-01-01", "startDate"),
        ("startDate=2026-01-02&endDate=2026-01-01", "endDate"),
        ("bankConnectionId=x", "bankConnectionId"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(client, query, field):
    assert_error(client.get(f"/v2/transactions?{query}"), 400, "BAD_REQUEST", f"{field}: ")


@pytest.mark.parametrize("debug", [True, False])
def test_too_many_parameters_are_a_400_after_a_401(client, settings, debug):
    settings.DEBUG = debug
    address = "/v2/transactions?" + "a=1&" * (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)
    assert_error(client.get(address), 400, "BAD_REQUEST")
    assert Client().get(address).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_not_allowed(client, method):
    response = getattr(client, method)("/v2/transactions")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD"


# Pages


def test_a_page_has_50_rows_by_default_and_250_at_most(client, accounts):
    rows_ = [TransactionFactory.build(account=accounts.checking) for _ in range(251)]
    Transaction.objects.bulk_create(rows_)
    assert [len(page) for page in walk(client)] == [50] * 5 + [1]
    assert [len(page) for page in walk(client, limit=250)] == [250, 1]
    assert len(get(client, limit=1).json()["transactions"]) == 1


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 12, 13])
def test_pages_are_newest_first_then_by_id_with_ties_across_pages(client, twelve, limit):
    pages = walk(client, limit=limit)
    assert flat(pages) == ids(twelve)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_pages_are_in_the_order_of_the_posted_else_authorised_else_created_date(client, accounts):
    def make(summary, **dates):
        TransactionFactory(account=accounts.checking, summary=summary, **{"posted_date": None, **dates})

    make("posted on the 2nd", status="posted", posted_date=day(2), authorized_date=day(9), created_date=day(9))
    make("authorised on the 3rd", status="pending", authorized_date=day(3), created_date=day(9))
    make("created on the 4th", status="pending", created_date=day(4))
    make("posted on the 5th", status="deleted", posted_date=day(5), created_date=day(1))
    expected = ["posted on the 5th", "created on the 4th", "authorised on the 3rd", "posted on the 2nd"]
    assert summaries(client, status="all") == expected
    assert len(flat(walk(client, status="all", limit=1))) == 4


def test_the_limit_may_change_between_pages(client, twelve):
    first = get(client, limit=5).json()
    second = get(client, limit=7, cursor=first["pageInfo"]["nextCursor"]).json()
    assert [row["id"] for row in first["transactions"] + second["transactions"]] == ids(twelve)
    assert second["pageInfo"] == {"nextCursor": None, "hasMore": False}


def test_a_page_can_be_asked_for_again(client, twelve):
    cursor = get(client, limit=5).json()["pageInfo"]["nextCursor"]
    assert get(client, limit=5, cursor=cursor).content == get(client, limit=5, cursor=cursor).content


def test_filters_hold_on_every_page(client, accounts, twelve):
    pages = walk(client, limit=2, bankAccountId=accounts.checking.pk, startDate=day(2))
    wanted = [each for each in twelve if each.account_id == accounts.checking.pk and each.posted_date >= day(2)]
    assert flat(pages) == ids(wanted)


def test_rows_that_come_and_go_between_pages_double_and_hide_no_other(client, accounts, twelve):
    expected = ids(twelve[:5] + twelve[6:])

    def change(page):
        if page == 1:
            TransactionFactory(account=accounts.checking, posted_date=day(28))  # newer than where the walk is
            twelve[0].delete()
            twelve[2].delete()  # the row that the cursor points at
            twelve[5].delete()

    pages = walk(client, change, limit=3)
    assert flat(pages) == expected


def test_S3_the_scope_is_applied_anew_on_every_page(alice, accounts, twelve):
    key, secret = make_key(alice, "Both", [accounts.checking, accounts.savings])
    pages = walk(ApiClient(secret), lambda page: key.restrict_to([accounts.checking]), limit=4)
    rest = [each for each in twelve[4:] if each.account_id == accounts.checking.pk]
    assert flat(pages) == ids(twelve[:4] + rest)


def test_S3_an_account_taken_out_of_an_account_filter_is_a_404_on_the_next_page(alice, accounts, twelve):
    key, secret = make_key(alice, "Both", [accounts.checking, accounts.savings])
    client, query = ApiClient(secret), {"bankAccountId": accounts.savings.pk, "limit": 2}
    cursor = get(client, **query).json()["pageInfo"]["nextCursor"]
    key.restrict_to([accounts.checking])
    assert_error(get(client, **query, cursor=cursor), 404, "NOT_FOUND")


def test_K4_a_rotation_between_two_pages_ends_the_old_secret_and_not_the_walk(alice, accounts, twelve):
    key, secret = make_key(alice)
    cursor = get(ApiClient(secret), limit=5).json()["pageInfo"]["nextCursor"]
    new = key.rotate()
    assert get(ApiClient(secret), limit=7, cursor=cursor).status_code == 401
    assert [row["id"] for row in rows(ApiClient(new), limit=7, cursor=cursor)] == ids(twelve[5:])


# Cursors


@pytest.fixture
def cursor(client, twelve):
    return get(client, limit=5).json()["pageInfo"]["nextCursor"]


def test_a_cursor_that_was_tampered_with_is_a_400(client, cursor):
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
def test_a_cursor_of_other_filters_is_a_400_both_ways(client, accounts, cursor, filters):
    if "bankAccountId" in filters:
        filters = {"bankAccountId": accounts.checking.pk}
    Account.objects.update(bank_connection_id="00000000-0000-0000-0000-000000000000")
    assert_error(get(client, cursor=cursor, **filters), 400, "BAD_REQUEST", "cursor: ")
    other = get(client, limit=1, **filters).json()["pageInfo"]["nextCursor"]
    assert get(client, cursor=other, **filters).status_code == 200
    assert_error(get(client, cursor=other), 400, "BAD_REQUEST", "cursor: ")


def test_a_cursor_says_the_defaults_and_their_explicit_values_are_the_same(client, cursor):
    assert len(rows(client, cursor=cursor, status="posted")) == 7


def test_S3_somebody_elses_cursor_is_a_position_and_leaks_nothing(client, cursor, bob, bobs_account, twelve):
    older = TransactionFactory(account=bobs_account, posted_date=day(-10))
    newer = TransactionFactory(account=bobs_account, posted_date=day(28))
    _, secret = make_key(bob)
    assert [row["id"] for row in rows(ApiClient(secret), cursor=cursor)] == ids([older])
    assert flat(walk(ApiClient(secret))) == ids([newer, older])


def test_a_cursor_holds_the_last_row_of_its_page_and_nothing_else(client, cursor, twelve, alice, accounts):
    salt = pagination._salt({"status": "posted"})
    assert signing.loads(cursor, salt=salt) == [twelve[4].posted_date.isoformat(), twelve[4].pk.hex]


@pytest.mark.parametrize("payload", [None, 1, [], ["x"], ["x", "y"], [1, 2], {"a": 1, "b": 2}, ["2026-01-01", 5], "ab"])
def test_a_signed_cursor_of_another_shape_is_a_400(client, payload):
    signed = signing.dumps(payload, salt=pagination._salt({"status": "posted"}))
    assert_error(get(client, cursor=signed), 400, "BAD_REQUEST", "cursor: ")


def test_the_last_page_may_be_exactly_full(client, twelve):
    assert [len(page) for page in walk(client, limit=4)] == [4, 4, 4]
