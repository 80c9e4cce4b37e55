"""The command ``listevents``."""

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from finta_keys import history
from finta_keys.models import KeyEvent
from finta_keys.testing import make_key

pytestmark = pytest.mark.rule("H1")
NOON = dt.datetime(2027, 3, 31, 12, tzinfo=dt.UTC)


def listevents(*arguments):
    out = StringIO()
    call_command("listevents", *arguments, stdout=out)
    return out.getvalue()


def actions(*arguments):
    return [event["action"] for event in json.loads(listevents("--json", *arguments))["events"]]


@pytest.fixture
def key(alice):
    """A key that was created at 11:45, renamed at 11:55 and deleted at noon."""
    key, _ = make_key(alice, "Old")
    key.rename("New")
    pk = key.pk
    with history.acting(command="tidy"):
        key.delete()
    key.pk = pk
    for event, minutes in zip(KeyEvent.objects.of_key(pk), (15, 5, 0), strict=True):
        KeyEvent.objects.filter(pk=event.pk).update(at=NOON - dt.timedelta(minutes=minutes))
    return key


def test_events_before_a_time_are_listed(key):
    assert actions("--before", "2027-03-31T12:00Z") == ["renamed", "deleted"]
    assert actions("--before", "2027-03-31 13:56+02:00") == ["renamed"]
    assert actions("--before", "2027-03-31T12:00", "--minutes", "15") == ["created", "renamed", "deleted"]
    assert actions("--before", "2027-03-31T12:30") == []
    with timezone.override("Asia/Tokyo"):
        assert actions("--before", "2027-03-31T12:00") == ["renamed", "deleted"]


def test_last_minutes_are_the_default(alice):
    make_key(alice, "Recent")
    assert actions() == ["created"]
    KeyEvent.objects.update(at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=11))
    assert actions() == []


def test_lines_name_key_owner_and_actor(key, alice):
    lines = listevents("--before", "2027-03-31T12:00").splitlines()
    deleted = f"2027-03-31T12:00:00Z  deleted         {key.pk} {key.hint} “New”  of alice@example.com, by tidy"
    assert lines[1:] == [deleted, "", "2 events"]


def test_events_of_accounts_have_no_key(alice, accounts):
    make_key(alice, "Any")
    KeyEvent.objects.all().delete()
    accounts.checking.delete()
    (line, _, total) = listevents().splitlines()
    assert "  account_lost    –  of alice@example.com, by the service" in line
    assert total == "1 event"


def test_json_has_what_repeats_a_change(key):
    renamed, _ = json.loads(listevents("--json", "--before", "2027-03-31T12:00"))["events"]
    assert renamed == {
        "at": "2027-03-31T11:55:00Z",
        "action": "renamed",
        "keyId": str(key.pk),
        "keyName": "New",
        "keyHint": key.hint,
        "owner": "alice@example.com",
        "actor": "code",
        "actorName": "",
        "address": "",
        "changes": {"name": ["Old", "New"]},
    }


@pytest.mark.parametrize("before", ["", "noon", "2027-02-30T12:00", "0001-01-01T00:00+14:00", "9999-12-31T00:00"])
def test_invalid_times_are_rejected(db, before):
    with pytest.raises(CommandError, match="Write a time like 2027-03-31T12:00"):
        listevents("--before", before)


@pytest.mark.parametrize("minutes", ["0", "-1", "1000001"])
def test_invalid_periods_are_rejected(db, minutes):
    with pytest.raises(CommandError, match="from 1 to 1,000,000"):
        listevents("--minutes", minutes)
