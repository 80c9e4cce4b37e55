"""The commands."""

import json

import pytest
from django.core.management import CommandError, call_command

from finta_keys.models import ApiKey
from suite.reading import keys_of, seen


def createkey(capsys, *arguments):
    call_command("createkey", *arguments)
    return capsys.readouterr().out.strip()


def test_createkey_for_selected_shops(capsys, shops, foreign):
    selected = shops[1:]
    secret = createkey(capsys, "--user", "merchant", "--name", "Shell", "--account", *keys_of(selected))
    assert seen(secret) == keys_of(selected)


def test_createkey_json_lists_the_accounts(capsys, shops):
    output = createkey(capsys, "--user", "merchant", "--name", "Shell", "--json", "--account", str(shops[1].pk))
    data = json.loads(output)
    assert [str(pk) for pk in data["accounts"]] == seen(data["secret"]) == keys_of(shops[1:2])


def test_createkey_rejects_other_accounts(shops, foreign):
    for account in (str(foreign.pk), "no such shop", "", "9" * 30, "x" * 500):
        with pytest.raises(CommandError, match="At least one of these ids belongs to no store of merchant"):
            call_command("createkey", "--user", "merchant", "--name", "Shell", "--account", account)
    assert not ApiKey.objects.exists()


def test_peppers_runs(shops, restricted, capsys):
    call_command("peppers")
    assert "1" in capsys.readouterr().out
