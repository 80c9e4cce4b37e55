"""Signals for each change of a key, sent in its transaction."""

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
def sent():
    """The signals that were sent: the name of each, the key's name at that time, and the other arguments."""
    calls, receivers = [], []
    for name in NAMES:

        def receive(sender, signal, key, _name=name, **arguments):
            assert sender is ApiKey
            assert connection.in_atomic_block
            calls.append((_name, key.name, arguments))

        receivers.append(receive)
        getattr(signals, name).connect(receive)
    yield calls
    for name, receive in zip(NAMES, receivers, strict=True):
        getattr(signals, name).disconnect(receive)


class Failure(Exception):
    pass


@pytest.fixture
def fail_on():
    """Connect a receiver that raises: ``fail_on("key_renamed")``."""
    connected = []

    def connect(name):
        def fail(**kwargs):
            raise Failure

        connected.append((getattr(signals, name), fail))
        getattr(signals, name).connect(fail)

    yield connect
    for signal, fail in connected:
        signal.disconnect(fail)


def rows():
    return list(ApiKey.objects.order_by("pk").values()), list(
        ApiKey.accounts.through.objects.order_by("pk").values("key", "account")
    )


def test_every_change_sends_a_signal(sent, alice, accounts):
    key, first = make_key(alice, "Laptop")
    key.rename("Desktop")
    key.restrict_to([accounts.checking])
    key.share_all()
    hint = key.hint
    key.rotate()
    key.delete()
    assert sent == [
        ("key_created", "Laptop", {}),
        ("key_renamed", "Desktop", {"old_name": "Laptop"}),
        ("key_scope_edited", "Desktop", {}),
        ("key_scope_edited", "Desktop", {}),
        ("key_rotated", "Desktop", {"old_hint": hint}),
        ("key_deleted", "Desktop", {}),
    ]
    assert first not in str(sent)


def test_receivers_see_the_new_scope(alice, accounts):
    key, _ = make_key(alice, "Laptop", [accounts.checking])
    received = []

    def receive(key, **kwargs):
        received.append(None if key.share_all_accounts else {row.account_id for row in key.scope_rows.all()})

    signals.key_scope_edited.connect(receive)
    try:
        key.restrict_to([accounts.savings])
        key.share_all()
        key.restrict_to([accounts.checking])
        with key.locked() as current:
            account = AccountFactory(owner=alice)
            current.add_to_scope(account)
    finally:
        signals.key_scope_edited.disconnect(receive)
    assert received == [{accounts.savings.pk}, None, {accounts.checking.pk}, {accounts.checking.pk, account.pk}]


def test_adding_to_unrestricted_key_sends_nothing(sent, alice, unrestricted):
    sent.clear()
    with unrestricted.key.locked() as current:
        current.add_to_scope(AccountFactory(owner=alice))
    assert sent == []


@pytest.mark.parametrize(
    "remove", [lambda alice: alice.delete(), lambda alice: User.objects.filter(pk=alice.pk).delete()]
)
def test_deleting_the_owner_sends_key_deleted(sent, alice, accounts, bob, remove):
    make_key(alice, "One")
    make_key(alice, "Two", [accounts.checking])
    make_key(bob, "His")
    sent.clear()
    remove(alice)
    assert sorted(sent) == [("key_deleted", "One", {}), ("key_deleted", "Two", {})]


def test_bulk_deletion_sends_key_deleted(alice, accounts):
    keys = {make_key(alice, f"Key {number}")[0].pk for number in range(3)}
    received = []

    def receive(key, **kwargs):
        assert not key.get_deferred_fields()
        received.append(key.pk)

    signals.key_deleted.connect(receive)
    try:
        ApiKey.objects.all().delete()
    finally:
        signals.key_deleted.disconnect(receive)
    assert len(received) == 3
    assert set(received) == keys


def test_deletion_by_proxy_sends_key_deleted(sent, alice):
    with isolate_apps("finta_keys"):

        class ProjectKey(ApiKey):
            class Meta:
                app_label = "finta_keys"
                proxy = True

    for name in ("First", "Second"):
        make_key(alice, name)
    sent.clear()
    ProjectKey.objects.get(name="First").delete()
    ProjectKey.objects.all().delete()
    assert sent == [("key_deleted", "First", {}), ("key_deleted", "Second", {})]


def test_deferred_fields_are_loaded_before_deletion(alice):
    received = []

    def receive(key, **kwargs):
        received.append((key.name, key.hint, key.owner_id))

    signals.key_deleted.connect(receive)
    for delete in (lambda: ApiKey.objects.only("pk").delete(), lambda: ApiKey.objects.defer("hint").get().delete()):
        key, _ = make_key(alice, "Deferred")
        delete()
        assert received.pop() == ("Deferred", key.hint, alice.pk)


def test_rejected_changes_send_nothing(sent, alice, bob, restricted, bobs_account):
    key = restricted.key
    sent.clear()
    with pytest.raises(ValidationError):
        key.rename("")
    with pytest.raises(ValidationError):
        key.restrict_to([bobs_account])
    with pytest.raises(AlreadyDone):
        key.rotate(expected=7)
    with pytest.raises(AlreadyDone):
        key.delete(expected=7)
    assert sent == []


CHANGES = {
    "key_renamed": lambda key, account: key.rename("Another"),
    "key_scope_edited": lambda key, account: key.restrict_to([account]),
    "key_rotated": lambda key, account: key.rotate(),
    "key_deleted": lambda key, account: key.delete(),
}


@pytest.mark.rule("T1")
@pytest.mark.parametrize("name", CHANGES)
def test_failing_receiver_undoes_the_change(fail_on, restricted, accounts, name):
    key, before = restricted.key, rows()
    attributes = {**vars(key)}
    fail_on(name)
    with pytest.raises(Failure):
        CHANGES[name](key, accounts.savings)
    assert rows() == before
    assert vars(key) == attributes
    assert ApiKey.objects.authenticate(restricted.secret) == key


@pytest.mark.rule("T1")
def test_failing_receiver_undoes_a_new_account(fail_on, alice, restricted):
    before = rows()
    fail_on("key_scope_edited")
    with pytest.raises(Failure), restricted.key.locked() as key:
        key.add_to_scope(AccountFactory(owner=alice, name="New"))
    assert rows() == before
    assert not alice.accounts.filter(name="New").exists()


@pytest.mark.rule("T1")
def test_failing_receiver_keeps_the_owner(fail_on, alice, restricted):
    before = rows()
    fail_on("key_deleted")
    for remove in (alice.delete, ApiKey.objects.all().delete):
        with pytest.raises(Failure), transaction.atomic():
            remove()
    assert rows() == before
    assert User.objects.filter(email=alice.email).exists()


@pytest.mark.rule("T1")
def test_instance_can_be_rotated_after_failure(fail_on, restricted):
    fail_on("key_rotated")
    with pytest.raises(Failure):
        restricted.key.rotate()
    signals.key_rotated.receivers, connected = [], signals.key_rotated.receivers
    signals.key_rotated.sender_receivers_cache.clear()
    try:
        fresh = restricted.key.rotate()
    finally:
        signals.key_rotated.receivers = connected
    assert ApiKey.objects.authenticate(fresh) == restricted.key
