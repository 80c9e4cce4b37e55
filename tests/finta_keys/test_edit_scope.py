"""``key.restrict_to()``, ``key.share_all()`` and ``key.add_to_scope()``."""

import uuid
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from accounts_app.models import Account, User
from finta_keys import owners
from finta_keys.models import AlreadyDone, ApiKey, KeyAccountScope
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope

EDIT_COLUMNS = {"scope_edits", "scope_edited_at"}


def accessible(key):
    """Return the names of the accounts that the stored key can access."""
    return set(ApiKey.objects.get(pk=key.pk).scoped(Account.objects.all()).values_list("name", flat=True))


@pytest.mark.rule("K3")
def test_restrict_to_changes_only_scope(unrestricted, accounts):
    before = columns(unrestricted.key)
    unrestricted.key.restrict_to([accounts.savings, accounts.cash])
    assert changed(before, columns(unrestricted.key)) == {"share_all_accounts", *EDIT_COLUMNS}
    assert scope(unrestricted.key) == {accounts.savings.pk, accounts.cash.pk}
    assert unrestricted.key.share_all_accounts is False
    assert accessible(unrestricted.key) == {"Savings", "Cash"}


@pytest.mark.rule("K3")
def test_restrict_to_replaces_scope(restricted, accounts):
    before = columns(restricted.key)
    restricted.key.restrict_to([accounts.savings.pk])
    assert changed(before, columns(restricted.key)) == EDIT_COLUMNS
    assert accessible(restricted.key) == {"Savings"}


def test_restrict_to_keeps_unchanged_rows(restricted, accounts):
    row = KeyAccountScope.objects.get(key=restricted.key)
    restricted.key.restrict_to([accounts.checking, accounts.cash])
    assert row in KeyAccountScope.objects.filter(key=restricted.key)


@pytest.mark.rule("K3")
def test_share_all_changes_only_scope(restricted):
    before = columns(restricted.key)
    restricted.key.share_all()
    assert changed(before, columns(restricted.key)) == {"share_all_accounts", *EDIT_COLUMNS}
    assert restricted.key.share_all_accounts is True
    assert scope(restricted.key) == set()
    assert accessible(restricted.key) == {"Checking", "Savings", "Cash"}


@pytest.mark.rule("S1")
def test_share_all_includes_future_accounts(alice, restricted):
    restricted.key.share_all()
    AccountFactory(owner=alice, name="New")
    assert "New" in accessible(restricted.key)


@pytest.mark.rule("S1")
def test_restricted_key_excludes_future_accounts(alice, restricted):
    AccountFactory(owner=alice, name="New")
    assert accessible(restricted.key) == {"Checking"}


def test_earlier_scope_is_not_restored(restricted, accounts):
    """Sharing all accounts removes the scope rows."""
    restricted.key.share_all()
    restricted.key.restrict_to([accounts.cash])
    assert accessible(restricted.key) == {"Cash"}


@pytest.mark.rule("K3")
def test_scope_edit_leaves_other_keys_alone(alice, bob, restricted, accounts, bobs_account):
    twin, _ = make_key(alice, "Twin", [accounts.checking])
    bobs, _ = make_key(bob, "Restricted", [bobs_account])
    restricted.key.restrict_to([accounts.cash])
    restricted.key.share_all()
    assert (accessible(twin), accessible(bobs)) == ({"Checking"}, {"Bob's"})


@pytest.mark.rule("K3")
def test_scope_edit_keeps_secret(restricted, accounts):
    restricted.key.restrict_to([accounts.cash])
    restricted.key.share_all()
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


@pytest.mark.rule("K3")
@pytest.mark.parametrize("edit", ["restrict", "share"])
def test_scope_edit_keeps_concurrent_rotation(restricted, accounts, edit):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    after_rotation = columns(restricted.key)
    stale.share_all() if edit == "share" else stale.restrict_to([accounts.cash])
    assert changed(after_rotation, columns(restricted.key)) <= {"share_all_accounts", *EDIT_COLUMNS}
    assert ApiKey.objects.authenticate(fresh) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None


@pytest.mark.rule("K3")
def test_scope_edit_keeps_concurrent_rename(restricted, accounts):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rename("Laptop")
    stale.restrict_to([accounts.cash])
    stale.share_all()
    assert columns(restricted.key)["name"] == "Laptop"


@pytest.mark.rule("K3")
def test_later_scope_edit_wins(restricted, accounts):
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    one.share_all()
    other.restrict_to([accounts.savings])
    assert accessible(restricted.key) == {"Savings"}
    one.restrict_to([accounts.cash])
    other.share_all()
    assert accessible(restricted.key) == {"Checking", "Savings", "Cash"}
    assert scope(restricted.key) == set()


@pytest.mark.rule("K3")
def test_deleted_key_cannot_be_edited(restricted, accounts):
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    for edit in (one.share_all, lambda: other.restrict_to([accounts.cash])):
        with pytest.raises(ApiKey.DoesNotExist):
            edit()
    assert not ApiKey.objects.exists()
    assert not KeyAccountScope.objects.exists()


@pytest.mark.rule("S2")
@pytest.mark.parametrize("nothing", [[], (), set(), "", Account.objects.none()], ids=lambda given: type(given).__name__)
@pytest.mark.parametrize("kind", ["restricted", "unrestricted"])
def test_restrict_to_rejects_empty_scope(request, kind, nothing):
    key = request.getfixturevalue(kind).key
    before, before_attributes = everything(), attributes(key)
    with pytest.raises(ValidationError) as refusal:
        key.restrict_to(nothing)
    message = "Select at least one account, or turn on “Share all accounts”."
    assert refusal.value.message_dict == {"accounts": [message]}
    assert everything() == before
    assert attributes(key) == before_attributes


@pytest.mark.rule("S1")
def test_restrict_to_rejects_none(restricted):
    """``None`` means all accounts in ``create_key()``; for an existing key that is ``share_all()``."""
    before = everything()
    with pytest.raises(TypeError):
        restricted.key.restrict_to(None)
    assert everything() == before


@pytest.mark.rule("S6")
def test_foreign_missing_and_malformed_accounts_are_rejected(restricted, unrestricted, accounts, bobs_account):
    before = everything()
    for key in (restricted.key, unrestricted.key):
        before_attributes = attributes(key)
        for other in [bobs_account, bobs_account.pk, str(bobs_account.pk), uuid.uuid4(), "x", 0, None, {}, "\ud800"]:
            for selected in ([other], [accounts.cash, other], iter([other, accounts.cash])):
                with pytest.raises(ValidationError) as refusal:
                    key.restrict_to(selected)
                message = "At least one of these accounts is gone or belongs to another user. Select again."
                assert refusal.value.message_dict == {"accounts": [message]}
        assert attributes(key) == before_attributes
    assert everything() == before


@pytest.mark.rule("S6")
def test_deleted_or_transferred_account_is_rejected(bob, restricted, accounts):
    loaded = [accounts.savings, accounts.cash]
    Account.objects.filter(pk=accounts.savings.pk).delete()
    Account.objects.filter(pk=accounts.cash.pk).update(owner=bob)
    for account in loaded:
        with pytest.raises(ValidationError):
            restricted.key.restrict_to([account])
    assert accessible(restricted.key) == {"Checking"}


@pytest.mark.rule("S6")
def test_inherited_primary_key_is_validated(restricted):
    """With multi-table inheritance, the primary key is a relation, which does not check the range."""
    with isolate_apps("accounts_app"):

        class Place(models.Model):
            id = models.IntegerField(primary_key=True)

            class Meta:
                app_label = "accounts_app"

            def __str__(self):
                return ""

        class Shop(Place):
            class Meta:
                app_label = "accounts_app"

            def __str__(self):
                return ""

    assert owners._primary_key(Shop, "7") == owners._primary_key(Shop, Shop(pk=7)) == 7
    for malformed in ("9" * 30, "x", None):
        with pytest.raises(ValidationError):
            owners._primary_key(Shop, malformed)


@pytest.mark.rule("S6")
def test_accounts_can_be_instances_or_keys(restricted, accounts):
    pk = accounts.cash.pk
    restricted.key.restrict_to(account for account in [accounts.cash, pk, str(pk), pk.hex.upper(), accounts.savings])
    assert accessible(restricted.key) == {"Cash", "Savings"}
    assert KeyAccountScope.objects.count() == 2


class WithOwner(models.Manager):
    def get_queryset(self):
        return super().get_queryset().select_related("owner")


@pytest.mark.rule("T2")
def test_lock_query_has_no_joins(monkeypatch, restricted, accounts):
    """PostgreSQL cannot lock outer joins, which an ordering or a manager may add."""
    manager = WithOwner()
    manager.model, manager.name = Account, "_base_manager"
    monkeypatch.setitem(vars(Account._meta), "base_manager", manager)
    monkeypatch.setattr(User._meta, "ordering", ["finta_keys__name"])
    with CaptureQueriesContext(connection) as queries:
        restricted.key.restrict_to([accounts.savings])
    assert not [query["sql"] for query in queries if " JOIN " in query["sql"]]
    assert scope(restricted.key) == {accounts.savings.pk}


@pytest.mark.rule("S6")
def test_closed_account_can_be_selected(restricted, accounts):
    accounts.cash.close()
    restricted.key.restrict_to([accounts.cash])
    assert accessible(restricted.key) == {"Cash"}


@pytest.mark.rule("S1")
@pytest.mark.parametrize("method", ["instance", "queryset"])
def test_empty_scope_shows_nothing(restricted, accounts, method):
    accounts.checking.delete() if method == "instance" else Account.objects.filter(pk=accounts.checking.pk).delete()
    assert scope(restricted.key) == set()
    assert columns(restricted.key)["share_all_accounts"] is False
    assert accessible(restricted.key) == set()
    assert restricted.client.get("/v2/accounts?status=all").json() == {"accounts": []}
    assert restricted.client.get("/v2/transactions?status=all").json()["transactions"] == []


@pytest.mark.rule("S1")
def test_recreated_account_stays_outside_scope(alice, restricted, accounts):
    Account.objects.filter(owner=alice).delete()
    AccountFactory(owner=alice, id=accounts.checking.pk)
    assert accessible(restricted.key) == set()


def transfer(account, owner, method):
    if method == "save":
        account = Account.objects.get(pk=account.pk)
        account.owner = owner
        account.save()
    else:
        Account.objects.filter(pk=account.pk).update(owner=owner)


@pytest.mark.rule("S3")
@pytest.mark.parametrize("method", ["save", "update"])
def test_transferred_account_leaves_scope_until_returned(
    alice, bob, restricted, unrestricted, accounts, bobs_account, method
):
    bobs_all, _ = make_key(bob, "All")
    bobs_own, _ = make_key(bob, "Own", [bobs_account])
    transfer(accounts.checking, bob, method)
    assert accessible(restricted.key) == set()
    assert accessible(unrestricted.key) == {"Savings", "Cash"}
    assert accessible(bobs_all) == {"Bob's", "Checking"}
    assert accessible(bobs_own) == {"Bob's"}
    transfer(accounts.checking, alice, method)
    assert accessible(restricted.key) == {"Checking"}
    assert accessible(unrestricted.key) == {"Checking", "Savings", "Cash"}
    assert accessible(bobs_all) == {"Bob's"}


@pytest.mark.rule("S3")
def test_scope_row_of_foreign_account_shows_nothing(restricted, bobs_account):
    """Every query includes the owner, so even such a row has no effect."""
    KeyAccountScope.objects.create(key=restricted.key, account=bobs_account)
    assert accessible(restricted.key) == {"Checking"}


@pytest.mark.rule("S1")
def test_unrestricted_key_ignores_scope_rows(unrestricted, accounts):
    KeyAccountScope.objects.create(key=unrestricted.key, account=accounts.cash)
    assert accessible(unrestricted.key) == {"Checking", "Savings", "Cash"}


@pytest.mark.rule("S5")
def test_add_to_scope_changes_only_this_key(alice, restricted, accounts):
    twin, _ = make_key(alice, "Twin", [accounts.checking])
    with restricted.key.locked() as key:
        account = Account.objects.create_manual(
            owner_id=key.owner_id, name="Made", type="other", currency="EUR", current_balance=0
        )
        key.add_to_scope(account)
    assert accessible(restricted.key) == {"Checking", "Made"}
    assert accessible(twin) == {"Checking"}


@pytest.mark.rule("S5")
def test_add_to_scope_ignores_unrestricted_key(unrestricted, accounts):
    with unrestricted.key.locked() as key:
        key.add_to_scope(accounts.cash)
    assert scope(unrestricted.key) == set()


@pytest.mark.rule("S5")
def test_add_to_scope_reads_current_scope(restricted, accounts):
    """The key was opened to all accounts after the request was authenticated."""
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.share_all()
    with authenticated.locked() as key:
        key.add_to_scope(accounts.cash)
    assert scope(restricted.key) == set()


def test_scope_row_has_readable_str(restricted, accounts):
    assert str(KeyAccountScope.objects.get()) == f"{restricted.key.pk} can access {accounts.checking.pk}"


@pytest.mark.rule("K5")
@pytest.mark.parametrize("edit", ["restrict", "share"])
def test_stale_scope_edit_is_rejected(restricted, accounts, edit):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.restrict_to([accounts.savings])
    before = everything()
    submit = stale.share_all if edit == "share" else partial(stale.restrict_to, [accounts.checking, accounts.cash])
    with pytest.raises(AlreadyDone) as refusal:
        submit(expected=stale.scope_edits)
    assert refusal.value.key == restricted.key
    assert refusal.value.at == ApiKey.objects.get().scope_edited_at
    assert everything() == before


@pytest.mark.rule("K5")
def test_only_edit_scope_raises_counter(restricted, accounts):
    key = restricted.key
    key.rename("Laptop")
    key.rotate()
    with key.locked() as current:
        current.add_to_scope(accounts.cash)
    assert columns(key)["scope_edits"] == 0
    key.restrict_to([accounts.savings], expected=0)
    key.share_all(expected=1)
    assert columns(key)["scope_edits"] == 2


@pytest.mark.rule("K5")
def test_accounts_that_were_not_shown_keep_their_state(alice, bob, restricted, accounts):
    restricted.key.restrict_to([accounts.checking, accounts.savings])
    shown = [accounts.checking.pk, accounts.savings.pk]
    with restricted.key.locked() as current:
        current.add_to_scope(accounts.cash)
    restricted.key.restrict_to([accounts.checking], shown=shown)
    assert accessible(restricted.key) == {"Checking", "Cash"}


@pytest.mark.rule("K5")
def test_shown_does_not_restore_unrestricted_scope_rows(unrestricted, accounts):
    KeyAccountScope.objects.create(key=unrestricted.key, account=accounts.cash)
    unrestricted.key.restrict_to([accounts.checking], shown=[])
    assert accessible(unrestricted.key) == {"Checking"}
