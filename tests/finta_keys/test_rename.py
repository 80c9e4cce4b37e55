"""``ApiKey.rename()`` changes the name only."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys.snapshots import attributes, changed, columns, everything, scope


@pytest.mark.rule("K3")
def test_rename_changes_the_name_only(restricted):
    before, rows = columns(restricted.key), scope(restricted.key)
    restricted.key.rename("  Büro ")
    after = columns(restricted.key)
    assert changed(before, after) == {"name", "name_key"}
    assert (after["name"], after["name_key"]) == ("Büro", "büro")
    assert (restricted.key.name, restricted.key.name_key) == ("Büro", "büro")
    assert scope(restricted.key) == rows


@pytest.mark.rule("K3")
def test_rename_changes_no_other_key(restricted, unrestricted, bob):
    bobs, _ = make_key(bob, "Restricted")
    before = [columns(unrestricted.key), columns(bobs)]
    restricted.key.rename("Laptop")
    assert [columns(unrestricted.key), columns(bobs)] == before


@pytest.mark.rule("K1")
@pytest.mark.parametrize("name", ["", " ", "\u200b", "a" * 101, "two\nlines", "\u202eabc", "\ud800"], ids=ascii)
def test_invalid_name_is_rejected(restricted, name):
    before, instance = everything(), attributes(restricted.key)
    with pytest.raises(ValidationError) as error:
        restricted.key.rename(name)
    assert error.value.message_dict.keys() == {"name"}
    assert everything() == before
    assert attributes(restricted.key) == instance


@pytest.mark.rule("K1")
@pytest.mark.rule("T2")
def test_taken_name_is_rejected(restricted, unrestricted):
    before, instance = everything(), attributes(restricted.key)
    with pytest.raises(ValidationError) as error:
        restricted.key.rename("ＡＬＬ\u200d accounts")
    message = "You already have a key with this name. Choose another name."
    assert error.value.message_dict == {"name": [message]}
    assert everything() == before
    assert attributes(restricted.key) == instance


@pytest.mark.rule("K1")
def test_key_can_change_the_case_of_its_name(restricted):
    restricted.key.rename("RESTRICTED")
    restricted.key.rename("RESTRICTED")
    assert columns(restricted.key)["name"] == "RESTRICTED"


@pytest.mark.rule("K3")
def test_stale_rename_keeps_the_new_secret(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    after_rotation = columns(restricted.key)
    stale.rename("Laptop")
    assert changed(after_rotation, columns(restricted.key)) == {"name", "name_key"}
    assert ApiKey.objects.authenticate(fresh) == restricted.key
    assert ApiKey.objects.authenticate(restricted.secret) is None


@pytest.mark.rule("K3")
def test_stale_rename_keeps_the_new_scope(restricted, accounts):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.share_all()
    stale.rename("Laptop")
    assert columns(restricted.key)["share_all_accounts"] is True


@pytest.mark.rule("K3")
@pytest.mark.parametrize(
    "fields", [{}, {"update_fields": None}, {"force_update": True}, {"using": "default"}], ids=repr
)
def test_saving_all_columns_is_rejected(restricted, fields):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.rotate()
    before = everything()
    stale.name = "Laptop"
    with pytest.raises(TypeError, match=r"rename\(\), share_all\(\), restrict_to\(\) or rotate\(\)"):
        stale.save(**fields)
    assert everything() == before


@pytest.mark.rule("K3")
def test_update_fields_can_be_saved(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    fresh = restricted.key.rotate()
    stale.hint = "finta_…"
    stale.save(update_fields=["hint"])
    assert ApiKey.objects.authenticate(fresh).hint == "finta_…"


@pytest.mark.rule("K3")
def test_rename_does_not_restore_deleted_key(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(ApiKey.DoesNotExist):
        stale.rename("Laptop")
    assert not ApiKey.objects.exists()


@pytest.mark.rule("K3")
def test_save_does_not_restore_deleted_key(restricted):
    stale = ApiKey.objects.get(pk=restricted.key.pk)
    restricted.key.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        stale.save(update_fields=["name"])
    assert not ApiKey.objects.exists()


def test_key_of_inactive_owner_can_be_renamed(alice, restricted):
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    restricted.key.rename("Laptop")
    assert columns(restricted.key)["name"] == "Laptop"


@pytest.mark.rule("T2")
@pytest.mark.parametrize("name", ["Restricted", "Bob's"])
def test_other_integrity_errors_are_not_taken_names(bob, restricted, name):
    """Neither the key's own name nor a key of another user makes the name taken."""
    make_key(bob, "Bob's")

    def fail(execute, sql, *args):
        if sql.startswith("UPDATE"):
            raise IntegrityError("for another reason")
        return execute(sql, *args)

    with connection.execute_wrapper(fail), pytest.raises(IntegrityError, match="for another reason"):
        restricted.key.rename(name)


def test_taken_name_has_an_error_code(restricted, unrestricted):
    with pytest.raises(ValidationError) as error:
        restricted.key.rename("All accounts")
    (problem,) = error.value.error_dict["name"]
    assert problem.code == "taken"
