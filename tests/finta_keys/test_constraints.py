"""Constraints: rows that the database rejects."""

import re
import uuid

import pytest
from django.db import DataError, IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Cast

from finta_keys.models import ApiKey, CreateNonce, KeyAccountScope


def raw_key(owner, **columns):
    """Return a key that no method of the model has validated."""
    defaults = {"name": "Raw", "name_key": "raw", "digest": uuid.uuid4().bytes * 2, "hint": "", "pepper_id": ""}
    return ApiKey(owner=owner, **{**defaults, **columns})


def rejection(write, *args, **kwargs):
    with pytest.raises((IntegrityError, DataError)) as error, transaction.atomic():
        write(*args, **kwargs)
    return str(error.value)


def test_valid_raw_keys_are_accepted(alice):
    ApiKey.objects.bulk_create([raw_key(alice), raw_key(alice, name="b" * 100, name_key="b" * 400)])


@pytest.mark.rule("K1")
def test_name_key_is_unique_per_owner(alice, bob, restricted, unrestricted):
    assert "name_key" in rejection(ApiKey.objects.bulk_create, [raw_key(alice, name_key="restricted")])
    assert "name_key" in rejection(ApiKey.objects.filter(pk=unrestricted.key.pk).update, name_key="restricted")
    ApiKey.objects.bulk_create([raw_key(bob, name_key="restricted")])


@pytest.mark.rule("K1")
def test_name_key_is_not_empty(alice, restricted):
    assert "finta_keys_name_not_empty" in rejection(ApiKey.objects.bulk_create, [raw_key(alice, name_key="")])
    assert "finta_keys_name_not_empty" in rejection(ApiKey.objects.update, name_key="")


@pytest.mark.rule("K1")
def test_name_has_at_most_100_characters(alice, restricted):
    too_long = re.compile(r"finta_keys_name_not_too_long|too long for type character varying\(100\)")
    assert too_long.search(rejection(ApiKey.objects.bulk_create, [raw_key(alice, name="n" * 101)]))
    assert too_long.search(rejection(ApiKey.objects.update, name="🔑" * 101))
    ApiKey.objects.update(name="🔑" * 100)


@pytest.mark.rule("X2")
@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_digest_has_32_bytes(alice, restricted, length):
    assert "finta_keys_digest_is_32_bytes" in rejection(ApiKey.objects.update, digest=b"d" * length)
    key = raw_key(alice, digest=b"d" * length)
    assert "finta_keys_digest_is_32_bytes" in rejection(ApiKey.objects.bulk_create, [key])


@pytest.mark.rule("X2")
def test_zero_bytes_of_a_digest_count(alice):
    ApiKey.objects.bulk_create([raw_key(alice, digest=b"\0" * 32)])
    digest = b"a\0" + b"b" * 29
    assert "finta_keys_digest_is_32_bytes" in rejection(ApiKey.objects.update, digest=digest)


@pytest.mark.rule("X2")
def test_digest_is_unique(alice, bob, restricted):
    digest = bytes(restricted.key.digest)
    assert "digest" in rejection(ApiKey.objects.bulk_create, [raw_key(alice, digest=digest)])
    assert "digest" in rejection(ApiKey.objects.bulk_create, [raw_key(bob, digest=digest)])


@pytest.mark.parametrize("column", ["owner_id", "name", "name_key", "digest", "hint", "share_all_accounts", "rotation"])
def test_columns_are_not_null(restricted, column):
    field = ApiKey._meta.get_field(column)
    assert column in rejection(ApiKey.objects.update, **{column: Cast(Value(None), field)})


@pytest.mark.rule("K5")
def test_rotation_is_not_negative(restricted):
    assert "rotation" in rejection(ApiKey.objects.update, rotation=-1)


def test_scope_row_is_unique(restricted, accounts):
    row = KeyAccountScope(key=restricted.key, account=accounts.checking)
    assert "key_id" in rejection(KeyAccountScope.objects.bulk_create, [row])
    KeyAccountScope.objects.bulk_create([KeyAccountScope(key=restricted.key, account=accounts.cash)])
    assert "key_id" in rejection(KeyAccountScope.objects.update, account=accounts.cash)


@pytest.mark.rule("K5")
def test_nonce_is_unique(db):
    CreateNonce.objects.bulk_create([CreateNonce(value="n" * 43, key_id=uuid.uuid4())])
    nonce = CreateNonce(value="n" * 43, key_id=uuid.uuid4())
    assert "finta_keys_createnonce" in rejection(CreateNonce.objects.bulk_create, [nonce])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("column", ["key_id", "account_id"])
def test_scope_row_needs_key_and_account(restricted, column):
    assert "foreign key" in rejection(KeyAccountScope.objects.update, **{column: uuid.uuid4()}).lower()
