"""What is given as an account and is none. For the other kinds of primary key see the suite in ``project``."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account, User
from finta_keys.models import ApiKey


@pytest.mark.parametrize("wrong", ["a\0b", "\ud800", None, [], {}, 1, User()])
def test_what_can_be_no_key_of_an_account_is_refused(alice, accounts, wrong):
    with pytest.raises(ValidationError) as refused:
        ApiKey.objects.create_key(owner=alice, name="Wrong", accounts=[accounts.checking, wrong])
    assert list(refused.value.message_dict) == ["accounts"]


def test_a_row_of_another_model_with_the_key_of_an_account_is_not_that_account(alice, accounts):
    with pytest.raises(ValidationError):
        ApiKey.objects.create_key(owner=alice, name="Wrong", accounts=[User(pk=accounts.checking.pk)])
    same = Account(pk=accounts.checking.pk)
    assert ApiKey.objects.create_key(owner=alice, name="Right", accounts=[same])[0].scope_rows.count() == 1
