"""The list of keys reads the accounts of an owner as often for many keys as for few."""

import pytest
from django.urls import reverse

from accounts_app.models import Account
from finta_keys.models import ApiKey
from tests.factories import AccountFactory
from tests.scale import plans

ACCOUNTS = 200


def add_keys(owner, numbers):
    ApiKey.objects.bulk_create(
        ApiKey(owner=owner, name=f"Key {number}", name_key=f"key {number}", digest=number.to_bytes(32))
        for number in numbers
    )


@pytest.mark.parametrize("query", ["", "?only=attention"])
def test_accounts_are_not_counted_for_each_key(alice, alices_browser, query):
    def cost():
        return plans.cost(lambda: alices_browser.get(reverse("finta_keys:list") + query))

    def cost_of_accounts():
        Account.objects.all().delete()
        without_accounts = cost()
        Account.objects.bulk_create(AccountFactory.build_batch(ACCOUNTS, owner=alice))
        return cost() - without_accounts

    add_keys(alice, range(20))
    few = cost_of_accounts()
    add_keys(alice, range(20, 60))
    assert cost_of_accounts() < 1.5 * few
