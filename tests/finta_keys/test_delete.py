"""``key.delete()`` removes the key for good."""

import pytest

from accounts_app.models import Account, User
from finta_keys.models import AlreadyDone, ApiKey, KeyAccountScope
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import columns, everything


def test_K3_delete_removes_the_key_and_its_scope_and_nothing_else(restricted, unrestricted, accounts):
    pk, before = restricted.key.pk, columns(unrestricted.key)
    assert restricted.key.delete() == (2, {"finta_keys.ApiKey": 1, "finta_keys.KeyAccountScope": 1})
    assert not ApiKey.objects.filter(pk=pk).exists()
    assert not KeyAccountScope.objects.exists()
    assert columns(unrestricted.key) == before
    assert Account.objects.count() == 3


def test_K4_its_secret_is_dead_at_once(restricted):
    restricted.key.delete()
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_K3_a_delete_loaded_before_a_rotation_deletes(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    stale.delete()
    assert ApiKey.objects.authenticate(fresh) is None
    assert not ApiKey.objects.exists()


def test_K5_a_delete_form_that_saw_another_rotation_is_refused(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rotate()
    before = everything()
    with pytest.raises(AlreadyDone) as done:
        stale.delete(expected=stale.rotation)
    assert (done.value.key, done.value.at) == (restricted.key, restricted.key.rotated_at)
    assert everything() == before
    assert stale.pk == restricted.key.pk


def test_K5_a_delete_form_that_saw_this_rotation_deletes(restricted):
    restricted.key.rotate()
    restricted.key.delete(expected=1)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("expected", [None, 0])
def test_K3_a_key_can_be_deleted_once(restricted, expected):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.delete(expected=expected)


def test_keys_of_a_deactivated_owner_can_be_deleted(restricted):
    User.objects.update(is_active=False)
    restricted.key.delete()
    assert not ApiKey.objects.exists()


def test_keys_of_a_deleted_owner_are_gone_and_others_stay(alice, bob, restricted, unrestricted):
    bobs, secret = make_key(bob)
    alice.delete()
    assert list(ApiKey.objects.all()) == [bobs]
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert ApiKey.objects.authenticate(secret) == bobs


def test_T2_deleting_locks_the_owner_before_the_key(restricted, django_assert_num_queries):
    with django_assert_num_queries(6) as queries:
        restricted.key.delete()
    tables = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert "accounts_app_user" in tables[0]
    assert "finta_keys_apikey" in tables[1]
