"""Storage Mode (rules M1 to M4)."""

from unittest import mock

import pytest
from django.db import DatabaseError

from accounts_app import storage_mode
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.testing import make_key
from tests.factories import TransactionFactory, UserFactory


def is_on(user):
    return User.objects.get(pk=user.pk).storage_mode


@pytest.fixture
def transactions(accounts, bobs_account):
    for account in (accounts.checking, accounts.checking, accounts.cash, bobs_account):
        TransactionFactory(account=account)


def test_M1_it_is_off_at_first(db):
    assert not UserFactory().storage_mode
    assert not User.objects.create_user("new@example.com", "x").storage_mode
    assert not User.objects.create_superuser("root@example.com", "x").storage_mode


def test_M1_it_is_switched_on_for_one_owner(alice, bob):
    storage_mode.switch_on(alice)
    assert (alice.storage_mode, is_on(alice), is_on(bob)) == (True, True, False)
    storage_mode.switch_on(alice)
    assert is_on(alice)


def test_M1_switching_it_writes_no_other_column_of_the_owner(alice):
    stale = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(is_staff=True, email="new@example.com")
    storage_mode.switch_on(stale)
    storage_mode.switch_off(stale)
    assert User.objects.filter(pk=alice.pk, is_staff=True, email="new@example.com").exists()


def test_M2_creating_a_key_switches_it_on(alice, bob):
    key, _ = make_key(alice)
    assert (is_on(alice), is_on(bob)) == (True, False)
    assert key.owner.storage_mode


def test_M2_creating_a_key_after_it_was_switched_off_switches_it_on_again(alice, restricted):
    storage_mode.switch_off(alice)
    make_key(alice, "Another")
    assert is_on(alice)


@pytest.mark.parametrize("verb", ["rename", "share_all", "restrict", "rotate", "delete"])
def test_M2_nothing_else_that_happens_to_a_key_does(alice, restricted, accounts, verb):
    storage_mode.switch_off(alice)
    key = restricted.key
    {
        "rename": lambda: key.rename("Laptop"),
        "share_all": key.share_all,
        "restrict": lambda: key.restrict_to([accounts.cash]),
        "rotate": key.rotate,
        "delete": key.delete,
    }[verb]()
    assert not is_on(alice)


def test_M3_while_it_is_off_a_good_key_gets_403_and_stays_as_it_is(alice, restricted):
    storage_mode.switch_off(alice)
    before = list(ApiKey.objects.values("name", "digest", "share_all_accounts", "rotation"))
    response = restricted.client.get("/v2/accounts")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "STORAGE_MODE_REQUIRED")
    assert list(ApiKey.objects.values("name", "digest", "share_all_accounts", "rotation")) == before
    storage_mode.switch_on(alice)
    assert restricted.client.get("/v2/accounts").status_code == 200


def test_M4_switching_it_off_deletes_that_owners_transactions_only(alice, bob, restricted, transactions):
    make_key(bob)
    accounts = list(Account.objects.values())
    assert storage_mode.switch_off(alice) == 3
    assert [row.account.owner for row in Transaction.objects.all()] == [bob]
    assert list(Account.objects.values()) == accounts
    assert ApiKey.objects.filter(owner=alice).count() == KeyAccountScope.objects.count() == 1
    assert (alice.storage_mode, is_on(alice), is_on(bob)) == (False, False, True)


def test_M4_switching_it_off_again_deletes_nothing(alice, bob, transactions):
    assert storage_mode.switch_off(alice) == 3
    assert storage_mode.switch_off(alice) == 0
    assert storage_mode.switch_off(UserFactory()) == 0
    assert Transaction.objects.count() == 1


def test_M4_an_account_that_was_given_away_keeps_its_transactions(alice, bob, accounts, transactions):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert storage_mode.switch_off(alice) == 1
    assert Transaction.objects.filter(account=accounts.checking).count() == 2


def test_M4_if_the_transactions_cannot_be_deleted_it_stays_on(alice, restricted, transactions):
    failing = mock.patch("django.db.models.query.QuerySet.delete", side_effect=DatabaseError)
    with failing, pytest.raises(DatabaseError):
        storage_mode.switch_off(alice)
    assert is_on(alice)
    assert Transaction.objects.count() == 4


def test_T2_switching_it_off_locks_the_owner_first(alice, transactions, django_assert_max_num_queries):
    with django_assert_max_num_queries(8) as queries:
        storage_mode.switch_off(alice)
    selects = [query["sql"] for query in queries if query["sql"].startswith(("SELECT", "UPDATE", "DELETE"))]
    assert selects[0].startswith("SELECT")
    assert 'FROM "accounts_app_user"' in selects[0]
