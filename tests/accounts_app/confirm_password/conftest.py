from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from finta_keys.testing import make_key
from tests.accounts_app.confirm_password.helpers import NOON
from tests.factories import PASSWORD


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def browser(clock, alice):
    """Alice's browser. She signs in at noon."""
    browser = Client()
    browser.post("/login", {"username": alice.email, "password": PASSWORD})
    return browser


@pytest.fixture
def key(alice):
    return make_key(alice)[0]


@pytest.fixture
def stale_browser(browser, clock):
    """Alice's browser 30 minutes after sign-in."""
    clock.shift(timedelta(minutes=30))
    return browser
