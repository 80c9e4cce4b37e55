"""Keys in the admin."""

import pytest
from django.contrib.admin.models import LogEntry

from finta_keys.models import ApiKey
from suite.reading import admin_url, keys_of, secret_in, seen, submit, ticked


def test_create_for_an_owner(operator, merchant, shops, foreign):
    redirect = submit(operator, admin_url("add"), owner="merchant")
    assert redirect.status_code == 302
    response = submit(operator, redirect.url, name="From the admin", accounts=keys_of(shops[1:2]))
    assert seen(secret_in(response)) == keys_of(shops[1:2])
    key = ApiKey.objects.get()
    assert key.owner == merchant
    assert LogEntry.objects.filter(object_id=str(key.pk)).count() == 1


def test_unknown_owner_is_not_found(operator):
    for owner in ("nobody", "9" * 30, "None", "x" * 500, "a\0b"):
        assert operator.get(admin_url("create", owner)).status_code == 404
    assert submit(operator, admin_url("add"), owner="nobody").status_code == 200


def test_rename_edit_scope_rotate_delete(operator, merchant, shops, restricted):
    key = restricted.key
    assert submit(operator, admin_url("rename", key.pk), name="Renamed").status_code == 302
    assert ticked(operator.get(admin_url("edit_scope", key.pk))) == {str(shops[0].pk)}
    assert submit(operator, admin_url("edit_scope", key.pk), accounts=keys_of(shops[1:])).status_code == 302
    fresh = secret_in(submit(operator, admin_url("rotate", key.pk)))
    assert seen(fresh) == keys_of(shops[1:])
    assert submit(operator, admin_url("delete", key.pk)).status_code == 302
    assert not ApiKey.objects.exists()
    assert LogEntry.objects.filter(object_id=str(key.pk)).count() == 4


@pytest.mark.parametrize("search", ["", "Restricted", "merchant"])
def test_list_and_detail(operator, shops, restricted, search):
    page = operator.get(admin_url("changelist"), {"q": search}).content.decode()
    assert f"1 of {len(shops)}" in page
    assert shops[0].name in operator.get(admin_url("change", restricted.key.pk)).content.decode()
