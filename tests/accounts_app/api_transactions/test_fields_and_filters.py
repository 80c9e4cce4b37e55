"""GET /v2/transactions: fields and filters."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client

from accounts_app.models import Account
from tests.accounts_app.api_assertions import assert_error
from tests.accounts_app.api_transactions.helpers import (
    FIELDS,
    day,
    get,
    ids,
    rows,
    summaries,
)
from tests.factories import AccountFactory, TransactionFactory

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
