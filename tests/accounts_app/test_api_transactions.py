"""GET /v2/transactions: fields, filters and pages."""

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


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


@pytest.fixture
def transactions(accounts):
    """Twelve transactions on two accounts, three a day, newest first."""
    for number in range(12):
        account = accounts.checking if number % 2 else accounts.savings
        TransactionFactory(account=account, posted_date=day(1 + number // 3))
    return sorted(Transaction.objects.all(), key=lambda row: (row.posted_date, row.pk), reverse=True)


# Fields


def test_transaction_fields(client, accounts):
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


def test_unknown_values_are_null(client, accounts):
    TransactionFactory(account=accounts.checking, status="pending", posted_date=None)
    [row] = rows(client, status="pending")
    assert list(row) == FIELDS
    known = {"id", "bankAccountId", "provider", "providerId", "summary", "status", "amount", "currency"}
    assert {name for name, value in row.items() if value is not None} == known


@pytest.mark.parametrize("amount", ["99999999999.9999", "-99999999999.9999", "0.0001", "0"])
def test_amounts_are_exact_json_numbers(client, accounts, amount):
    sums = dict.fromkeys(("amount", "fees", "net_amount"), Decimal(amount))
    TransactionFactory(account=accounts.checking, **sums)
    [row] = rows(client)
    for name in ("amount", "fees", "netAmount"):
        assert isinstance(row[name], float)
        assert Decimal(str(row[name])) == Decimal(amount)


def test_empty_page(client):
    assert get(client).json() == {"transactions": [], "pageInfo": {"nextCursor": None, "hasMore": False}}


# Filters


@pytest.fixture
def one_per_status(accounts):
    for number, status in enumerate(("posted", "pending", "deleted")):
        posted = None if status == "pending" else day(10 - number)
        TransactionFactory(account=accounts.checking, status=status, posted_date=posted, summary=status)


def test_list_defaults_to_posted(client, one_per_status):
    assert summaries(client) == summaries(client, status="posted") == ["posted"]


def test_status_filter(client, one_per_status):
    assert summaries(client, status="pending") == ["pending"]
    assert summaries(client, status="deleted") == ["deleted"]
    assert sorted(summaries(client, status="all")) == ["deleted", "pending", "posted"]


def test_account_filter(client, accounts, transactions):
    for account in (accounts.checking, accounts.savings):
        shown = rows(client, bankAccountId=account.pk)
        assert [row["id"] for row in shown] == ids(
            transaction for transaction in transactions if transaction.account_id == account.pk
        )
    assert rows(client, bankAccountId=accounts.cash.pk) == []


def test_account_filter_accepts_closed_accounts(client, alice):
    account = AccountFactory(owner=alice, status="closed", closed_at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    TransactionFactory(account=account)
    assert len(rows(client, bankAccountId=account.pk)) == len(rows(client)) == 1


def test_connection_filter(client, accounts, transactions):
    connection = uuid4()
    Account.objects.filter(pk=accounts.savings.pk).update(bank_connection_id=connection)
    assert {row["bankAccountId"] for row in rows(client, bankConnectionId=connection)} == {str(accounts.savings.pk)}
    assert rows(client, bankConnectionId=uuid4()) == []
    assert rows(client, bankConnectionId=connection, bankAccountId=accounts.checking.pk) == []


def test_category_filter(client, accounts):
    category = uuid4()
    TransactionFactory(account=accounts.checking, summary="food", category_id=category)
    TransactionFactory(account=accounts.checking, summary="other", category_id=uuid4())
    TransactionFactory(account=accounts.checking, summary="none")
    assert summaries(client, categoryId=category) == ["food"]
    assert summaries(client, categoryId=uuid4()) == []
    assert_error(get(client, categoryId="x"), 400, "BAD_REQUEST", "categoryId")


@pytest.mark.parametrize("name", ["bankAccountID", "startdate", "categoryID"])
def test_misspelled_parameter_is_rejected(client, name):
    assert_error(
        get(client, **{name: "2026-01-01"}), 400, "BAD_REQUEST", f"{name}: Unknown parameter. Perhaps you mean"
    )


def test_date_filters_are_inclusive(client, accounts):
    for number in range(1, 6):
        # Authorized earlier, but only the posted date counts.
        TransactionFactory(
            account=accounts.checking, summary=str(number), posted_date=day(number), authorized_date=day(-30)
        )
    assert summaries(client, startDate=day(2), endDate=day(4)) == ["4", "3", "2"]
    assert summaries(client, startDate=day(4)) == ["5", "4"]
    assert summaries(client, endDate=day(2)) == ["2", "1"]
    assert summaries(client, startDate=day(3), endDate=day(3)) == ["3"]
    assert summaries(client, startDate="0001-01-01", endDate="9999-12-31") == ["5", "4", "3", "2", "1"]


def test_date_filter_excludes_unposted(client, one_per_status):
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
def test_invalid_parameter_is_named(client, query, field):
    assert_error(client.get(f"/v2/transactions?{query}"), 400, "BAD_REQUEST", f"{field}: ")


@pytest.mark.parametrize("debug", [True, False])
def test_too_many_parameters_are_a_400(client, settings, debug):
    settings.DEBUG = debug
    address = "/v2/transactions?" + "a=1&" * (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)
    assert_error(client.get(address), 400, "BAD_REQUEST")
    assert Client().get(address).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_transactions_reject_other_methods(client, method):
    response = getattr(client, method)("/v2/transactions")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD"


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
    assert get(client, limit=5, cursor=cursor).content == get(client, limit=5, cursor=cursor).content


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
