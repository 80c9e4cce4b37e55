"""What a project is told of: all that happens to a key, in the transaction in which it happens."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import isolate_apps

from accounts_app.models import User
from finta_keys import signals
from finta_keys.models import AlreadyDone, ApiKey
from finta_keys.testing import make_key
from tests.factories import AccountFactory

NAMES = ["key_created", "key_renamed", "key_scope_edited", "key_rotated", "key_deleted"]


@pytest.fixture
def told():
    """Each signal that was sent: its name, the key's name at that time, and what came beside it."""
    seen, receivers = [], []
    for name in NAMES:

        def receive(sender, signal, key, _name=name, **more):
            assert sender is ApiKey
            assert connection.in_atomic_block
            seen.append((_name, key.name, more))

        receivers.append(receive)
        getattr(signals, name).connect(receive)
    yield seen
    for name, receive in zip(NAMES, receivers, strict=True):
        getattr(signals, name).disconnect(receive)


class Refused(Exception):
    pass


@pytest.fixture
def refusing():
    """Let a receiver of one signal raise."""
    connected = []

    def connect(name):
        def refuse(**kwargs):
            raise Refused

        connected.append((getattr(signals, name), refuse))
        getattr(signals, name).connect(refuse)

    yield connect
    for signal, refuse in connected:
        signal.disconnect(refuse)


def rows():
    return list(ApiKey.objects.order_by("pk").values()), list(
        ApiKey.accounts.through.objects.order_by("pk").values("key", "account")
    )


def test_the_whole_life_of_a_key(told, alice, accounts):
    key, first = make_key(alice, "Laptop")
    key.rename("Desktop")
    key.restrict_to([accounts.checking])
    key.share_all()
    hint = key.hint
    key.rotate()
    key.delete()
    assert told == [
        ("key_created", "Laptop", {}),
        ("key_renamed", "Desktop", {"old_name": "Laptop"}),
        ("key_scope_edited", "Desktop", {}),
        ("key_scope_edited", "Desktop", {}),
        ("key_rotated", "Desktop", {"old_hint": hint}),
        ("key_deleted", "Desktop", {}),
    ]
    assert first not in str(told)


def test_a_receiver_of_a_scope_reads_the_new_one(alice, accounts):
    key, _ = make_key(alice, "Laptop", [accounts.checking])
    seen = []

    def receive(key, **kwargs):
        seen.append(None if key.share_all_accounts else {row.account_id for row in key.scope_rows.all()})

    signals.key_scope_edited.connect(receive)
    try:
        key.restrict_to([accounts.savings])
        key.share_all()
        key.restrict_to([accounts.checking])
        with key.locked() as current:
            made = AccountFactory(owner=alice)
            current.add_to_scope(made)
    finally:
        signals.key_scope_edited.disconnect(receive)
    assert seen == [{accounts.savings.pk}, None, {accounts.checking.pk}, {accounts.checking.pk, made.pk}]


def test_an_account_that_joins_no_scope_is_no_edit(told, alice, unrestricted):
    told.clear()
    with unrestricted.key.locked() as current:
        current.add_to_scope(AccountFactory(owner=alice))
    assert told == []


@pytest.mark.parametrize(
    "remove", [lambda alice: alice.delete(), lambda alice: User.objects.filter(pk=alice.pk).delete()]
)
def test_a_key_that_goes_with_its_owner_is_told_of(told, alice, accounts, bob, remove):
    make_key(alice, "One")
    make_key(alice, "Two", [accounts.checking])
    make_key(bob, "His")
    told.clear()
    remove(alice)
    assert sorted(told) == [("key_deleted", "One", {}), ("key_deleted", "Two", {})]


def test_keys_that_are_deleted_in_bulk_are_told_of_with_all_they_had(alice, accounts):
    made = {make_key(alice, f"Key {number}")[0].pk for number in range(3)}
    seen = []

    def receive(key, **kwargs):
        assert not key.get_deferred_fields()
        seen.append(key.pk)

    signals.key_deleted.connect(receive)
    try:
        ApiKey.objects.all().delete()
    finally:
        signals.key_deleted.disconnect(receive)
    assert len(seen) == 3
    assert set(seen) == made


def test_keys_that_are_deleted_by_a_proxy_of_a_project_are_told_of(told, alice):
    with isolate_apps("finta_keys"):

        class HostKey(ApiKey):
            class Meta:
                app_label = "finta_keys"
                proxy = True

    for name in ("First", "Second"):
        make_key(alice, name)
    told.clear()
    HostKey.objects.get(name="First").delete()
    HostKey.objects.all().delete()
    assert told == [("key_deleted", "First", {}), ("key_deleted", "Second", {})]


def test_keys_that_were_fetched_in_part_are_told_of_with_all_they_had(alice):
    seen = []

    def receive(key, **kwargs):
        seen.append((key.name, key.hint, key.owner_id))

    signals.key_deleted.connect(receive)
    for delete in (lambda: ApiKey.objects.only("pk").delete(), lambda: ApiKey.objects.defer("hint").get().delete()):
        key, _ = make_key(alice, "Fetched in part")
        delete()
        assert seen.pop() == ("Fetched in part", key.hint, alice.pk)


def test_what_is_refused_is_not_told_of(told, alice, bob, restricted, bobs_account):
    key = restricted.key
    told.clear()
    with pytest.raises(ValidationError):
        key.rename("")
    with pytest.raises(ValidationError):
        key.restrict_to([bobs_account])
    with pytest.raises(AlreadyDone):
        key.rotate(expected=7)
    with pytest.raises(AlreadyDone):
        key.delete(expected=7)
    assert told == []


CHANGES = {
    "key_renamed": lambda key, account: key.rename("Another"),
    "key_scope_edited": lambda key, account: key.restrict_to([account]),
    "key_rotated": lambda key, account: key.rotate(),
    "key_deleted": lambda key, account: key.delete(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_T1_a_receiver_that_raises_undoes_the_change_on_the_instance_too(refusing, restricted, accounts, name):
    key, before = restricted.key, rows()
    shown = {**vars(key)}
    refusing(name)
    with pytest.raises(Refused):
        CHANGES[name](key, accounts.savings)
    assert rows() == before
    assert vars(key) == shown
    assert ApiKey.objects.authenticate(restricted.secret) == key


def test_T1_a_receiver_that_raises_keeps_the_owner_and_all_that_would_have_gone_along(refusing, alice, restricted):
    before = rows()
    refusing("key_deleted")
    for remove in (alice.delete, ApiKey.objects.all().delete):
        with pytest.raises(Refused), transaction.atomic():
            remove()
    assert rows() == before
    assert User.objects.filter(email=alice.email).exists()


def test_T1_after_a_refusal_the_same_instance_can_be_rotated(refusing, restricted):
    refusing("key_rotated")
    with pytest.raises(Refused):
        restricted.key.rotate()
    signals.key_rotated.receivers, kept = [], signals.key_rotated.receivers
    signals.key_rotated.sender_receivers_cache.clear()
    try:
        fresh = restricted.key.rotate()
    finally:
        signals.key_rotated.receivers = kept
    assert ApiKey.objects.authenticate(fresh) == restricted.key
