from __future__ import annotations

import pytest
import time_machine

from accounts_app.models import User
from finta_keys import secret as secrets
from finta_keys.testing import make_key
from tests.accounts_app.api_errors.helpers import NOON


@pytest.fixture
def client(unrestricted):
    return unrestricted.client


@pytest.fixture
def bad_secrets(alice, bob, accounts):
    """Invalid secrets by reason."""
    rotated, old = make_key(alice, "Rotated")
    rotated.rotate()
    deleted, gone = make_key(alice, "Deleted")
    deleted.delete()
    _, inactive = make_key(bob, "Inactive")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    unknown = secrets.generate()
    return {
        "unknown": unknown,
        "rotated": old,
        "deleted": gone,
        "of an inactive owner": inactive,
        "mistyped": unknown[:-1] + ("A" if unknown[-1] != "A" else "B"),
        "malformed": "finta_x",
        "prefix only": "finta_",
        "another product's": "sk_live_" + "x" * 40,
    }


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock
