import pytest


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


@pytest.fixture
def cash(accounts):
    return accounts.cash
