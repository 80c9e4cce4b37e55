"""``key.rename()`` changes the name and nothing else."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope


def test_K3_rename_changes_the_name_only(restricted):
    before, rows = columns(restricted.key), scope(restricted.key)
    restricted.key.rename("  Büro ")
    after = columns(restricted.key)
    assert changed(before, after) == {"name", "name_key"}
    assert (after["name"], after["name_key"]) == ("Büro", "büro")
    assert scope(restricted.key) == rows


def test_K3_rename_shows_the_new_name_on_the_instance(restricted):
    restricted.key.rename(" Laptop ")
    assert (restricted.key.name, restricted.key.name_key) == ("Laptop", "laptop")


def test_K3_rename_keeps_the_secret(restricted):
    restricted.key.rename("Laptop")
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key


def test_K3_renaming_touches_no_other_key(restricted, unrestricted, bob):
    bobs, _ = make_key(bob, "Restricted")
    before = [columns(unrestricted.key), columns(bobs)]
    restricted.key.rename("Laptop")
    assert [columns(unrestricted.key), columns(bobs)] == before


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a" * 101, "two\nlines", "\u202eabc", "\ud800"], ids=ascii)
def test_K1_a_bad_name_is_refused_and_changes_nothing(restricted, name):
    before, shown = everything(), attributes(restricted.key)
    with pytest.raises(ValidationError) as refusal:
        restricted.key.rename(name)
    assert refusal.value.message_dict.keys() == {"name"}
    assert everything() == before
    assert attributes(restricted.key) == shown


def test_K1_a_taken_name_is_refused_and_changes_nothing(restricted, unrestricted):
    before, shown = everything(), attributes(restricted.key)
    with pytest.raises(ValidationError) as refusal:
        restricted.key.rename("ＡＬＬ\u200d accounts")
    message = "You already have a key of this name. Choose another, or rename the other key first."
    assert refusal.value.message_dict == {"name": [message]}
    assert everything() == before
    assert attributes(restricted.key) == shown


def test_K1_a_key_may_be_renamed_to_another_spelling_of_its_own_name(restricted):
    restricted.key.rename("RESTRICTED")
    restricted.key.rename("RESTRICTED")
    assert columns(restricted.key)["name"] == "RESTRICTED"


def test_K3_a_rename_loaded_before_a_rotation_keeps_the_new_digest(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    after_rotation = columns(restricted.key)
    stale.rename("Laptop")
    assert changed(after_rotation, columns(restricted.key)) == {"name", "name_key"}
    assert ApiKey.objects.authenticate(fresh) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None


def test_K3_a_rename_loaded_before_a_scope_edit_keeps_the_new_scope(restricted, accounts):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.share_all()
    stale.rename("Laptop")
    assert columns(restricted.key)["share_all_accounts"] is True


@pytest.mark.parametrize(
    "fields", [{}, {"update_fields": None}, {"force_update": True}, {"using": "default"}], ids=repr
)
def test_K3_saving_all_columns_is_refused(restricted, fields):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rotate()
    before = everything()
    stale.name = "Laptop"
    with pytest.raises(TypeError, match=r"rename\(\), share_all\(\), restrict_to\(\) or rotate\(\)"):
        stale.save(**fields)
    assert everything() == before


def test_K3_named_columns_can_be_saved(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    stale.hint = "finta_…"
    stale.save(update_fields=["hint"])
    assert ApiKey.objects.authenticate(fresh).hint == "finta_…"


def test_K3_a_key_that_was_deleted_cannot_be_renamed_back_to_life(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.rename("Laptop")
    assert not ApiKey.objects.exists()


def test_K3_a_deleted_key_cannot_be_saved_back_to_life(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        stale.save(update_fields=["name"])
    assert not ApiKey.objects.exists()


def test_a_key_of_a_deactivated_owner_can_be_renamed(alice, restricted):
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    restricted.key.rename("Laptop")
    assert columns(restricted.key)["name"] == "Laptop"
