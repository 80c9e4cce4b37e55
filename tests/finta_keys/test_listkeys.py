"""The command ``listkeys``."""

import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from finta_keys import expiry
from finta_keys.models import ApiKey
from finta_keys.testing import make_key


def listkeys(*arguments):
    out = StringIO()
    call_command("listkeys", *arguments, stdout=out)
    return out.getvalue()


def names(*arguments):
    return [key["name"] for key in json.loads(listkeys("--json", *arguments))["keys"]]


@pytest.fixture
def keys(alice, bob):
    make_key(alice, "Endless")
    make_key(alice, "Long", expires_at=expiry.today() + timedelta(days=91))
    make_key(alice, "Short", expires_at=expiry.today() + timedelta(days=90))
    make_key(bob, "Bob's", read_only=True, expires_at=date(2099, 3, 31))


def test_keys_of_all_users_are_listed(keys):
    lines = listkeys().splitlines()
    bobs = ApiKey.objects.get(name="Bob's")
    columns = [bobs.hint, "read_only", "2099-03-31T00:00:00Z", "never", "bob@example.com,", "“Bob's”"]
    assert lines[4].split() == columns
    assert lines[-1] == "4 keys"


def test_user_selects_keys(keys):
    assert names("--user", "bob@example.com") == ["Bob's"]
    with pytest.raises(CommandError, match="No user has"):
        listkeys("--user", "nobody@example.com")


@pytest.mark.rule("K7")
def test_keys_beyond_maximum_age(keys, settings):
    settings.FINTA_KEYS_MAX_AGE = 90
    assert names("--beyond-max-age") == ["Endless", "Long", "Bob's"]


def test_maximum_age_must_be_set(keys):
    with pytest.raises(CommandError, match="FINTA_KEYS_MAX_AGE is not set"):
        listkeys("--beyond-max-age")


def test_json_describes_keys(alice):
    key, _ = make_key(alice, "CI", expires_at=date(2099, 3, 31))
    ApiKey.objects.update(last_used_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert json.loads(listkeys("--json")) == {
        "keys": [
            {
                "id": str(key.pk),
                "owner": "alice@example.com",
                "name": "CI",
                "hint": key.hint,
                "permission": "read_write",
                "expiresAt": "2099-03-31T00:00:00Z",
                "lastUsedAt": "2026-01-02T00:00:00Z",
                "shareAllAccounts": True,
            }
        ]
    }
    assert listkeys().endswith("\n1 key\n")
