"""Test data: a merchant with a shop per unusual primary key, a rival with one shop, and an order in each."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from host.variant import KEYS, ODD, key
from shops.models import Order, OrderLine, Shop, Town

from finta_keys.testing import key_client, make_key

pytest_plugins = ["finta_keys.pytest_plugin"]


def make_user(name: str, odd: str, **fields: Any) -> Any:
    return get_user_model().objects.create_user(username=name, password="only for tests", **key(odd), **fields)


def make_shop(merchant: Any, odd: str, name: str, number: int) -> Shop:
    town, _ = Town.objects.get_or_create(name="Köln")
    shop = Shop.objects.create(merchant=merchant, town=town, name=name, **key(odd))
    order = Order.objects.create(shop=shop, number=number, **key(f"order/{odd}"[:400]))
    OrderLine.objects.create(order=order, article=f"article of {name}")
    return shop


@pytest.fixture
def merchant(db: None) -> Any:
    return make_user("merchant", ODD[1])


@pytest.fixture
def rival(db: None) -> Any:
    return make_user("rival", ODD[6])


@pytest.fixture
def shops(merchant: Any) -> list[Shop]:
    odd = ODD if KEYS == "text" else ODD[:3]
    return [make_shop(merchant, pk, f"Shop {number:02}", number) for number, pk in enumerate(odd)]


@pytest.fixture
def foreign(rival: Any) -> Shop:
    return make_shop(rival, 'it\'s "another"/shop', "Foreign shop", 1000)


@pytest.fixture
def restricted(merchant: Any, shops: list[Shop], foreign: Shop) -> SimpleNamespace:
    """A key for the first shop, and a client that sends it."""
    key, secret = make_key(merchant, "Restricted", [shops[0]])
    return SimpleNamespace(key=key, secret=secret, client=key_client(secret))


def signed_in(user: Any) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def merchants_browser(merchant: Any) -> Client:
    return signed_in(merchant)


@pytest.fixture
def operator(db: None) -> Client:
    """A browser of a superuser."""
    return signed_in(make_user("operator", "op/er ator", is_staff=True, is_superuser=True))
