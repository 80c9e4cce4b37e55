"""What the database itself refuses, whoever writes."""

import re
import uuid

import pytest
from django.db import DataError, IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Cast

from finta_keys.models import ApiKey, CreateNonce, KeyAccountScope


def raw_key(owner, **columns):
    """Return a key that no method of the model has looked at."""
    defaults = {"name": "Raw", "name_key": "raw", "digest": uuid.uuid4().bytes * 2, "hint": "", "pepper_id": ""}
    return ApiKey(owner=owner, **{**defaults, **columns})


def refused(write, *args, **kwargs):
    with pytest.raises((IntegrityError, DataError)) as refusal, transaction.atomic():
        write(*args, **kwargs)
    return str(refusal.value)


def test_a_raw_key_that_breaks_nothing_is_accepted(alice):
    ApiKey.objects.bulk_create([raw_key(alice), raw_key(alice, name="b" * 100, name_key="b" * 400)])


def test_K1_a_folded_name_is_unique_for_each_owner(alice, bob, restricted, unrestricted):
    assert "name_key" in refused(ApiKey.objects.bulk_create, [raw_key(alice, name_key="restricted")])
    assert "name_key" in refused(ApiKey.objects.filter(pk=unrestricted.key.pk).update, name_key="restricted")
    ApiKey.objects.bulk_create([raw_key(bob, name_key="restricted")])


def test_K1_a_folded_name_is_not_empty(alice, restricted):
    assert "finta_keys_name_not_empty" in refused(ApiKey.objects.bulk_create, [raw_key(alice, name_key="")])
    assert "finta_keys_name_not_empty" in refused(ApiKey.objects.update, name_key="")


def test_K1_a_name_has_at_most_100_characters(alice, restricted):
    too_long = re.compile(r"finta_keys_name_not_too_long|too long for type character varying\(100\)")
    assert too_long.search(refused(ApiKey.objects.bulk_create, [raw_key(alice, name="n" * 101)]))
    assert too_long.search(refused(ApiKey.objects.update, name="🔑" * 101))
    ApiKey.objects.update(name="🔑" * 100)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_X2_a_digest_is_32_bytes_long(alice, restricted, length):
    assert "finta_keys_digest_is_32_bytes" in refused(ApiKey.objects.update, digest=b"d" * length)
    key = raw_key(alice, digest=b"d" * length)
    assert "finta_keys_digest_is_32_bytes" in refused(ApiKey.objects.bulk_create, [key])


def test_X2_a_digest_with_zero_bytes_counts_all_of_its_bytes(alice):
    ApiKey.objects.bulk_create([raw_key(alice, digest=b"\0" * 32)])
    digest = b"a\0" + b"b" * 29
    assert "finta_keys_digest_is_32_bytes" in refused(ApiKey.objects.update, digest=digest)


def test_X2_a_digest_is_unique(alice, bob, restricted):
    digest = bytes(restricted.key.digest)
    assert "digest" in refused(ApiKey.objects.bulk_create, [raw_key(alice, digest=digest)])
    assert "digest" in refused(ApiKey.objects.bulk_create, [raw_key(bob, digest=digest)])


@pytest.mark.parametrize("column", ["owner_id", "name", "name_key", "digest", "hint", "share_all_accounts", "rotation"])
def test_no_column_of_a_key_may_be_left_open(restricted, column):
    field = ApiKey._meta.get_field(column)
    assert column in refused(ApiKey.objects.update, **{column: Cast(Value(None), field)})


def test_K5_the_counter_of_rotations_is_never_negative(restricted):
    assert "rotation" in refused(ApiKey.objects.update, rotation=-1)


def test_a_scope_row_exists_once(restricted, accounts):
    row = KeyAccountScope(key=restricted.key, account=accounts.checking)
    assert "key_id" in refused(KeyAccountScope.objects.bulk_create, [row])
    KeyAccountScope.objects.bulk_create([KeyAccountScope(key=restricted.key, account=accounts.cash)])
    assert "key_id" in refused(KeyAccountScope.objects.update, account=accounts.cash)


def test_K5_a_nonce_is_spent_once(db):
    CreateNonce.objects.bulk_create([CreateNonce(value="n" * 43, key_id=uuid.uuid4())])
    nonce = CreateNonce(value="n" * 43, key_id=uuid.uuid4())
    assert "finta_keys_createnonce" in refused(CreateNonce.objects.bulk_create, [nonce])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("column", ["key_id", "account_id"])
def test_a_scope_row_leads_to_a_key_and_an_account(restricted, column):
    assert "foreign key" in refused(KeyAccountScope.objects.update, **{column: uuid.uuid4()}).lower()
