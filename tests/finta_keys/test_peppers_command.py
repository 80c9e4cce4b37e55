"""The command ``peppers``: how many keys use each pepper, and which peppers can be removed."""

import json
import os
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.testing import make_key

GONE, OLD, UNUSED, NEW = "0a" * 32, "0b" * 32, "0c" * 32, "0d" * 32


def pepper_id(pepper):
    return secret.pepper_id(bytes.fromhex(pepper))


def peppers(*arguments):
    """Run the command and return its output."""
    out = StringIO()
    call_command("peppers", *arguments, stdout=out)
    return out.getvalue()


def table(*arguments):
    """Return the cells of each row by pepper id."""
    lines = peppers(*arguments).partition("\n\n")[0].splitlines()
    return {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines[1:]}


def advice(pepper):
    """Return the advice about a pepper, below the table."""
    lines = peppers().partition("\n\n")[2].splitlines()
    (sentence,) = [line.partition(": ")[2] for line in lines if line.startswith(pepper_id(pepper))]
    return sentence


@pytest.fixture
def keys(settings, alice, bob):
    """One key under a pepper that is not configured, three under the old one, one under the first."""
    for number, pepper in enumerate([GONE, OLD, OLD, OLD, NEW]):
        settings.FINTA_KEYS_PEPPERS = [pepper]
        make_key(bob if number % 2 else alice, f"Key {number}")
    for name, day in [("Key 1", 3), ("Key 2", 20), ("Key 4", 9)]:
        ApiKey.objects.filter(name=name).update(last_used_at=datetime(2026, 3, day, 11, 59, 59, tzinfo=UTC))
    settings.FINTA_KEYS_PEPPERS = [NEW, UNUSED, OLD]


@pytest.mark.usefixtures("keys")
class TestTable:
    def test_rows_are_in_the_order_of_the_setting(self):
        shown = table()
        assert list(shown) == [pepper_id(pepper) for pepper in (NEW, UNUSED, OLD, GONE)]
        assert [cells[:2] for cells in shown.values()] == [["1", "0"], ["0", "0"], ["3", "1"], ["1", "1"]]

    def test_rows_show_last_use_and_place(self):
        last = {pepper: table()[pepper_id(pepper)][2].split("  ", 1) for pepper in (NEW, UNUSED, OLD, GONE)}
        assert {pepper: [cell.strip() for cell in cells] for pepper, cells in last.items()} == {
            NEW: ["2026-03-09 11:59 UTC", "first"],
            UNUSED: ["never", "old"],
            OLD: ["2026-03-20 11:59 UTC", "old"],
            GONE: ["never", "not configured: its keys do not work"],
        }

    def test_table_costs_one_query(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            peppers()

    def test_no_pepper_is_printed(self):
        printed = peppers() + peppers("--json")
        for pepper in (GONE, OLD, UNUSED, NEW):
            assert pepper not in printed
            assert pepper[:8] not in printed

    def test_json(self):
        def row(pepper, place, keys, never_used, last_used_at, removable=False):
            return {
                "pepperId": pepper_id(pepper),
                "place": place,
                "keys": keys,
                "neverUsed": never_used,
                "lastUsedAt": last_used_at,
                "removable": removable,
            }

        assert json.loads(peppers("--json")) == {
            "peppers": [
                row(NEW, "first", 1, 0, "2026-03-09T11:59:59Z"),
                row(UNUSED, "old", 0, 0, None, removable=True),
                row(OLD, "old", 3, 1, "2026-03-20T11:59:59Z"),
                row(GONE, "notConfigured", 1, 1, None),
            ]
        }


@pytest.mark.usefixtures("keys")
class TestAdvice:
    def test_unused_old_pepper_can_be_removed(self):
        assert advice(UNUSED).startswith("can be removed: no key uses it.")

    def test_old_pepper_with_keys_must_stay(self):
        assert advice(OLD) == (
            "must stay: 3 keys need it. Keys move to the first pepper when they are used; 1 of them was never used."
        )

    def test_pepper_without_keys_can_be_removed(self):
        ApiKey.objects.filter(pepper_id=pepper_id(OLD)).update(pepper_id=pepper_id(NEW))
        assert advice(OLD).startswith("can be removed")

    @pytest.mark.parametrize("without_keys", [True, False])
    def test_first_pepper_is_never_removable(self, without_keys):
        if without_keys:
            ApiKey.objects.all().delete()
        assert "add a new pepper in front of it" in advice(NEW)
        assert json.loads(peppers("--json"))["peppers"][0]["removable"] is False

    def test_pepper_that_is_not_configured_is_reported(self):
        assert advice(GONE).startswith("not configured. 1 key does not work. Restore it after the others")

    def test_restored_pepper_must_stay(self, settings):
        settings.FINTA_KEYS_PEPPERS = [NEW, UNUSED, OLD, GONE]
        assert advice(GONE).startswith("must stay: 1 key needs it")


class TestCheck:
    def test_check_fails_for_missing_peppers(self, keys):
        out = StringIO()
        with pytest.raises(CommandError, match=r"^1 key does not work, because the pepper is not configured") as failed:
            call_command("peppers", "--check", "--json", stdout=out)
        assert failed.value.returncode == 1
        assert len(json.loads(out.getvalue())["peppers"]) == 4

    def test_check_passes_otherwise(self, keys, settings):
        settings.FINTA_KEYS_PEPPERS = [NEW, UNUSED, OLD, GONE]
        assert peppers("--check") == peppers()

    def test_check_passes_without_keys(self, db):
        assert list(table("--check").values()) == [["0", "0", "never                 first"]]

    def test_database_error_has_its_own_status(self, db):
        def fail(*args):
            raise DatabaseError("host db.internal")

        with connection.execute_wrapper(fail), pytest.raises(CommandError, match="did not respond") as failed:
            peppers("--check")
        assert failed.value.returncode == 2
        assert "db.internal" not in str(failed.value)


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_closed_output_has_its_own_status(alice, arguments):
    make_key(alice)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        with pytest.raises(SystemExit) as end:
            call_command("peppers", *arguments, stdout=out)
        out.flush()  # as Python does when it exits
    assert end.value.code == 141


def test_missing_output_is_one_sentence(db, monkeypatch):
    """Python sets ``sys.stdout`` to None if standard output is closed."""
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(CommandError, match=r"^Standard output is closed"):
        call_command("peppers")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("arguments", [["peppers", "--check"], ["scankeys", os.devnull]])
def test_full_disk_has_its_own_status(db, arguments):
    with open("/dev/full", "w") as out:
        with pytest.raises(
            CommandError, match=r"^The output could not be written: No space left on device\.$"
        ) as failure:
            call_command(*arguments, stdout=out)
        out.flush()
    assert failure.value.returncode == 2
