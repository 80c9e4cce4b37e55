"""``ApiKey.delete()`` removes the key for good."""

import pytest

from accounts_app.models import Account, User
from finta_keys.models import AlreadyDone, ApiKey, KeyAccountScope
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import columns, everything


@pytest.mark.rule("K3")
def test_delete_removes_the_key_and_its_scope(restricted, unrestricted, accounts):
    pk, before = restricted.key.pk, columns(unrestricted.key)
    assert restricted.key.delete() == (2, {"finta_keys.ApiKey": 1, "finta_keys.KeyAccountScope": 1})
    assert not ApiKey.objects.filter(pk=pk).exists()
    assert not KeyAccountScope.objects.exists()
    assert columns(unrestricted.key) == before
    assert Account.objects.count() == 3


@pytest.mark.rule("K4")
def test_delete_invalidates_the_secret(restricted):
    restricted.key.delete()
    assert ApiKey.objects.authenticate(restricted.secret) is None


@pytest.mark.rule("K3")
def test_stale_instance_can_be_deleted(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    stale.delete()
    assert ApiKey.objects.authenticate(fresh) is None
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K5")
def test_stale_form_is_rejected(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rotate()
    before = everything()
    with pytest.raises(AlreadyDone) as done:
        stale.delete(expected=stale.rotation)
    assert (done.value.key, done.value.at) == (restricted.key, restricted.key.rotated_at)
    assert everything() == before
    assert stale.pk == restricted.key.pk


@pytest.mark.rule("K5")
def test_current_rotation_is_accepted(restricted):
    restricted.key.rotate()
    restricted.key.delete(expected=1)
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K3")
@pytest.mark.parametrize("expected", [None, 0])
def test_key_can_be_deleted_once(restricted, expected):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.delete(expected=expected)


def test_key_of_inactive_owner_can_be_deleted(restricted):
    User.objects.update(is_active=False)
    restricted.key.delete()
    assert not ApiKey.objects.exists()


def test_deleting_the_owner_deletes_their_keys(alice, bob, restricted, unrestricted):
    bobs, secret = make_key(bob)
    alice.delete()
    assert list(ApiKey.objects.all()) == [bobs]
    assert ApiKey.objects.authenticate(restricted.secret) is None
    assert ApiKey.objects.authenticate(secret) == bobs
