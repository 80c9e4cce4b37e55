"""Keys from the shell."""

import json

import pytest
from django.core.management import CommandError, call_command

from finta_keys.models import ApiKey
from suite.reading import keys_of, seen


def created(capsys, *arguments):
    call_command("createkey", *arguments)
    return capsys.readouterr().out.strip()


def test_a_key_for_chosen_shops(capsys, shops, foreign):
    chosen = shops[1:]
    secret = created(capsys, "--user", "merchant", "--name", "Shell", "--account", *keys_of(chosen))
    assert seen(secret) == keys_of(chosen)


def test_json_names_the_accounts(capsys, shops):
    printed = created(capsys, "--user", "merchant", "--name", "Shell", "--json", "--account", str(shops[1].pk))
    told = json.loads(printed)
    assert [str(pk) for pk in told["accounts"]] == seen(told["secret"]) == keys_of(shops[1:2])


def test_a_foreign_or_malformed_account_is_refused(shops, foreign):
    for account in (str(foreign.pk), "no such shop", "", "9" * 30, "x" * 500):
        with pytest.raises(CommandError, match="At least one of these ids belongs to no store of merchant"):
            call_command("createkey", "--user", "merchant", "--name", "Shell", "--account", account)
    assert not ApiKey.objects.exists()


def test_the_other_commands_run(shops, restricted, capsys):
    call_command("peppers")
    assert "1" in capsys.readouterr().out
