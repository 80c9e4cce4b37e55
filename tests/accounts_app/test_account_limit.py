"""The number of accounts that an owner can have."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts_app.models import Account
from tests.accounts_app.accounts_page.helpers import add, text
from tests.accounts_app.admin.helpers import edit, errors
from tests.accounts_app.admin.test_accounts_and_transactions import new_account
from tests.accounts_app.api_assertions import account_url, assert_error, manual_account
from tests.factories import AccountFactory
from tests.finta_keys.admin_pages import operator

pytestmark = pytest.mark.thorough

REASON = "The limit of 1,003 accounts is reached. Close manual accounts and delete them on the Accounts page."


@pytest.fixture
def last_place(settings, alice, accounts):
    """Alice has three accounts and room for one more."""
    settings.MAX_ACCOUNTS_PER_OWNER = 1_003
    Account.objects.bulk_create(AccountFactory.build_batch(999, owner=alice))


def test_api_rejects_too_many_accounts(last_place, restricted):
    first = restricted.client.send("POST", "/v2/accounts", manual_account())
    assert first.status_code == 201
    for client_error in range(2):
        response = restricted.client.send("POST", "/v2/accounts", manual_account(name=f"{client_error}"))
        assert_error(response, 400, "BAD_REQUEST", REASON)
    restricted.client.send("DELETE", account_url(first.json()["account"]["id"]))
    assert restricted.client.send("POST", "/v2/accounts", manual_account()).status_code == 400
    assert Account.objects.count() == 1_003


def test_page_rejects_too_many_accounts(last_place, alices_browser):
    assert add(alices_browser).status_code == 302
    response = add(alices_browser, name="As typed")
    assert response.status_code == 409
    assert REASON in text(response)
    assert 'value="As typed"' in text(response)
    assert Account.objects.count() == 1_003


def test_admin_rejects_too_many_accounts(last_place, alice, bob, bobs_account):
    superuser = operator()
    assert new_account(superuser, alice).status_code == 302
    assert REASON in str(errors(new_account(superuser, alice)))
    assert REASON in str(errors(edit(superuser, bobs_account, owner=alice.pk)))
    assert edit(superuser, Account.objects.filter(owner=alice).first(), name="Coins").status_code == 302
    assert alice.accounts.count() == 1_003


def test_deleting_makes_room(last_place, alices_browser):
    add(alices_browser)
    account = Account.objects.get(name="Cash", type="other")
    account.close()
    alices_browser.post(f"/accounts/{account.pk}/delete")
    assert add(alices_browser).status_code == 302


@pytest.mark.rule("T2")
def test_accounts_are_counted_after_the_owner_is_locked(alices_browser, restricted):
    for create in (
        lambda: add(alices_browser),
        lambda: restricted.client.send("POST", "/v2/accounts", manual_account()),
    ):
        with CaptureQueriesContext(connection) as queries:
            assert create().status_code in (201, 302)
        statements = [query["sql"] for query in queries]
        (count,) = [n for n, sql in enumerate(statements) if "COUNT(" in sql and '"accounts_app_account"' in sql]
        start = max(n for n, sql in enumerate(statements[:count]) if sql.startswith("SAVEPOINT"))
        assert any('FROM "accounts_app_user"' in sql for sql in statements[start:count])
