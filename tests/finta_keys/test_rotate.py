"""``key.rotate()`` changes the secret and nothing else."""

import datetime as dt

import pytest
import time_machine

from accounts_app.models import User
from finta_keys import secret, usage
from finta_keys.models import AlreadyDone, ApiKey
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope

ROTATED = {"digest", "hint", "rotation", "rotated_at"}


def works(presented):
    return ApiKey.objects.authenticate(presented) is not None


def test_K3_rotate_changes_the_secret_only(restricted):
    before, rows = columns(restricted.key), scope(restricted.key)
    with time_machine.travel(dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC), tick=False):
        fresh = restricted.key.rotate()
    after = columns(restricted.key)
    assert changed(before, after) == ROTATED
    assert after["digest"] == secret.digest(fresh, b"\x11" * 32)
    assert after["hint"] == secret.hint(fresh)
    assert after["rotation"] == 1
    assert after["rotated_at"] == dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)
    assert scope(restricted.key) == rows


def test_K3_the_instance_shows_what_is_stored(restricted):
    restricted.key.rotate()
    assert {name: getattr(restricted.key, name) for name in columns(restricted.key)} == columns(restricted.key)
    assert restricted.key.secret_made_at == restricted.key.rotated_at


def test_K3_the_old_secret_is_dead_when_the_new_one_is_returned(restricted):
    fresh = restricted.key.rotate()
    assert works(fresh)
    assert not works(restricted.secret)
    again = restricted.key.rotate()
    assert works(again)
    assert not works(fresh)
    assert not works(restricted.secret)


def test_K3_rotating_touches_no_other_key(restricted, unrestricted):
    before = columns(unrestricted.key)
    restricted.key.rotate()
    assert columns(unrestricted.key) == before
    assert works(unrestricted.secret)


def test_K2_the_instance_does_not_hold_the_new_secret(restricted):
    fresh = restricted.key.rotate()
    assert isinstance(fresh, secret.Secret)
    assert not [value for value in vars(restricted.key).values() if fresh[10:-4] in str(value)]


def test_K5_of_two_who_rotate_at_once_the_second_is_told_and_gets_no_secret(restricted, monkeypatch):
    made = []
    generate = secret.generate
    monkeypatch.setattr(secret, "generate", lambda *prefix: made.append(generate(*prefix)) or made[-1])
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    fresh = one.rotate()
    before, shown = everything(), attributes(other)
    with pytest.raises(AlreadyDone) as done:
        other.rotate()
    assert (done.value.key, done.value.at) == (one, one.rotated_at)
    assert done.value.key.rotation == 1
    assert everything() == before
    assert attributes(other) == shown
    assert len(made) == 2
    assert works(fresh)
    assert not works(made[1])


@pytest.mark.parametrize("expected", [0, 2, -1, 2**31 - 1])
def test_K5_a_form_that_saw_another_rotation_is_refused(restricted, expected):
    fresh = restricted.key.rotate()
    before = everything()
    with pytest.raises(AlreadyDone) as done:
        ApiKey.objects.get(pk=restricted.key.pk).rotate(expected=expected)
    assert done.value.at == restricted.key.rotated_at
    assert everything() == before
    assert works(fresh)


def test_K5_a_stale_form_for_a_key_that_was_never_rotated_is_told_when_it_was_created(restricted):
    with pytest.raises(AlreadyDone) as done:
        restricted.key.rotate(expected=7)
    assert done.value.at == restricted.key.created_at


def test_K5_the_rotation_that_the_person_saw_is_accepted(restricted):
    restricted.key.rotate(expected=0)
    ApiKey.objects.get(pk=restricted.key.pk).rotate(expected=1)
    assert columns(restricted.key)["rotation"] == 2


def test_K5_after_a_refusal_a_key_that_is_loaded_anew_can_be_rotated(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rotate()
    with pytest.raises(AlreadyDone):
        stale.rotate()
    stale.refresh_from_db()
    assert works(stale.rotate())


def test_K3_a_deleted_key_cannot_be_rotated_back_to_life(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.rotate()
    assert not ApiKey.objects.exists()


def test_K3_a_rotation_loaded_before_a_rename_and_a_scope_edit_keeps_both(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rename("Laptop")
    restricted.key.share_all()
    before = columns(restricted.key)
    stale.rotate()
    assert changed(before, columns(restricted.key)) == ROTATED


def test_K3_a_key_that_is_rotated_by_the_instance_that_was_authenticated_keeps_its_new_digest(restricted):
    """What is written about the use of the old secret must not bring it back."""
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    fresh = authenticated.rotate()
    usage.record(authenticated)
    assert works(fresh)
    assert not works(restricted.secret)


def test_K3_so_does_one_that_is_read_again_after_another_rotated_it(restricted):
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    fresh = restricted.key.rotate()
    authenticated.refresh_from_db()
    usage.record(authenticated)
    assert works(fresh)
    assert not works(restricted.secret)


def test_a_key_of_a_deactivated_owner_can_be_rotated_and_stays_without_effect(restricted):
    User.objects.update(is_active=False)
    fresh = restricted.key.rotate()
    assert not works(fresh)
    User.objects.update(is_active=True)
    assert works(fresh)
    assert not works(restricted.secret)
