"""Peppers (rule X3), and that no slow hash is used (X2)."""

import hmac
import re
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.test import Client
from django.utils.module_loading import import_string

from config import settings as site
from finta_keys import conf, secret, usage
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import changed, columns

OLD, NEW, OLDEST = "11" * 32, "aa" * 32, "00" * 32


def works(presented):
    return ApiKey.objects.authenticate(presented) is not None


def under(pepper, presented):
    return secret.digest(presented, bytes.fromhex(pepper))


@pytest.fixture
def two_peppers(settings, restricted):
    """The key was made under the old pepper; a new one was put in front of it since."""
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]


@pytest.mark.parametrize("peppers", [[OLD], [NEW, OLD], [NEW, OLD, OLDEST], [NEW, OLDEST, OLD]])
def test_X3_a_key_under_any_pepper_is_found_with_one_query(settings, restricted, peppers, django_assert_num_queries):
    settings.FINTA_KEYS_PEPPERS = peppers
    with django_assert_num_queries(1):
        assert works(restricted.secret)
    with django_assert_num_queries(1):
        assert not works(secret.generate())
    with django_assert_num_queries(0):
        assert not works("finta_malformed")


def test_X3_new_digests_are_made_with_the_first_pepper(alice, restricted, two_peppers):
    key, made = make_key(alice, "New")
    assert columns(key)["digest"] == under(NEW, made)
    assert columns(key)["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))
    rotated = restricted.key.rotate()
    assert columns(restricted.key)["digest"] == under(NEW, rotated)
    assert columns(restricted.key)["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))


def test_X3_a_key_moves_to_the_first_pepper_when_it_is_used(settings, restricted, two_peppers):
    before = columns(restricted.key)
    assert Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}").status_code == 200
    after = columns(restricted.key)
    assert changed(before, after) == {"digest", "pepper_id", "last_used_at"}
    assert after["digest"] == under(NEW, restricted.secret)
    assert after["pepper_id"] == secret.pepper_id(bytes.fromhex(NEW))
    assert works(restricted.secret)
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert works(restricted.secret)


def test_X3_a_key_under_the_first_pepper_is_not_written_again(restricted, two_peppers, django_assert_num_queries):
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    again = ApiKey.objects.authenticate(restricted.secret)
    with django_assert_num_queries(0):
        usage.record(again)


def test_X3_a_key_that_was_not_used_dies_with_its_pepper(settings, restricted, two_peppers):
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert not works(restricted.secret)
    response = Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code == 401
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]
    assert works(restricted.secret)


def test_X3_a_key_that_was_rotated_between_its_use_and_the_move_keeps_its_new_digest(restricted, two_peppers):
    used = ApiKey.objects.authenticate(restricted.secret)
    fresh = ApiKey.objects.get(pk=restricted.key.pk).rotate()
    after_rotation = columns(restricted.key)
    usage.record(used)
    assert changed(after_rotation, columns(restricted.key)) <= {"last_used_at"}
    assert works(fresh)
    assert not works(restricted.secret)


def test_X3_a_key_that_was_rotated_under_the_old_pepper_meanwhile_keeps_its_new_digest(
    settings, restricted, two_peppers
):
    """By a process that has not been restarted with the new pepper yet."""
    used = ApiKey.objects.authenticate(restricted.secret)
    settings.FINTA_KEYS_PEPPERS = [OLD]
    fresh = restricted.key.rotate()
    settings.FINTA_KEYS_PEPPERS = [NEW, OLD]
    usage.record(used)
    assert columns(restricted.key)["digest"] == under(OLD, fresh)
    assert columns(restricted.key)["pepper_id"] == secret.pepper_id(bytes.fromhex(OLD))
    assert works(fresh)
    assert not works(restricted.secret)


def test_X3_a_key_that_was_deleted_meanwhile_stays_deleted(restricted, two_peppers):
    used = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.delete()
    usage.record(used)
    assert not ApiKey.objects.exists()


def test_X3_two_moves_at_once_end_well(restricted, two_peppers):
    one, other = (ApiKey.objects.authenticate(restricted.secret) for _ in range(2))
    usage.record(one)
    usage.record(other)
    assert columns(restricted.key)["digest"] == under(NEW, restricted.secret)


def test_K3_a_rename_and_a_scope_edit_loaded_before_the_move_keep_the_moved_digest(
    settings, restricted, accounts, two_peppers
):
    renaming, editing = (ApiKey.objects.get(pk=restricted.key.pk) for _ in range(2))
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    renaming.rename("Laptop")
    editing.restrict_to([accounts.cash])
    settings.FINTA_KEYS_PEPPERS = [NEW]
    assert works(restricted.secret)


def test_X3_a_move_that_fails_never_fails_the_request_and_is_counted(restricted, two_peppers, monkeypatch):
    monkeypatch.setattr(usage, "failures", 0)
    monkeypatch.setattr(usage, "_update_unlocked", mock.Mock(side_effect=DatabaseError("for the test")))
    response = Client().get("/v2/accounts", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}")
    assert response.status_code == 200
    assert usage.failures == 1
    assert columns(restricted.key)["digest"] == under(OLD, restricted.secret)
    assert works(restricted.secret)


def test_X3_a_pepper_may_be_moved_back(settings, restricted, two_peppers):
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    settings.FINTA_KEYS_PEPPERS = [OLD, NEW]
    usage.record(ApiKey.objects.authenticate(restricted.secret))
    assert columns(restricted.key)["digest"] == under(OLD, restricted.secret)


def test_X3_a_new_secret_key_kills_no_key(settings, restricted):
    settings.SECRET_KEY = "another"
    assert works(restricted.secret)
    settings.SECRET_KEY_FALLBACKS = []
    assert Client().get("/v2/me", HTTP_AUTHORIZATION=f"Bearer {restricted.secret}").status_code == 200


def test_X3_the_pepper_is_in_no_column(alice, two_peppers):
    key, _ = make_key(alice, "New")
    stored = str(columns(key))
    assert NEW not in stored
    assert repr(bytes.fromhex(NEW))[2:-1] not in stored


@pytest.mark.parametrize(
    "configured",
    [[], (), None, [""], ["11"], ["11" * 31], ["11" * 33], ["zz" * 32], ["11" * 32, ""], "11" * 32, [None]],
    ids=repr,
)
def test_X3_bad_peppers_are_refused_with_a_way_to_make_one_and_without_quoting_them(settings, configured):
    settings.FINTA_KEYS_PEPPERS = configured
    with pytest.raises(ImproperlyConfigured, match=r"token_hex\(32\)") as error:
        conf.peppers()
    assert "1111" not in str(error.value)
    assert "zz" not in str(error.value)
    assert error.value.__context__ is None


def test_X3_peppers_that_are_not_set_are_refused(settings):
    del settings.FINTA_KEYS_PEPPERS
    with pytest.raises(ImproperlyConfigured, match="FINTA_KEYS_PEPPERS"):
        conf.peppers()


def test_X3_peppers_are_read_when_they_are_used(settings):
    settings.FINTA_KEYS_PEPPERS = (NEW.upper(), OLD)
    assert conf.peppers() == (b"\xaa" * 32, b"\x11" * 32)


def test_X2_no_password_hasher_takes_part_in_making_and_looking_up_a_key(alice):
    slow = mock.Mock(side_effect=AssertionError("a slow hash"))
    with (
        mock.patch("django.contrib.auth.hashers.get_hasher", slow),
        mock.patch("django.contrib.auth.hashers.make_password", slow),
        mock.patch("django.contrib.auth.hashers.check_password", slow),
        mock.patch("hashlib.pbkdf2_hmac", slow),
        mock.patch("hashlib.scrypt", slow),
        mock.patch("hmac.digest", wraps=hmac.digest) as digest,
    ):
        key, made = make_key(alice)
        assert works(made)
        key.rotate()
    assert {call.args[2] for call in digest.call_args_list} == {"sha256"}


def test_X2_what_people_choose_is_hashed_with_argon2id():
    first = site.PASSWORD_HASHERS[0]
    assert first == "django.contrib.auth.hashers.Argon2PasswordHasher"
    assert re.match(r"argon2\$argon2id\$", import_string(first)().encode("a password", "somesaltsomesalt"))


def test_X4_there_is_no_comparison_besides_the_unique_index(restricted, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        assert works(restricted.secret)
    (query,) = queries
    where = query["sql"].partition(" WHERE ")[2]
    assert re.match(r'"finta_keys_apikey"\."digest" (IN|=) ', where)
    assert ApiKey._meta.get_field("digest").unique
