"""The JSON of responses equals that of Django REST framework's own serializers and renderer."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest
from django.utils.functional import lazystr
from rest_framework.renderers import JSONRenderer

from accounts_app.api.base import FastJsonRenderer
from accounts_app.api.pagination import WITH_CONNECTION
from accounts_app.api.serializers import AccountSerializer, TransactionSerializer
from accounts_app.models import Account
from tests.factories import AccountFactory, TransactionFactory

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)


def assert_same_output(serializer, row):
    expected = JSONRenderer().render(serializer(row).data)
    assert FastJsonRenderer().render(serializer.to_json(row)) == expected
    assert list(serializer.to_json(row)) == list(serializer().fields)


@pytest.fixture
def filled(alice):
    """An account and its transaction with a value in every column."""
    account = AccountFactory(
        owner=alice,
        provider_account_id="1",
        bank_connection_id=uuid.uuid4(),
        institution_name="Café \u2028",
        mask="0001",
        subtype="x",
        available_balance=Decimal("-0.0001"),
        balance_as_of=NOW,
        status=Account.Status.CLOSED,
        closed_at=NOW.replace(microsecond=0),
        liability={"type": "credit", "limit": 2**70, "nested": [1.5, None, {"ü": False}]},
    )
    texts = ("merchant_name", "fee_type", "sub_account", "payment_channel", "check_number", "original_description")
    transaction = TransactionFactory(
        account=account,
        authorized_date=NOW.date(),
        posted_date=NOW.date(),
        category_id=uuid.uuid4(),
        fees=Decimal("99999999999.9999"),
        net_amount=0,
        source="sync",
        **dict.fromkeys(texts, 'A "text" \\ \0 \u2029 é 😀'.replace("\0", "")),
    )
    return account, transaction


def test_output_of_full_rows_equals_that_of_drf(filled):
    account, transaction = filled
    assert_same_output(AccountSerializer, account)  # as created, with a member of the enumeration as status
    assert_same_output(AccountSerializer, Account.objects.get(pk=account.pk))
    assert_same_output(TransactionSerializer, WITH_CONNECTION.get(pk=transaction.pk))


def test_output_of_empty_rows_equals_that_of_drf(alice):
    account = AccountFactory(owner=alice, institution_name="", mask="", subtype="")
    transaction = TransactionFactory(account=account, status="pending", posted_date=None)
    assert_same_output(AccountSerializer, Account.objects.get(pk=account.pk))
    assert_same_output(TransactionSerializer, WITH_CONNECTION.get(pk=transaction.pk))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        "",
        "\u2028\u2029\x7f\x00/é😀</script>",
        {"1": True, "b": None},
        {1: "number as a name"},
        [0, -1, 2**53, 2**63, 2**64, -(2**70)],
        [0.0, -0.0, 0.1, 1.5, 123456789012345.0, 0.0001],
        [Decimal("1.50"), NOW, NOW.date(), NOW.time(), uuid.UUID(int=1), lazystr("lazy"), b"bytes", (1, 2)],
        {"set": frozenset([1])},
    ],
)
def test_renderer_equals_that_of_drf(data):
    assert FastJsonRenderer().render(data) == JSONRenderer().render(data)


def test_very_large_numbers_stay_equal():
    numbers = [1e16, 1e22, -1.7976931348623157e308, 5e-324]
    assert json.loads(FastJsonRenderer().render(numbers)) == numbers
