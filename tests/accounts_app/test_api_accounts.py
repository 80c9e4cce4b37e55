"""GET /v2/accounts and /v2/accounts/{accountId}: fields and filters."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import uuid4

import pytest

from accounts_app.models import Account
from tests.accounts_app.api_assertions import account_url, assert_error
from tests.factories import AccountFactory

FIELDS = [
    "id",
    "providerAccountId",
    "bankConnectionId",
    "provider",
    "institutionName",
    "name",
    "mask",
    "type",
    "subtype",
    "currency",
    "currentBalance",
    "availableBalance",
    "balanceAsOf",
    "closedAt",
    "status",
    "liability",
]
NOON = dt.datetime(2026, 1, 15, 12, 0, 0, 250_000, tzinfo=dt.UTC)


def names(client, query=""):
    response = client.get(f"/v2/accounts{query}")
    assert response.status_code == 200
    return sorted(account["name"] for account in response.json()["accounts"])


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


@pytest.fixture
def closed(alice):
    return AccountFactory(owner=alice, name="Closed", status="closed", closed_at=NOON)


@pytest.fixture
def disconnected(alice):
    return AccountFactory(owner=alice, name="Disconnected", status="disconnected")


def test_account_fields(client, alice):
    connection = uuid4()
    account = AccountFactory(
        owner=alice,
        provider_account_id="plaid-7",
        bank_connection_id=connection,
        name="Visa",
        mask="0042",
        type="credit",
        subtype="credit card",
        current_balance=Decimal("-1234.5"),
        available_balance=Decimal("0.1"),
        balance_as_of=NOON,
        status="closed",
        closed_at=NOON.replace(microsecond=0),
        liability={"type": "credit", "aprs": [{"percentage": 19.99}]},
    )
    response = client.get(account_url(account.pk)).json()
    assert list(response) == ["account"]
    assert list(response["account"]) == FIELDS
    assert response["account"] == {
        "id": str(account.pk),
        "providerAccountId": "plaid-7",
        "bankConnectionId": str(connection),
        "provider": "plaid",
        "institutionName": "First Bank",
        "name": "Visa",
        "mask": "0042",
        "type": "credit",
        "subtype": "credit card",
        "currency": "USD",
        "currentBalance": -1234.5,
        "availableBalance": 0.1,
        "balanceAsOf": "2026-01-15T12:00:00.250000Z",
        "closedAt": "2026-01-15T12:00:00Z",
        "status": "closed",
        "liability": {"type": "credit", "aprs": [{"percentage": 19.99}]},
    }


def test_unknown_values_are_null(client, alice):
    account = AccountFactory(owner=alice, provider_account_id="", institution_name="", mask="", subtype="")
    response = client.get(account_url(account.pk)).json()["account"]
    assert list(response) == FIELDS
    unknown = {name for name, value in response.items() if value is None}
    assert unknown == {
        "providerAccountId",
        "bankConnectionId",
        "institutionName",
        "mask",
        "subtype",
        "availableBalance",
        "balanceAsOf",
        "closedAt",
        "liability",
    }


def test_list_and_detail_return_same_account(client, accounts):
    listed = {account["id"]: account for account in client.get("/v2/accounts").json()["accounts"]}
    assert len(listed) == 3
    for pk, account in listed.items():
        assert client.get(account_url(pk)).json() == {"account": account}


@pytest.mark.parametrize(
    "amount", ["99999999999.9999", "9999999999999.99", "-999999999999999", "0.0001", "-0.0001", "0", "123456789.01"]
)
def test_amounts_are_exact_json_numbers(client, accounts, amount):
    Account.objects.filter(pk=accounts.cash.pk).update(current_balance=Decimal(amount))
    response = client.get(account_url(accounts.cash.pk))
    assert isinstance(response.json()["account"]["currentBalance"], float)
    assert Decimal(str(response.json()["account"]["currentBalance"])) == Decimal(amount)


def test_uppercase_id(client, accounts):
    response = client.get(account_url(str(accounts.cash.pk).upper()))
    assert response.json()["account"]["id"] == str(accounts.cash.pk)


def test_head_has_no_body(client, accounts):
    for url in ("/v2/accounts", account_url(accounts.cash.pk)):
        head, get = client.head(url), client.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head["Content-Length"] == get["Content-Length"]


# Filters


def test_list_defaults_to_active_accounts(client, closed, disconnected):
    assert names(client) == names(client, "?status=active") == ["Cash", "Checking", "Savings"]


def test_status_filter(client, closed, disconnected):
    assert names(client, "?status=closed") == ["Closed"]
    assert names(client, "?status=disconnected") == ["Disconnected"]
    assert names(client, "?status=all") == ["Cash", "Checking", "Closed", "Disconnected", "Savings"]


def test_type_filter(client, alice):
    AccountFactory(owner=alice, name="Visa", type="credit")
    assert names(client, "?type=credit") == ["Visa"]
    assert names(client, "?type=nothing-of-this-kind") == []


def test_connection_filter(client, accounts, alice):
    connection = uuid4()
    AccountFactory(owner=alice, name="Connected", bank_connection_id=connection)
    assert names(client, f"?bankConnectionId={connection}") == ["Connected"]


def test_unknown_connection_returns_empty_list(client, accounts):
    assert names(client, f"?bankConnectionId={uuid4()}") == []


def test_filters_combine(client, alice):
    connection = uuid4()
    for kind in ("credit", "loan"):
        for status, closed_at in (("active", None), ("closed", NOON)):
            AccountFactory(
                owner=alice,
                name=f"{kind} {status}",
                type=kind,
                status=status,
                closed_at=closed_at,
                bank_connection_id=connection,
            )
    assert names(client, f"?bankConnectionId={connection}&status=closed&type=loan") == ["loan closed"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=open", "status"),
        ("status=ACTIVE", "status"),
        ("status=", "status"),
        ("type=", "type"),
        ("type=%00", "type"),
        ("bankConnectionId=x", "bankConnectionId"),
        ("bankConnectionId=", "bankConnectionId"),
        ("bankConnectionId=1", "bankConnectionId"),
    ],
)
def test_invalid_parameter_is_named(client, query, field):
    assert_error(client.get(f"/v2/accounts?{query}"), 400, "BAD_REQUEST", f"{field}: ")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Status=all", "Status: Unknown parameter. Perhaps you mean status."),
        ("bankConnectionID=x", "bankConnectionID: Unknown parameter. Perhaps you mean bankConnectionId."),
        ("utm_source=x", "utm_source: Unknown parameter. The parameters are status, type, bankConnectionId."),
        ("status=all&status=closed", "status: Give this parameter only once."),
        ("x" * 300 + "=1", "x" * 50 + ": Unknown parameter."),
    ],
)
def test_unknown_and_repeated_parameters_are_rejected(client, query, message):
    assert_error(client.get(f"/v2/accounts?{query}"), 400, "BAD_REQUEST", message)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_list_rejects_other_methods(client, method):
    response = getattr(client, method)("/v2/accounts")
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("method", ["put", "post", "options"])
def test_detail_rejects_other_methods(client, accounts, method):
    response = getattr(client, method)(account_url(accounts.cash.pk))
    assert_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD, PATCH, DELETE"
