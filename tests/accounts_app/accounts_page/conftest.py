import pytest
from django.test import Client


@pytest.fixture
def bobs_browser(bob):
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def cash(accounts):
    return accounts.cash
