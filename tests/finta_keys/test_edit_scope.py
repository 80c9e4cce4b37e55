"""``key.restrict_to()`` and ``key.share_all()`` change the scope and nothing else."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from accounts_app.models import Account, User
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.models import owner as owners
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope


def seen(key):
    """Return what a key, as it is in the database, can see."""
    return set(ApiKey.objects.get(pk=key.pk).scoped(Account.objects.all()).values_list("name", flat=True))


def test_K3_restrict_to_changes_the_scope_only(unrestricted, accounts):
    before = columns(unrestricted.key)
    unrestricted.key.restrict_to([accounts.savings, accounts.cash])
    assert changed(before, columns(unrestricted.key)) == {"share_all_accounts"}
    assert scope(unrestricted.key) == {accounts.savings.pk, accounts.cash.pk}
    assert unrestricted.key.share_all_accounts is False
    assert seen(unrestricted.key) == {"Savings", "Cash"}


def test_K3_restrict_to_replaces_the_scope(restricted, accounts):
    before = columns(restricted.key)
    restricted.key.restrict_to([accounts.savings.pk])
    assert columns(restricted.key) == before
    assert seen(restricted.key) == {"Savings"}


def test_restrict_to_keeps_the_rows_that_stay(restricted, accounts):
    row = KeyAccountScope.objects.get(key=restricted.key)
    restricted.key.restrict_to([accounts.checking, accounts.cash])
    assert row in KeyAccountScope.objects.filter(key=restricted.key)


def test_K3_share_all_changes_the_scope_only(restricted):
    before = columns(restricted.key)
    restricted.key.share_all()
    assert changed(before, columns(restricted.key)) == {"share_all_accounts"}
    assert restricted.key.share_all_accounts is True
    assert scope(restricted.key) == set()
    assert seen(restricted.key) == {"Checking", "Savings", "Cash"}


def test_share_all_includes_future_accounts(alice, restricted):
    restricted.key.share_all()
    AccountFactory(owner=alice, name="New")
    assert "New" in seen(restricted.key)


def test_a_restricted_key_does_not_see_future_accounts(alice, restricted):
    AccountFactory(owner=alice, name="New")
    assert seen(restricted.key) == {"Checking"}


def test_a_scope_that_was_left_does_not_come_back_by_itself(restricted, accounts):
    """Sharing all and restricting again starts from what is chosen now."""
    restricted.key.share_all()
    restricted.key.restrict_to([accounts.cash])
    assert seen(restricted.key) == {"Cash"}


def test_K3_editing_the_scope_of_one_key_touches_no_other(alice, bob, restricted, accounts, bobs_account):
    twin, _ = make_key(alice, "Twin", [accounts.checking])
    bobs, _ = make_key(bob, "Restricted", [bobs_account])
    restricted.key.restrict_to([accounts.cash])
    restricted.key.share_all()
    assert (seen(twin), seen(bobs)) == ({"Checking"}, {"Bob's"})


def test_K3_editing_the_scope_keeps_the_secret(restricted, accounts):
    restricted.key.restrict_to([accounts.cash])
    restricted.key.share_all()
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


@pytest.mark.parametrize("edit", ["restrict", "share"])
def test_K3_a_scope_edit_loaded_before_a_rotation_keeps_the_new_digest(restricted, accounts, edit):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    after_rotation = columns(restricted.key)
    stale.share_all() if edit == "share" else stale.restrict_to([accounts.cash])
    assert changed(after_rotation, columns(restricted.key)) <= {"share_all_accounts"}
    assert ApiKey.objects.authenticate(fresh) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_K3_a_scope_edit_loaded_before_a_rename_keeps_the_new_name(restricted, accounts):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rename("Laptop")
    stale.restrict_to([accounts.cash])
    stale.share_all()
    assert columns(restricted.key)["name"] == "Laptop"


def test_K3_the_later_of_two_scope_edits_counts_wholly(restricted, accounts):
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    one.share_all()
    other.restrict_to([accounts.savings])
    assert seen(restricted.key) == {"Savings"}
    one.restrict_to([accounts.cash])
    other.share_all()
    assert seen(restricted.key) == {"Checking", "Savings", "Cash"}
    assert scope(restricted.key) == set()


def test_K3_the_scope_of_a_deleted_key_cannot_be_edited(restricted, accounts):
    one, other = ApiKey.objects.get(pk=restricted.key.pk), ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    for edit in (one.share_all, lambda: other.restrict_to([accounts.cash])):
        with pytest.raises(ApiKey.DoesNotExist):
            edit()
    assert not ApiKey.objects.exists()
    assert not KeyAccountScope.objects.exists()


@pytest.mark.parametrize("nothing", [[], (), set(), "", Account.objects.none()], ids=lambda given: type(given).__name__)
@pytest.mark.parametrize("kind", ["restricted", "unrestricted"])
def test_S2_restricting_to_nothing_is_refused(request, kind, nothing):
    key = request.getfixturevalue(kind).key
    before, shown = everything(), attributes(key)
    with pytest.raises(ValidationError) as refusal:
        key.restrict_to(nothing)
    message = "Choose at least one account, or turn on “Share all accounts”."
    assert refusal.value.message_dict == {"accounts": [message]}
    assert everything() == before
    assert attributes(key) == shown


def test_S1_none_is_no_list_of_accounts(restricted):
    """``None`` means all where a key is created; here ``share_all()`` says so by its name."""
    before = everything()
    with pytest.raises(TypeError):
        restricted.key.restrict_to(None)
    assert everything() == before


def test_S6_foreign_missing_and_malformed_accounts_are_refused_wholly(restricted, unrestricted, accounts, bobs_account):
    before = everything()
    for key in (restricted.key, unrestricted.key):
        shown = attributes(key)
        for other in [bobs_account, bobs_account.pk, str(bobs_account.pk), uuid.uuid4(), "x", 0, None, {}, "\ud800"]:
            for chosen in ([other], [accounts.cash, other], iter([other, accounts.cash])):
                with pytest.raises(ValidationError) as refusal:
                    key.restrict_to(chosen)
                message = "One of these accounts is not there any more, or is not this owner's. Choose again."
                assert refusal.value.message_dict == {"accounts": [message]}
        assert attributes(key) == shown
    assert everything() == before


def test_S6_an_account_that_was_deleted_or_given_away_meanwhile_is_refused(bob, restricted, accounts):
    loaded = [accounts.savings, accounts.cash]
    Account.objects.filter(pk=accounts.savings.pk).delete()
    Account.objects.filter(pk=accounts.cash.pk).update(owner=bob)
    for account in loaded:
        with pytest.raises(ValidationError):
            restricted.key.restrict_to([account])
    assert seen(restricted.key) == {"Checking"}


def test_S6_the_key_of_an_account_may_be_that_of_another_row(restricted):
    """As where the model inherits from another: such a relation checks no range by itself."""
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


def test_S6_instances_pks_strings_duplicates_and_generators_are_accepted(restricted, accounts):
    pk = accounts.cash.pk
    restricted.key.restrict_to(each for each in [accounts.cash, pk, str(pk), pk.hex.upper(), accounts.savings])
    assert seen(restricted.key) == {"Cash", "Savings"}
    assert KeyAccountScope.objects.count() == 2


class WithOwner(models.Manager):
    def get_queryset(self):
        return super().get_queryset().select_related("owner")


def test_T2_a_lock_joins_no_other_table(monkeypatch, restricted, accounts):
    """PostgreSQL locks nothing behind an outer join, as an order by a relation or what a manager fetches may be."""
    manager = WithOwner()
    manager.model, manager.name = Account, "_base_manager"
    monkeypatch.setitem(vars(Account._meta), "base_manager", manager)
    monkeypatch.setattr(User._meta, "ordering", ["api_keys__name"])
    with CaptureQueriesContext(connection) as queries:
        restricted.key.restrict_to([accounts.savings])
    assert not [query["sql"] for query in queries if " JOIN " in query["sql"]]
    assert scope(restricted.key) == {accounts.savings.pk}


def test_S6_closed_accounts_can_be_chosen(restricted, accounts):
    accounts.cash.close()
    restricted.key.restrict_to([accounts.cash])
    assert seen(restricted.key) == {"Cash"}


@pytest.mark.parametrize("how", ["instance", "queryset"])
def test_S1_a_restricted_key_whose_accounts_are_all_gone_sees_nothing(restricted, accounts, how):
    accounts.checking.delete() if how == "instance" else Account.objects.filter(pk=accounts.checking.pk).delete()
    assert scope(restricted.key) == set()
    assert columns(restricted.key)["share_all_accounts"] is False
    assert seen(restricted.key) == set()
    assert restricted.client.get("/v2/accounts?status=all").json() == {"accounts": []}
    assert restricted.client.get("/v2/transactions?status=all").json()["transactions"] == []


def test_S1_an_account_that_is_made_after_that_is_not_seen_either(alice, restricted, accounts):
    Account.objects.filter(owner=alice).delete()
    AccountFactory(owner=alice, id=accounts.checking.pk)
    assert seen(restricted.key) == set()


def give(account, owner, how):
    if how == "save":
        account = Account.objects.get(pk=account.pk)
        account.owner = owner
        account.save()
    else:
        Account.objects.filter(pk=account.pk).update(owner=owner)


@pytest.mark.parametrize("how", ["save", "update"])
def test_S3_an_account_that_changes_owner_is_out_at_once_and_back_with_its_return(
    alice, bob, restricted, unrestricted, accounts, bobs_account, how
):
    bobs_all, _ = make_key(bob, "All")
    bobs_own, _ = make_key(bob, "Own", [bobs_account])
    give(accounts.checking, bob, how)
    assert seen(restricted.key) == set()
    assert seen(unrestricted.key) == {"Savings", "Cash"}
    assert seen(bobs_all) == {"Bob's", "Checking"}
    assert seen(bobs_own) == {"Bob's"}
    give(accounts.checking, alice, how)
    assert seen(restricted.key) == {"Checking"}
    assert seen(unrestricted.key) == {"Checking", "Savings", "Cash"}
    assert seen(bobs_all) == {"Bob's"}


def test_S3_a_scope_row_of_somebody_elses_account_shows_nothing(restricted, bobs_account):
    """Even if such a row came into being, the owner is part of every query."""
    KeyAccountScope.objects.create(key=restricted.key, account=bobs_account)
    assert seen(restricted.key) == {"Checking"}


def test_S1_scope_rows_of_a_key_that_shares_all_limit_nothing(unrestricted, accounts):
    KeyAccountScope.objects.create(key=unrestricted.key, account=accounts.cash)
    assert seen(unrestricted.key) == {"Checking", "Savings", "Cash"}


def test_S5_admit_adds_to_the_scope_of_this_key_only(alice, restricted, accounts):
    twin, _ = make_key(alice, "Twin", [accounts.checking])
    with restricted.key.locked() as key:
        made = Account.objects.create_manual(
            owner_id=key.owner_id, name="Made", type="other", currency="EUR", current_balance=0
        )
        key.add_to_scope(made)
    assert seen(restricted.key) == {"Checking", "Made"}
    assert seen(twin) == {"Checking"}


def test_S5_admit_writes_nothing_for_a_key_that_shares_all(unrestricted, accounts):
    with unrestricted.key.locked() as key:
        key.add_to_scope(accounts.cash)
    assert scope(unrestricted.key) == set()


def test_S5_admit_looks_at_the_scope_as_it_is_now(restricted, accounts):
    """A key that was restricted since the request was authenticated must not keep its former reach."""
    authenticated = ApiKey.objects.authenticate(restricted.secret)
    restricted.key.share_all()
    with authenticated.locked() as key:
        key.add_to_scope(accounts.cash)
    assert scope(restricted.key) == set()


def test_a_scope_row_says_what_it_is(restricted, accounts):
    assert str(KeyAccountScope.objects.get()) == f"{restricted.key.pk} sees {accounts.checking.pk}"
