"""Creating a key: ``ApiKey.objects.create_key()``."""

import datetime as dt
import uuid
from unittest import mock

import pytest
import time_machine
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts_app.models import Account, User
from finta_keys import nonces, secret, signals
from finta_keys.models import AlreadyDone, ApiKey, CreateNonce, KeyAccountScope
from finta_keys.models.key import ApiKeyManager
from finta_keys.nonces import NONCE_KEPT
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory, UserFactory
from tests.finta_keys.snapshots import columns, everything, scope

CHOOSE = "Choose at least one account, or turn on “Share all accounts”."
NOT_THERE = "One of these accounts is not there any more, or is not this owner's. Choose again."


def create_key(owner, name="Production", accounts=None, nonce=None):
    return ApiKey.objects.create_key(owner=owner, name=name, accounts=accounts, nonce=nonce)


def refused(field, **arguments):
    """Issue, expect a refusal that changes nothing, and return its message."""
    before = everything()
    with pytest.raises(ValidationError) as refusal:
        create_key(**arguments)
    assert everything() == before
    assert refusal.value.message_dict.keys() == {field}
    (message,) = refusal.value.message_dict[field]
    return message


def fresh_nonce(owner):
    return nonces.read(nonces.make(owner.pk), owner.pk)


def test_create_key_returns_key_and_secret(alice):
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), tick=False):
        key, made = create_key(alice, " Production ")
    assert columns(key) == {
        "id": key.pk,
        "owner_id": alice.pk,
        "name": "Production",
        "name_key": "production",
        "digest": secret.digest(made, b"\x11" * 32),
        "pepper_id": secret.pepper_id(b"\x11" * 32),
        "hint": secret.hint(made),
        "share_all_accounts": True,
        "rotation": 0,
        "created_at": dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        "rotated_at": None,
        "last_used_at": None,
    }
    assert key.secret_made_at == key.created_at


def test_K2_the_secret_is_in_no_column_of_any_table(alice):
    _, made = create_key(alice, nonce=fresh_nonce(alice))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # the names are our own
            assert not [row for row in cursor.fetchall() if made[10:-4] in str(row) or made.encode() in row]


def test_K2_the_key_in_memory_does_not_hold_the_secret(alice):
    key, made = create_key(alice)
    assert not [value for value in vars(key).values() if made[10:-4] in str(value)]
    assert made[10:-4] not in repr(key)
    assert secret.hint(made) in repr(key)
    assert str(key) == "Production"


def test_S1_a_key_shares_all_accounts_unless_told_otherwise(alice, accounts):
    key, _ = create_key(alice)
    assert columns(key)["share_all_accounts"] is True
    assert scope(key) == set()


def test_S6_accounts_may_be_instances_or_primary_keys_in_any_iterable(alice, accounts):
    chosen = [accounts.checking, accounts.savings.pk, str(accounts.cash.pk)]
    for number, given in enumerate([chosen, tuple(chosen), set(chosen), (each for each in chosen), iter(chosen)]):
        key, _ = create_key(alice, f"Key {number}", given)
        assert columns(key)["share_all_accounts"] is False
        assert scope(key) == {accounts.checking.pk, accounts.savings.pk, accounts.cash.pk}


def test_S6_a_queryset_of_accounts_is_accepted(alice, accounts):
    key, _ = create_key(alice, accounts=Account.objects.filter(owner=alice, name="Savings"))
    assert scope(key) == {accounts.savings.pk}


def test_S6_an_account_that_is_chosen_twice_is_in_the_scope_once(alice, accounts):
    pk = accounts.checking.pk
    key, _ = create_key(alice, accounts=[accounts.checking, pk, str(pk), pk.hex, accounts.checking])
    assert KeyAccountScope.objects.filter(key=key).count() == 1


@pytest.mark.parametrize("nothing", [[], (), set(), "", Account.objects.none()], ids=lambda given: type(given).__name__)
def test_S2_none_chosen_is_refused_and_is_never_taken_for_all(alice, accounts, nothing):
    assert refused("accounts", owner=alice, accounts=nothing) == CHOOSE


@pytest.mark.parametrize(
    "malformed", ["", "x", "12", "0" * 33, 0, -1, 2**200, 1.5, True, None, [], {}, "\0", "é", "\ud800"], ids=repr
)
def test_S6_a_malformed_account_is_refused(alice, accounts, malformed):
    assert refused("accounts", owner=alice, accounts=[malformed]) == NOT_THERE
    assert refused("accounts", owner=alice, accounts=[accounts.checking, malformed]) == NOT_THERE


def test_S6_accounts_that_are_foreign_missing_unsaved_or_no_accounts_are_refused_alike(
    alice, bob, accounts, bobs_account
):
    others = [
        bobs_account,
        bobs_account.pk,
        str(bobs_account.pk),
        uuid.uuid4(),
        AccountFactory.build(owner=alice),
        bob,
        alice,
        TransactionFactory(account=accounts.checking),
    ]
    for other in others:
        assert refused("accounts", owner=alice, accounts=[other]) == NOT_THERE
        # A choice that is partly good is refused wholly.
        assert refused("accounts", owner=alice, accounts=[accounts.checking, other]) == NOT_THERE


def test_S6_a_member_of_the_staff_cannot_choose_somebody_elses_account_either(bobs_account):
    admin = UserFactory(is_staff=True, is_superuser=True)
    assert refused("accounts", owner=admin, accounts=[bobs_account]) == NOT_THERE


def test_an_iterable_that_fails_leaves_nothing_behind(alice, accounts):
    def failing():
        yield accounts.checking
        raise LookupError

    before = everything()
    with pytest.raises(LookupError):
        create_key(alice, accounts=failing(), nonce=fresh_nonce(alice))
    assert everything() == before


@pytest.mark.parametrize("name", ["", "a" * 101, "two\nlines"])
def test_K1_a_name_that_cannot_be_one_is_refused(alice, name):
    assert refused("name", owner=alice, name=name)


def test_a_deactivated_owner_is_refused(alice):
    User.objects.update(is_active=False)
    message = refused("owner", owner=alice)
    assert message == "This user is deactivated, so their keys cannot be used. Activate the user first."


def test_a_deleted_owner_is_refused(alice):
    User.objects.filter(pk=alice.pk).delete()
    assert refused("owner", owner=alice) == "This user no longer exists. Nothing was changed."


def test_M2_creating_a_key_switches_storage_mode_on(alice, bob):
    create_key(alice)
    assert User.objects.get(pk=alice.pk).storage_mode is True
    assert User.objects.get(pk=bob.pk).storage_mode is False


def test_M2_where_storage_mode_is_on_it_stays_on(alice):
    create_key(alice)
    create_key(alice, "Second")
    assert User.objects.get(pk=alice.pk).storage_mode is True


@pytest.fixture
def failing_receiver():
    def fail(sender, key, **kwargs):
        assert ApiKey.objects.filter(pk=key.pk).exists()  # Sent inside the transaction, the key made already.
        assert transaction.get_connection().in_atomic_block
        raise RuntimeError("for the test")

    signals.key_created.connect(fail)
    yield
    signals.key_created.disconnect(fail)


def test_T1_a_receiver_that_fails_undoes_the_creation(alice, accounts, failing_receiver):
    before = everything()
    with pytest.raises(RuntimeError, match="for the test"):
        create_key(alice, accounts=[accounts.checking], nonce=fresh_nonce(alice))
    assert everything() == before
    assert User.objects.get(pk=alice.pk).storage_mode is False


def test_T1_if_storage_mode_cannot_be_switched_on_there_is_no_key(alice):
    before = everything()
    failing = mock.patch("accounts_app.storage_mode._save", side_effect=DatabaseError)
    with failing, pytest.raises(DatabaseError):
        create_key(alice)
    assert everything() == before


def test_T1_receivers_are_told_the_key_with_its_scope(alice, accounts):
    told = []

    def receive(sender, key, **kwargs):
        told.append((sender, key.pk, scope(key)))

    signals.key_created.connect(receive)
    try:
        key, _ = create_key(alice, accounts=[accounts.cash])
    finally:
        signals.key_created.disconnect(receive)
    assert told == [(ApiKey, key.pk, {accounts.cash.pk})]


def test_T2_a_constraint_that_is_not_about_the_name_is_not_shown_as_a_taken_name(alice):
    _, taken = create_key(alice, "First")
    with mock.patch("finta_keys.secret.generate", return_value=taken), pytest.raises(IntegrityError):
        create_key(alice, "Second")
    assert ApiKey.objects.count() == 1


def test_K5_a_nonce_gives_one_key(alice):
    nonce = fresh_nonce(alice)
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, 3, tzinfo=dt.UTC), tick=False):
        key, made = create_key(alice, nonce=nonce)
        before = everything()
        with pytest.raises(AlreadyDone) as done:
            create_key(alice, nonce=nonce)
    assert done.value.key == key
    assert done.value.at == dt.datetime(2026, 3, 1, 12, 3, tzinfo=dt.UTC)
    assert done.value.messages == ["This was already done. Nothing was changed."]
    assert everything() == before
    assert ApiKey.objects.authenticate(made) == key


def test_K5_a_repeated_submit_with_other_values_makes_no_second_key(alice, accounts):
    nonce = fresh_nonce(alice)
    key, _ = create_key(alice, "First", nonce=nonce)
    with pytest.raises(AlreadyDone):
        create_key(alice, "Second", [accounts.checking], nonce)
    with pytest.raises(AlreadyDone):  # It is told before the name is, which the first submit took.
        create_key(alice, "First", nonce=nonce)
    assert list(ApiKey.objects.all()) == [key]


def test_K5_a_repeated_submit_tells_the_key_as_it_is_now(alice):
    nonce = fresh_nonce(alice)
    key, _ = create_key(alice, "First", nonce=nonce)
    ApiKey.objects.get(pk=key.pk).rename("Renamed")
    with pytest.raises(AlreadyDone) as done:
        create_key(alice, "First", nonce=nonce)
    assert done.value.key.name == "Renamed"


def test_K5_create_delete_and_the_same_form_again_brings_no_key_back(alice):
    nonce = fresh_nonce(alice)
    key, made = create_key(alice, nonce=nonce)
    key.delete()
    with pytest.raises(AlreadyDone) as done:
        create_key(alice, nonce=nonce)
    assert done.value.key is None
    assert not ApiKey.objects.exists()
    assert ApiKey.objects.authenticate(made) is None


def test_K5_a_spent_nonce_never_tells_somebody_elses_key(alice, bob):
    """A form cannot get here with another's nonce; a caller in Python could."""
    nonce = fresh_nonce(alice)
    create_key(alice, nonce=nonce)
    with pytest.raises(AlreadyDone) as done:
        create_key(bob, nonce=nonce)
    assert done.value.key is None
    assert not ApiKey.objects.filter(owner=bob).exists()


def test_K5_two_nonces_give_two_keys(alice):
    create_key(alice, "First", nonce=fresh_nonce(alice))
    create_key(alice, "Second", nonce=fresh_nonce(alice))
    create_key(alice, "Third")
    assert ApiKey.objects.count() == 3


def test_K5_a_refused_form_does_not_spend_its_nonce(alice, accounts, bobs_account):
    nonce = fresh_nonce(alice)
    make_key(alice, "Taken")
    for name, chosen in [("", None), ("taken", None), ("Production", []), ("Production", [bobs_account])]:
        with pytest.raises(ValidationError) as refusal:
            create_key(alice, name, chosen, nonce)
        assert not isinstance(refusal.value, AlreadyDone)
    assert not CreateNonce.objects.exists()
    key, _ = create_key(alice, "Production", [accounts.cash], nonce)
    assert CreateNonce.objects.get().key_id == key.pk
    assert str(CreateNonce.objects.get()) == nonce


def test_K5_the_secret_does_not_come_from_the_nonce(alice):
    nonce = fresh_nonce(alice)
    made = []
    for _ in range(2):
        with transaction.atomic():
            made.append(create_key(alice, nonce=nonce)[1])
            transaction.set_rollback(True)
    assert made[0] != made[1]


def test_K5_spent_nonces_are_kept_for_longer_than_any_form_is_accepted(alice):
    """So purging them is safe: by then ``nonces.read()`` refuses the form."""
    start = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    with time_machine.travel(start, tick=False) as clock:
        form = nonces.make(alice.pk)
        create_key(alice, "First", nonce=nonces.read(form, alice.pk))
        clock.shift(nonces.MAX_AGE)
        create_key(alice, "Second", nonce=fresh_nonce(alice))
        with pytest.raises(AlreadyDone):
            create_key(alice, "Third", nonce=nonces.read(form, alice.pk))
        clock.shift(NONCE_KEPT - nonces.MAX_AGE + dt.timedelta(seconds=1))
        create_key(alice, "Fourth", nonce=fresh_nonce(alice))
        assert CreateNonce.objects.count() == 2  # The first is purged.
        with pytest.raises(signing.SignatureExpired):
            nonces.read(form, alice.pk)
    assert NONCE_KEPT > nonces.MAX_AGE


def test_K5_a_nonce_spent_in_the_future_by_a_wrong_clock_stays_spent(alice):
    nonce = fresh_nonce(alice)
    CreateNonce.objects.create(value=nonce, key_id=uuid.uuid4(), spent_at=timezone.now() + dt.timedelta(days=400))
    with pytest.raises(AlreadyDone):
        create_key(alice, nonce=nonce)


def test_X1_two_keys_have_different_secrets_digests_and_hints(alice):
    (one, one_secret), (two, two_secret) = create_key(alice, "One"), create_key(alice, "Two")
    assert one_secret != two_secret
    assert bytes(one.digest) != bytes(two.digest)


def test_everything_is_given_by_name():
    with pytest.raises(TypeError):
        ApiKeyManager().create_key(None, "Production")
