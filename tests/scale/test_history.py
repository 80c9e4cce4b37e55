"""Lookups, and the page of a key, cost the same however many events and retired secrets there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from benchmarks.make_data import Size, make
from finta_keys import secret
from finta_keys.models import ApiKey, KeyEvent, RetiredSecret
from finta_keys.testing import make_key
from tests.finta_keys.pages import url
from tests.scale import plans
from tests.scale.conftest import analyze

MORE = Size(owners=2000, keys_per_owner=5, accounts_per_owner=1, accounts_per_key=1)


@pytest.mark.slow
def test_cost_does_not_grow_with_the_history(crowd, db, owner):
    key, retired = make_key(owner.user, "Rotated", owner.accounts[:1])
    key.rotate()
    browser = Client()
    browser.force_login(owner.user)
    work = {
        "retired": lambda: ApiKey.objects.match(retired),
        "unknown": lambda: ApiKey.objects.match(secret.generate()),
        "page": lambda: browser.get(url("key", key)),
        "list": lambda: browser.get(url("list")),
    }
    before = {name: plans.cost(run) for name, run in work.items()}
    make(connection, MORE, start=3_000_000)
    analyze()
    assert KeyEvent.objects.count() > 10_000
    assert RetiredSecret.objects.count() > 10_000
    after = {name: plans.cost(run) for name, run in work.items()}
    print(before, after)
    assert all(after[name] <= before[name] * 1.2 + 20 for name in work)
