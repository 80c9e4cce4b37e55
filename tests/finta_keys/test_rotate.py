"""``ApiKey.rotate()`` replaces the secret only."""

import datetime as dt

import pytest
import time_machine
from django.db import connection, transaction

from accounts_app.models import User
from finta_keys import secret, usage
from finta_keys.models import AlreadyDone, ApiKey
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope

ROTATED = {"digest", "hint", "rotation", "rotated_at"}


def is_valid(presented):
    return ApiKey.objects.authenticate(presented) is not None


@pytest.mark.rule("K3")
def test_rotate_changes_the_secret_only(restricted):
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


@pytest.mark.rule("K3")
def test_rotate_updates_the_instance(restricted):
    restricted.key.rotate()
    assert {name: getattr(restricted.key, name) for name in columns(restricted.key)} == columns(restricted.key)
    assert restricted.key.secret_made_at == restricted.key.rotated_at


@pytest.mark.rule("K3")
def test_rotate_invalidates_old_secrets(restricted):
    fresh = restricted.key.rotate()
    assert is_valid(fresh)
    assert not is_valid(restricted.secret)
    again = restricted.key.rotate()
    assert is_valid(again)
    assert not is_valid(fresh)
    assert not is_valid(restricted.secret)


@pytest.mark.rule("K3")
def test_rotate_changes_no_other_key(restricted, unrestricted):
    before = columns(unrestricted.key)
    restricted.key.rotate()
    assert columns(unrestricted.key) == before
    assert is_valid(unrestricted.secret)


@pytest.mark.rule("K2")
def test_instance_does_not_hold_the_secret(restricted):
    fresh = restricted.key.rotate()
    assert isinstance(fresh, secret.Secret)
    assert not [value for value in vars(restricted.key).values() if fresh[10:-4] in str(value)]


@pytest.mark.rule("K5")
def test_second_of_two_rotations_is_rejected(restricted, monkeypatch):
    generated = []
    generate = secret.generate
    monkeypatch.setattr(secret, "generate", lambda *prefix: generated.append(generate(*prefix)) or generated[-1])
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    fresh = one.rotate()
    before, instance = everything(), attributes(other)
    with pytest.raises(AlreadyDone) as done:
        other.rotate()
    assert (done.value.key, done.value.at) == (one, one.rotated_at)
    assert done.value.key.rotation == 1
    assert everything() == before
    assert attributes(other) == instance
    assert len(generated) == 2
    assert is_valid(fresh)
    assert not is_valid(generated[1])


@pytest.mark.rule("K5")
@pytest.mark.parametrize("expected", [0, 2, -1, 2**31 - 1])
def test_stale_form_is_rejected(restricted, expected):
    fresh = restricted.key.rotate()
    before = everything()
    with pytest.raises(AlreadyDone) as done:
        ApiKey.objects.get(pk=restricted.key.pk).rotate(expected=expected)
    assert done.value.at == restricted.key.rotated_at
    assert everything() == before
    assert is_valid(fresh)


@pytest.mark.rule("K5")
def test_stale_form_of_unrotated_key_is_rejected(restricted):
    with pytest.raises(AlreadyDone) as done:
        restricted.key.rotate(expected=7)
    assert done.value.at == restricted.key.created_at
    assert done.value.code == "already_done"


@pytest.mark.rule("K5")
def test_current_rotation_is_accepted(restricted):
    restricted.key.rotate(expected=0)
    ApiKey.objects.get(pk=restricted.key.pk).rotate(expected=1)
    assert columns(restricted.key)["rotation"] == 2


@pytest.mark.rule("K3")
def test_rotate_does_not_restore_deleted_key(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.rotate()
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K3")
def test_stale_rotation_keeps_name_and_scope(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rename("Laptop")
    restricted.key.share_all()
    before = columns(restricted.key)
    stale.rotate()
    assert changed(before, columns(restricted.key)) == ROTATED


@pytest.mark.rule("K3")
def test_recording_use_keeps_the_new_secret(restricted):
    """Recording the use of the old secret must not restore it."""
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    fresh = authenticated.rotate()
    usage.record(authenticated)
    assert is_valid(fresh)
    assert not is_valid(restricted.secret)


@pytest.mark.rule("K3")
def test_recording_use_after_reload_keeps_the_new_secret(restricted):
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    fresh = restricted.key.rotate()
    authenticated.refresh_from_db()
    usage.record(authenticated)
    assert is_valid(fresh)
    assert not is_valid(restricted.secret)


def test_key_of_inactive_owner_can_be_rotated(restricted):
    User.objects.update(is_active=False)
    fresh = restricted.key.rotate()
    assert not is_valid(fresh)
    User.objects.update(is_active=True)
    assert is_valid(fresh)
    assert not is_valid(restricted.secret)


@pytest.mark.rule("K5")
def test_concurrent_rotation_without_row_locks_is_kept(restricted):
    """Another rotation happens between reading the row and the UPDATE."""
    statements = []

    def overtake(execute, sql, *args):
        if sql.startswith("UPDATE") and not statements:
            statements.append(sql)
            ApiKey.objects.filter(pk=restricted.key.pk).update(rotation=1, digest=b"d" * secret.DIGEST_LENGTH)
        return execute(sql, *args)

    with connection.execute_wrapper(overtake), pytest.raises(AlreadyDone), transaction.atomic():
        restricted.key.rotate()
    assert "finta_keys_apikey" in statements[0]
    assert restricted.key.rotation == 0
    assert ApiKey.objects.get(pk=restricted.key.pk).hint == restricted.key.hint
