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


@pytest.mark.rule("M1")
def test_storage_mode_is_off_by_default(db):
    assert not UserFactory().storage_mode
    assert not User.objects.create_user("new@example.com", "x").storage_mode
    assert not User.objects.create_superuser("root@example.com", "x").storage_mode


@pytest.mark.rule("M1")
def test_switch_on_affects_one_owner(alice, bob):
    storage_mode.switch_on(alice)
    assert (alice.storage_mode, is_on(alice), is_on(bob)) == (True, True, False)
    storage_mode.switch_on(alice)
    assert is_on(alice)


@pytest.mark.rule("M1")
def test_switching_saves_only_its_column(alice):
    stale = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(is_staff=True, email="new@example.com")
    storage_mode.switch_on(stale)
    storage_mode.switch_off(stale)
    assert User.objects.filter(pk=alice.pk, is_staff=True, email="new@example.com").exists()


@pytest.mark.rule("M2")
def test_creating_key_switches_on(alice, bob):
    key, _ = make_key(alice)
    assert (is_on(alice), is_on(bob)) == (True, False)
    assert key.owner.storage_mode


@pytest.mark.rule("M2")
def test_creating_key_switches_on_again(alice, restricted):
    storage_mode.switch_off(alice)
    make_key(alice, "Another")
    assert is_on(alice)


@pytest.mark.rule("M2")
@pytest.mark.parametrize("verb", ["rename", "share_all", "restrict", "rotate", "delete"])
def test_other_key_actions_do_not_switch_on(alice, restricted, accounts, verb):
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


@pytest.mark.rule("M3")
def test_key_gets_403_while_off(alice, restricted):
    storage_mode.switch_off(alice)
    before = list(ApiKey.objects.values("name", "digest", "share_all_accounts", "rotation"))
    response = restricted.client.get("/v2/accounts")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "STORAGE_MODE_REQUIRED")
    assert list(ApiKey.objects.values("name", "digest", "share_all_accounts", "rotation")) == before
    storage_mode.switch_on(alice)
    assert restricted.client.get("/v2/accounts").status_code == 200


@pytest.mark.rule("M4")
def test_switch_off_deletes_own_transactions(alice, bob, restricted, transactions):
    make_key(bob)
    accounts = list(Account.objects.values())
    assert storage_mode.switch_off(alice) == 3
    assert [row.account.owner for row in Transaction.objects.all()] == [bob]
    assert list(Account.objects.values()) == accounts
    assert ApiKey.objects.filter(owner=alice).count() == KeyAccountScope.objects.count() == 1
    assert (alice.storage_mode, is_on(alice), is_on(bob)) == (False, False, True)


@pytest.mark.rule("M4")
def test_switch_off_twice_deletes_nothing(alice, bob, transactions):
    assert storage_mode.switch_off(alice) == 3
    assert storage_mode.switch_off(alice) == 0
    assert storage_mode.switch_off(UserFactory()) == 0
    assert Transaction.objects.count() == 1


@pytest.mark.rule("M4")
def test_transferred_account_keeps_transactions(alice, bob, accounts, transactions):
    Account.objects.filter(pk=accounts.checking.pk).update(owner=bob)
    assert storage_mode.switch_off(alice) == 1
    assert Transaction.objects.filter(account=accounts.checking).count() == 2


@pytest.mark.rule("M4")
def test_failed_deletion_keeps_storage_mode_on(alice, restricted, transactions):
    failing = mock.patch("django.db.models.query.QuerySet.delete", side_effect=DatabaseError)
    with failing, pytest.raises(DatabaseError):
        storage_mode.switch_off(alice)
    assert is_on(alice)
    assert Transaction.objects.count() == 4


@pytest.mark.rule("T2")
def test_switch_off_locks_the_owner_first(alice, transactions, django_assert_max_num_queries):
    with django_assert_max_num_queries(8) as queries:
        storage_mode.switch_off(alice)
    selects = [query["sql"] for query in queries if query["sql"].startswith(("SELECT", "UPDATE", "DELETE"))]
    assert selects[0].startswith("SELECT")
    assert 'FROM "accounts_app_user"' in selects[0]
