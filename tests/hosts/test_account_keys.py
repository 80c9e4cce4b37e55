"""Invalid accounts are rejected. The suite in ``project`` tests other kinds of primary keys."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account, User
from finta_keys.models import ApiKey


@pytest.mark.rule("S6")
@pytest.mark.parametrize("invalid", ["a\0b", "\ud800", None, [], {}, 1, User()])
def test_invalid_primary_key_is_rejected(alice, accounts, invalid):
    with pytest.raises(ValidationError) as error:
        ApiKey.objects.create_key(owner=alice, name="Wrong", accounts=[accounts.checking, invalid])
    assert list(error.value.message_dict) == ["accounts"]


@pytest.mark.rule("S6")
def test_row_of_another_model_is_rejected(alice, accounts):
    with pytest.raises(ValidationError):
        ApiKey.objects.create_key(owner=alice, name="Wrong", accounts=[User(pk=accounts.checking.pk)])
    same = Account(pk=accounts.checking.pk)
    assert ApiKey.objects.create_key(owner=alice, name="Right", accounts=[same])[0].scope_rows.count() == 1
