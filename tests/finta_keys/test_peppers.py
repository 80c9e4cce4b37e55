"""Peppers: rotation, and moving keys to the first one."""

import hmac
import re
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.test import Client
from django.utils.module_loading import import_string

from finta_keys import conf, secret, usage
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import changed, columns

OLD, NEW, OLDEST = "11" * 32, "aa" * 32, "00" * 32


def is_valid(presented):
    return ApiKey.objects.authenticate(presented) is not None


def digest(pepper, presented):
    return secret.digest(presented, bytes.fromhex(pepper))


@pytest.fixture
def two_peppers(settings, restricted):
    """A new pepper in front of the pepper that the key was created with."""
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]


@pytest.mark.rule("X3")
@pytest.mark.parametrize("peppers", [[OLD], [NEW, OLD], [NEW, OLD, OLDEST], [NEW, OLDEST, OLD]])
def test_any_pepper_costs_one_query(settings, restricted, peppers, django_assert_num_queries):
    settings.FINTA_KEYS_PEPPERS = peppers
    with django_assert_num_queries(1):
        assert is_valid(restricted.secret)
    with django_assert_num_queries(1):
        assert not is_valid(secret.generate())
    with django_assert_num_queries(0):
        assert not is_valid("finta_malformed")


@pytest.mark.rule("X3")
def test_first_pepper_creates_new_digests(alice, restricted, two_peppers):
    key, new_secret = make_key(alice, "New")
    assert columns(key)["digest"] == digest(NEW, new_secret)
    assert columns(key)["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))
    rotated = restricted.key.rotate()
    assert columns(restricted.key)["digest"] == digest(NEW, rotated)
    assert columns(restricted.key)["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))


@pytest.mark.rule("X3")
def test_used_key_moves_to_the_first_pepper(settings, restricted, two_peppers):
    before = columns(restricted.key)
    assert Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}").status_code == 200
    after = columns(restricted.key)
    assert changed(before, after) == {"digest", "pepper_id", "last_used_at"}
    assert after["digest"] == digest(NEW, restricted.secret)
    assert after["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))
    assert is_valid(restricted.secret)
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_key_under_first_pepper_is_not_written(restricted, two_peppers, django_assert_num_queries):
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    again = ApiKey.objects.authenticate(restricted.secret)
    with django_assert_num_queries(0):
        usage.record(again)


@pytest.mark.rule("X3")
def test_removed_pepper_invalidates_unused_keys(settings, restricted, two_peppers):
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert not is_valid(restricted.secret)
    response = Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code == 401
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]
    assert is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_move_keeps_a_rotated_digest(restricted, two_peppers):
    used = ApiKey.objects.authenticate(restricted.secret)
    new_secret = ApiKey.objects.get(pk=restricted.key.pk).rotate()
    after_rotation = columns(restricted.key)
    usage.record(used)
    assert changed(after_rotation, columns(restricted.key)) <= {"last_used_at"}
    assert is_valid(new_secret)
    assert not is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_move_keeps_a_digest_under_the_old_pepper(settings, restricted, two_peppers):
    """The rotation is by a process that still runs without the new pepper."""
    used = ApiKey.objects.authenticate(restricted.secret)
    settings.FINTA_KEYS_PEPPERS = [OLD]
    new_secret = restricted.key.rotate()
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]
    usage.record(used)
    assert columns(restricted.key)["digest"] == digest(OLD, new_secret)
    assert columns(restricted.key)["pepper_id"] == secret.pepper_id(bytes.fromhex(OLD))
    assert is_valid(new_secret)
    assert not is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_move_does_not_restore_deleted_key(restricted, two_peppers):
    used = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.delete()
    usage.record(used)
    assert not ApiKey.objects.exists()


@pytest.mark.rule("X3")
def test_two_concurrent_moves_succeed(restricted, two_peppers):
    one, other = (ApiKey.objects.authenticate(restricted.secret) for _ in range(2))
    usage.record(one)
    usage.record(other)
    assert columns(restricted.key)["digest"] == digest(NEW, restricted.secret)


@pytest.mark.rule("K3")
def test_stale_changes_keep_the_moved_digest(settings, restricted, accounts, two_peppers):
    renaming, editing = (ApiKey.objects.get(pk=restricted.key.pk) for _ in range(2))
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    renaming.rename("Laptop")
    editing.restrict_to([accounts.cash])
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_failed_move_does_not_fail_the_request(restricted, two_peppers, monkeypatch):
    monkeypatch.setattr(usage, "failures", 0)
    monkeypatch.setattr(usage, "_update_unlocked", mock.Mock(side_effect=DatabaseError("for the test")))
    response = Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code == 200
    assert usage.failures == 1
    assert columns(restricted.key)["digest"] == digest(OLD, restricted.secret)
    assert is_valid(restricted.secret)


@pytest.mark.rule("X3")
def test_key_can_move_back(settings, restricted, two_peppers):
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    settings.FINTA_KEYS_PEPPERS = [OLD, NEW]
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    assert columns(restricted.key)["digest"] == digest(OLD, restricted.secret)


@pytest.mark.rule("X3")
def test_keys_survive_a_new_secret_key(settings, restricted):
    settings.SECRET_KEY = "another"
    assert is_valid(restricted.secret)
    settings.SECRET_KEY_FALLBACKS = []
    assert Client().get("/v2/me", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}").status_code == 200


@pytest.mark.rule("X3")
def test_pepper_is_in_no_column(alice, two_peppers):
    key, _ = make_key(alice, "New")
    stored = str(columns(key))
    assert NEW not in stored
    assert repr(bytes.fromhex(NEW))[2:-1] not in stored


@pytest.mark.rule("X3")
@pytest.mark.parametrize(
    "configured",
    [[], (), None, [""], ["11"], ["11" * 31], ["11" * 33], ["zz" * 32], ["11" * 32, ""], "11" * 32, [None]],
    ids=repr,
)
def test_invalid_peppers_raise_without_quoting(settings, configured):
    settings.FINTA_KEYS_PEPPERS = configured
    with pytest.raises(ImproperlyConfigured, match=r"token_hex\(32\)") as error:
        conf.peppers()
    assert "1111" not in str(error.value)
    assert "zz" not in str(error.value)
    assert error.value.__context__ is None


@pytest.mark.rule("X3")
def test_missing_peppers_raise(settings):
    del settings.FINTA_KEYS_PEPPERS
    with pytest.raises(ImproperlyConfigured, match="FINTA_KEYS_PEPPERS"):
        conf.peppers()


@pytest.mark.rule("X3")
def test_peppers_are_read_when_used(settings):
    settings.FINTA_KEYS_PEPPERS = (NEW.upper(), OLD)
    assert conf.peppers() == (b"\xaa" * 32, b"\x11" * 32)


@pytest.mark.rule("X2")
def test_no_slow_hash_is_used(alice):
    slow = mock.Mock(side_effect=AssertionError("a slow hash"))
    with (
        mock.patch("django.contrib.auth.hashers.get_hasher", slow),
        mock.patch("django.contrib.auth.hashers.make_password", slow),
        mock.patch("django.contrib.auth.hashers.check_password", slow),
        mock.patch("hashlib.pbkdf2_hmac", slow),
        mock.patch("hashlib.scrypt", slow),
        mock.patch("hmac.digest", wraps=hmac.digest) as hmac_digest,
    ):
        key, new_secret = make_key(alice)
        assert is_valid(new_secret)
        key.rotate()
    assert {call.args[2] for call in hmac_digest.call_args_list} == {"sha256"}


@pytest.mark.rule("X2")
def test_passwords_use_argon2id():
    from config import settings as site

    first = site.PASSWORD_HASHERS[0]
    assert first == "django.contrib.auth.hashers.Argon2PasswordHasher"
    assert re.match(r"argon2\$argon2id\$", import_string(first)().encode("a password", "somesaltsomesalt"))


@pytest.mark.rule("X4")
def test_lookup_uses_the_unique_index_only(restricted, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        assert is_valid(restricted.secret)
    (query,) = queries
    where = query["sql"].partition(" WHERE ")[2]
    assert re.match(r'"finta_keys_apikey"\."digest" (IN|=) ', where)
    assert ApiKey._meta.get_field("digest").unique
