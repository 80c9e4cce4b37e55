"""The command ``peppers``: which pepper may be removed, and how many keys would die with it (rule X3)."""

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
    """Run the command and return what it printed."""
    out = StringIO()
    call_command("peppers", *arguments, stdout=out)
    return out.getvalue()


def table(*arguments):
    """Return the cells of the rows by pepper id."""
    lines = peppers(*arguments).partition("\n\n")[0].splitlines()
    return {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines[1:]}


def advice(pepper):
    """Return what is said of a pepper below the table."""
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
    def test_it_shows_the_keys_of_each_pepper_in_the_order_of_the_setting(self):
        shown = table()
        assert list(shown) == [pepper_id(pepper) for pepper in (NEW, UNUSED, OLD, GONE)]
        assert [cells[:2] for cells in shown.values()] == [["1", "0"], ["0", "0"], ["3", "1"], ["1", "1"]]

    def test_it_shows_the_last_use_of_any_of_them_and_the_place(self):
        last = {pepper: table()[pepper_id(pepper)][2].split("  ", 1) for pepper in (NEW, UNUSED, OLD, GONE)}
        assert {pepper: [cell.strip() for cell in cells] for pepper, cells in last.items()} == {
            NEW: ["2026-03-09 11:59 UTC", "first"],
            UNUSED: ["never", "old"],
            OLD: ["2026-03-20 11:59 UTC", "old"],
            GONE: ["never", "not configured: these keys are dead"],
        }

    def test_it_costs_one_query(self, django_assert_num_queries):
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
    def test_an_old_pepper_without_keys_may_be_removed(self):
        assert advice(UNUSED).startswith("may be removed: no key is under it.")

    def test_an_old_pepper_with_keys_must_stay_and_it_says_how_many_would_die(self):
        assert advice(OLD) == (
            "must stay: 3 keys would die without it. A key moves to the first pepper when it is used; 1 of them was "
            "never used."
        )

    def test_one_key_is_enough(self):
        ApiKey.objects.exclude(last_used_at=None).delete()
        assert advice(OLD).startswith("must stay: 1 key would die without it.")

    def test_it_may_be_removed_when_its_last_key_has_moved(self):
        ApiKey.objects.filter(pepper_id=pepper_id(OLD)).update(pepper_id=pepper_id(NEW))
        assert advice(OLD).startswith("may be removed")

    @pytest.mark.parametrize("without_keys", [True, False])
    def test_the_first_is_never_said_to_be_removable(self, without_keys):
        if without_keys:
            ApiKey.objects.all().delete()
        assert "put a new pepper in front of it" in advice(NEW)
        assert json.loads(peppers("--json"))["peppers"][0]["removable"] is False

    def test_keys_under_a_pepper_that_is_not_configured_are_dead(self):
        assert advice(GONE).startswith("not configured. 1 key is dead until it is put back, behind the others")

    def test_putting_it_back_is_enough(self, settings):
        settings.FINTA_KEYS_PEPPERS = [NEW, UNUSED, OLD, GONE]
        assert advice(GONE).startswith("must stay: 1 key would die")


class TestCheck:
    def test_keys_under_a_pepper_that_is_not_configured_fail_it(self, keys):
        out = StringIO()
        with pytest.raises(CommandError, match=r"^1 key is under a pepper that is not configured") as failed:
            call_command("peppers", "--check", "--json", stdout=out)
        assert failed.value.returncode == 1
        assert len(json.loads(out.getvalue())["peppers"]) == 4

    def test_otherwise_it_passes(self, keys, settings):
        settings.FINTA_KEYS_PEPPERS = [NEW, UNUSED, OLD, GONE]
        assert peppers("--check") == peppers()

    def test_a_site_without_keys_passes(self, db):
        assert list(table("--check").values()) == [["0", "0", "never                 first"]]

    def test_a_database_that_does_not_answer_is_told_and_is_no_finding(self, db):
        def fail(*args):
            raise DatabaseError("host db.internal")

        with connection.execute_wrapper(fail), pytest.raises(CommandError, match="did not answer") as failed:
            peppers("--check")
        assert failed.value.returncode == 2
        assert "db.internal" not in str(failed.value)


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_output_that_nobody_reads_does_not_say_that_keys_are_dead(alice, arguments):
    make_key(alice)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        with pytest.raises(SystemExit) as end:
            call_command("peppers", *arguments, stdout=out)
        out.flush()  # as Python does at its end
    assert end.value.code == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("arguments", [["peppers", "--check"], ["scankeys", os.devnull]])
def test_output_that_cannot_be_written_is_told_with_a_status_of_its_own(db, arguments):
    with open("/dev/full", "w") as out:
        with pytest.raises(
            CommandError, match=r"^The output could not be written: No space left on device\.$"
        ) as failure:
            call_command(*arguments, stdout=out)
        out.flush()
    assert failure.value.returncode == 2
