from __future__ import annotations

import pytest

from accounts_app.models import Transaction
from tests.accounts_app.api_transactions.helpers import (
    day,
)
from tests.factories import TransactionFactory


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
