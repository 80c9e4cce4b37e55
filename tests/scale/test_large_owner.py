"""Pages load and send a limited number of rows, however many keys and accounts an owner has."""

import pytest
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from accounts_app.models import Account
from finta_keys.models import ApiKey, KeyAccountScope
from tests.factories import AccountFactory

COUNT = 250  # keys and accounts: several pages of each
# A page shows at most 100 accounts, with 5 keys each. The use of keys costs Edit scope two queries and the admin six.
MAX_ROWS, MAX_QUERIES, MAX_BYTES = 610, 15, 110_000
ACTIONS = ("rename", "edit-scope", "rotate", "delete")


@pytest.fixture
def keys(alice):
    """Two of COUNT keys with all accounts in their scope, and one that shares all accounts."""
    accounts = Account.objects.bulk_create(AccountFactory.build_batch(COUNT, owner=alice))
    keys = ApiKey.objects.bulk_create(
        ApiKey(
            owner=alice,
            name=f"Key {number}",
            name_key=f"key {number}",
            digest=number.to_bytes(32),
            share_all_accounts=number % 4 == 2,
        )
        for number in range(COUNT)
    )
    KeyAccountScope.objects.bulk_create(
        KeyAccountScope(key=key, account=account)
        for key in keys
        if not key.share_all_accounts
        for account in (accounts if key in keys[:2] else accounts[:3])
    )
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return keys[:3]


@pytest.fixture
def loaded():
    """The keys and accounts that were loaded."""
    rows = []

    def add(instance, **kwargs):
        rows.append(instance)

    for model in (Account, ApiKey):
        post_init.connect(add, sender=model)
    yield rows
    for model in (Account, ApiKey):
        post_init.disconnect(add, sender=model)


@pytest.mark.slow
def test_pages_are_limited_for_large_owners(alice, keys, alices_browser, loaded):
    pages = ["/settings/api", "/settings/api?page=5", "/settings/api/keys/new", "/accounts", "/accounts?page=3"]
    pages += ["/settings/data", "/settings/data/switch-off"]
    pages += [f"/settings/api/keys/{key.pk}/{action}" for key in keys for action in ACTIONS]
    admin = "/admin/finta_keys/apikey/"
    pages += [admin, f"{admin}?q=key", f"{admin}add/{alice.pk}/"]
    pages += [f"{admin}{key.pk}/{action}/" for key in keys for action in ("change", *ACTIONS)]
    for page in pages:
        loaded.clear()
        with CaptureQueriesContext(connection) as queries:
            response = alices_browser.get(page)
        costs = (len(loaded), len(queries), len(response.content))
        assert response.status_code == 200, page
        assert all(cost <= limit for cost, limit in zip(costs, (MAX_ROWS, MAX_QUERIES, MAX_BYTES), strict=True)), (
            f"{page}: {costs}"
        )
