"""``ApiKey.objects.create_key()`` creates a key."""

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
from finta_keys.models.manager import ApiKeyManager
from finta_keys.nonces import RETENTION
from finta_keys.testing import make_key
from tests.factories import AccountFactory, TransactionFactory, UserFactory
from tests.finta_keys.snapshots import columns, everything, scope

SELECT = "Select at least one account, or turn on “Share all accounts”."
NOT_THERE = "At least one of these accounts is gone or belongs to another user. Select again."


def create_key(owner, name="Production", accounts=None, nonce=None):
    return ApiKey.objects.create_key(owner=owner, name=name, accounts=accounts, nonce=nonce)


def rejection(field, **arguments):
    """Return the error message of ``create_key()``, which must not change anything."""
    before = everything()
    with pytest.raises(ValidationError) as error:
        create_key(**arguments)
    assert everything() == before
    assert error.value.message_dict.keys() == {field}
    (message,) = error.value.message_dict[field]
    return message


def new_nonce(owner):
    return nonces.read(nonces.make(owner.pk), owner.pk)


def test_create_key_returns_key_and_secret(alice):
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), tick=False):
        key, made = create_key(alice, " Production ")
    assert columns(key) == {
        "id": key.pk,
        "owner_id": alice.pk,
        "name": "Production",
        "read_only": False,
        "expires_at": None,
        "name_key": "production",
        "digest": secret.digest(made, b"\x11" * 32),
        "pepper_id": secret.pepper_id(b"\x11" * 32),
        "hint": secret.hint(made),
        "share_all_accounts": True,
        "rotation": 0,
        "scope_edits": 0,
        "scope_edited_at": None,
        "created_at": dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        "rotated_at": None,
        "last_used_at": None,
    }
    assert key.secret_made_at == key.created_at


@pytest.mark.rule("K2")
def test_secret_is_in_no_table(alice):
    _, made = create_key(alice, nonce=new_nonce(alice))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # the names are our own
            assert not [row for row in cursor.fetchall() if made[10:-4] in str(row) or made.encode() in row]


@pytest.mark.rule("K2")
def test_instance_does_not_hold_the_secret(alice):
    key, made = create_key(alice)
    assert not [value for value in vars(key).values() if made[10:-4] in str(value)]
    assert made[10:-4] not in repr(key)
    assert secret.hint(made) in repr(key)
    assert str(key) == "Production"


@pytest.mark.rule("S1")
def test_key_shares_all_accounts_by_default(alice, accounts):
    key, _ = create_key(alice)
    assert columns(key)["share_all_accounts"] is True
    assert scope(key) == set()


def test_accounts_may_be_instances_or_primary_keys(alice, accounts):
    selected = [accounts.checking, accounts.savings.pk, str(accounts.cash.pk)]
    for number, iterable in enumerate(
        [selected, tuple(selected), set(selected), (account for account in selected), iter(selected)]
    ):
        key, _ = create_key(alice, f"Key {number}", iterable)
        assert columns(key)["share_all_accounts"] is False
        assert scope(key) == {accounts.checking.pk, accounts.savings.pk, accounts.cash.pk}


def test_accounts_may_be_a_queryset(alice, accounts):
    key, _ = create_key(alice, accounts=Account.objects.filter(owner=alice, name="Savings"))
    assert scope(key) == {accounts.savings.pk}


def test_duplicate_accounts_are_added_once(alice, accounts):
    pk = accounts.checking.pk
    key, _ = create_key(alice, accounts=[accounts.checking, pk, str(pk), pk.hex, accounts.checking])
    assert KeyAccountScope.objects.filter(key=key).count() == 1


@pytest.mark.rule("S1")
@pytest.mark.rule("S2")
@pytest.mark.parametrize("empty", [[], (), set(), "", Account.objects.none()], ids=lambda empty: type(empty).__name__)
def test_empty_selection_is_rejected(alice, accounts, empty):
    assert rejection("accounts", owner=alice, accounts=empty) == SELECT


@pytest.mark.rule("S6")
@pytest.mark.parametrize(
    "malformed", ["", "x", "12", "0" * 33, 0, -1, 2**200, 1.5, True, None, [], {}, "\0", "é", "\ud800"], ids=repr
)
def test_malformed_account_is_rejected(alice, accounts, malformed):
    assert rejection("accounts", owner=alice, accounts=[malformed]) == NOT_THERE
    assert rejection("accounts", owner=alice, accounts=[accounts.checking, malformed]) == NOT_THERE


@pytest.mark.rule("S6")
def test_accounts_of_others_and_missing_ones_are_rejected(alice, bob, accounts, bobs_account):
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
        assert rejection("accounts", owner=alice, accounts=[other]) == NOT_THERE
        # One invalid account rejects the whole selection.
        assert rejection("accounts", owner=alice, accounts=[accounts.checking, other]) == NOT_THERE


@pytest.mark.rule("S6")
def test_staff_cannot_select_accounts_of_others(bobs_account):
    admin = UserFactory(is_staff=True, is_superuser=True)
    assert rejection("accounts", owner=admin, accounts=[bobs_account]) == NOT_THERE


def test_failing_iterable_changes_nothing(alice, accounts):
    def failing():
        yield accounts.checking
        raise LookupError

    before = everything()
    with pytest.raises(LookupError):
        create_key(alice, accounts=failing(), nonce=new_nonce(alice))
    assert everything() == before


@pytest.mark.rule("K1")
@pytest.mark.parametrize("name", ["", "a" * 101, "two\nlines"])
def test_invalid_name_is_rejected(alice, name):
    assert rejection("name", owner=alice, name=name)


def test_inactive_owner_is_rejected(alice):
    User.objects.update(is_active=False)
    message = rejection("owner", owner=alice)
    assert message == "This user is inactive, so the key would not work. Activate the user first."


def test_deleted_owner_is_rejected(alice):
    User.objects.filter(pk=alice.pk).delete()
    assert rejection("owner", owner=alice) == "This user no longer exists. Nothing was changed."


@pytest.mark.rule("M2")
def test_creating_a_key_switches_storage_mode_on(alice, bob):
    create_key(alice)
    assert User.objects.get(pk=alice.pk).storage_mode is True
    assert User.objects.get(pk=bob.pk).storage_mode is False


@pytest.fixture
def failing_receiver():
    def fail(sender, key, **kwargs):
        assert ApiKey.objects.filter(pk=key.pk).exists()  # The key exists, inside the transaction.
        assert transaction.get_connection().in_atomic_block
        raise RuntimeError("for the test")

    signals.key_created.connect(fail)
    yield
    signals.key_created.disconnect(fail)


@pytest.mark.rule("T1")
def test_failing_receiver_undoes_the_creation(alice, accounts, failing_receiver):
    before = everything()
    with pytest.raises(RuntimeError, match="for the test"):
        create_key(alice, accounts=[accounts.checking], nonce=new_nonce(alice))
    assert everything() == before
    assert User.objects.get(pk=alice.pk).storage_mode is False


@pytest.mark.rule("M2")
@pytest.mark.rule("T1")
def test_no_key_if_storage_mode_fails(alice):
    before = everything()
    failing = mock.patch("accounts_app.storage_mode._save", side_effect=DatabaseError)
    with failing, pytest.raises(DatabaseError):
        create_key(alice)
    assert everything() == before


@pytest.mark.rule("T1")
def test_receivers_see_the_scope(alice, accounts):
    received = []

    def receive(sender, key, **kwargs):
        received.append((sender, key.pk, scope(key)))

    signals.key_created.connect(receive)
    try:
        key, _ = create_key(alice, accounts=[accounts.cash])
    finally:
        signals.key_created.disconnect(receive)
    assert received == [(ApiKey, key.pk, {accounts.cash.pk})]


@pytest.mark.rule("T2")
def test_other_constraints_are_not_taken_names(alice):
    _, taken = create_key(alice, "First")
    with mock.patch("finta_keys.secret.generate", return_value=taken), pytest.raises(IntegrityError):
        create_key(alice, "Second")
    assert ApiKey.objects.count() == 1


@pytest.mark.rule("K5")
def test_nonce_creates_one_key(alice):
    nonce = new_nonce(alice)
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


@pytest.mark.rule("K5")
def test_repeated_form_with_other_values_is_rejected(alice, accounts):
    nonce = new_nonce(alice)
    key, _ = create_key(alice, "First", nonce=nonce)
    with pytest.raises(AlreadyDone):
        create_key(alice, "Second", [accounts.checking], nonce)
    with pytest.raises(AlreadyDone):  # Not "name taken", although the first submission took it.
        create_key(alice, "First", nonce=nonce)
    assert list(ApiKey.objects.all()) == [key]


@pytest.mark.rule("K5")
def test_repeated_form_reports_the_current_key(alice):
    nonce = new_nonce(alice)
    key, _ = create_key(alice, "First", nonce=nonce)
    ApiKey.objects.get(pk=key.pk).rename("Renamed")
    with pytest.raises(AlreadyDone) as done:
        create_key(alice, "First", nonce=nonce)
    assert done.value.key.name == "Renamed"


@pytest.mark.rule("K5")
def test_repeated_form_does_not_restore_deleted_key(alice):
    nonce = new_nonce(alice)
    key, made = create_key(alice, nonce=nonce)
    key.delete()
    with pytest.raises(AlreadyDone) as done:
        create_key(alice, nonce=nonce)
    assert done.value.key is None
    assert not ApiKey.objects.exists()
    assert ApiKey.objects.authenticate(made) is None


@pytest.mark.rule("K5")
def test_spent_nonce_hides_keys_of_others(alice, bob):
    """Forms reject the nonce of another user before; a caller in Python can pass it."""
    nonce = new_nonce(alice)
    create_key(alice, nonce=nonce)
    with pytest.raises(AlreadyDone) as done:
        create_key(bob, nonce=nonce)
    assert done.value.key is None
    assert not ApiKey.objects.filter(owner=bob).exists()


@pytest.mark.rule("K5")
def test_two_nonces_create_two_keys(alice):
    create_key(alice, "First", nonce=new_nonce(alice))
    create_key(alice, "Second", nonce=new_nonce(alice))
    create_key(alice, "Third")
    assert ApiKey.objects.count() == 3


@pytest.mark.rule("K5")
def test_rejected_form_does_not_spend_its_nonce(alice, accounts, bobs_account):
    nonce = new_nonce(alice)
    make_key(alice, "Taken")
    for name, selected in [("", None), ("taken", None), ("Production", []), ("Production", [bobs_account])]:
        with pytest.raises(ValidationError) as error:
            create_key(alice, name, selected, nonce)
        assert not isinstance(error.value, AlreadyDone)
    assert not CreateNonce.objects.exists()
    key, _ = create_key(alice, "Production", [accounts.cash], nonce)
    assert CreateNonce.objects.get().key_id == key.pk
    assert str(CreateNonce.objects.get()) == nonce


@pytest.mark.rule("K5")
def test_secret_is_not_derived_from_the_nonce(alice):
    nonce = new_nonce(alice)
    made = []
    for _ in range(2):
        with transaction.atomic():
            made.append(create_key(alice, nonce=nonce)[1])
            transaction.set_rollback(True)
    assert made[0] != made[1]


@pytest.mark.rule("K5")
def test_spent_nonces_outlive_forms(alice):
    """Purging them is safe, because ``nonces.read()`` rejects the form by then."""
    start = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    with time_machine.travel(start, tick=False) as clock:
        form = nonces.make(alice.pk)
        create_key(alice, "First", nonce=nonces.read(form, alice.pk))
        clock.shift(nonces.MAX_AGE)
        create_key(alice, "Second", nonce=new_nonce(alice))
        with pytest.raises(AlreadyDone):
            create_key(alice, "Third", nonce=nonces.read(form, alice.pk))
        clock.shift(RETENTION - nonces.MAX_AGE + dt.timedelta(seconds=1))
        create_key(alice, "Fourth", nonce=new_nonce(alice))
        assert CreateNonce.objects.count() == 2  # The first is purged.
        with pytest.raises(signing.SignatureExpired):
            nonces.read(form, alice.pk)
    assert RETENTION > nonces.MAX_AGE


@pytest.mark.rule("K5")
def test_nonce_spent_in_the_future_stays_spent(alice):
    nonce = new_nonce(alice)
    CreateNonce.objects.create(value=nonce, key_id=uuid.uuid4(), spent_at=timezone.now() + dt.timedelta(days=400))
    with pytest.raises(AlreadyDone):
        create_key(alice, nonce=nonce)


def test_arguments_are_keyword_only():
    with pytest.raises(TypeError):
        ApiKeyManager().create_key(None, "Production")


@pytest.mark.rule("K5")
def test_repeated_form_reports_its_own_key(alice):
    nonce = new_nonce(alice)
    first, _ = create_key(alice, "First", nonce=nonce)
    make_key(alice, "Newer")
    with pytest.raises(AlreadyDone) as done:
        create_key(alice, "Again", nonce=nonce)
    assert done.value.key == first


@pytest.mark.rule("K5")
def test_is_spent_ends_an_hour_before_purging(restricted):
    now = timezone.now()
    CreateNonce.objects.create(value="n" * 43, key_id=restricted.key.pk, spent_at=now)
    with time_machine.travel(now + RETENTION - dt.timedelta(minutes=61), tick=False):
        assert CreateNonce.is_spent("n" * 43)
        assert not CreateNonce.is_spent("m" * 43)
    with time_machine.travel(now + RETENTION - dt.timedelta(minutes=59), tick=False):
        assert not CreateNonce.is_spent("n" * 43)
