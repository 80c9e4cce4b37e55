"""``manage.py prunekeys`` deletes old events, counts of use and retired secrets."""

import datetime as dt
import json
from io import StringIO
from uuid import uuid4

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from finta_keys import pruning, secret, usage_store
from finta_keys.access_history import AccessHistory
from finta_keys.models import AccountUsage, ApiKey, KeyEvent, KeyUsage, RetiredSecret
from finta_keys.testing import make_key

pytestmark = pytest.mark.rule("H1")

TODAY = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
CUTOFF = TODAY - dt.timedelta(days=730)
DAY = dt.timedelta(days=1)


@pytest.fixture
def clock(db):
    """Starts one day before the oldest day that is kept."""
    with time_machine.travel(CUTOFF - DAY, tick=False) as clock:
        yield clock


@pytest.fixture
def key(clock, restricted):
    return restricted.key


def prune(**options):
    out = StringIO()
    with time_machine.travel(TODAY, tick=False):
        call_command("prunekeys", stdout=out, **options)
    return out.getvalue()


def actions(key_id):
    return list(KeyEvent.objects.of_key(key_id).values_list("action", flat=True))


def test_old_events_are_deleted_except_the_last(key, clock):
    key.rename("Phone")
    key.rename("Laptop")
    clock.shift(2 * DAY)
    key.share_all()
    assert prune() == "Deleted 2 events, 0 counts of use and 0 retired secrets.\n"
    known, edited = KeyEvent.objects.of_key(key.pk)
    assert (known.action, known.at, known.changes, known.key_name) == ("known", CUTOFF, {}, "Laptop")
    assert (edited.action, edited.at) == ("scope_edited", CUTOFF + DAY)
    assert prune() == "Deleted 0 events, 0 counts of use and 0 retired secrets.\n"


def test_report_is_complete_from_the_cutoff_on(key, clock, accounts):
    key.restrict_to([accounts.cash])
    accounts.savings.delete()
    clock.shift(2 * DAY)
    key.restrict_to([accounts.checking])
    prune()
    with time_machine.travel(TODAY, tick=False):
        history = AccessHistory.of(key.pk)
        assert history.unknown == [(key.created_at, CUTOFF)]
        assert history.spans(str(accounts.cash.pk)) == [(CUTOFF, CUTOFF + DAY)]


def test_only_event_of_a_key_stays_without_person(key):
    KeyEvent.objects.update(actor="person", actor_pk="5", actor_name="ann", address="203.0.113.9")
    prune()
    event = KeyEvent.objects.get()
    assert (event.action, event.changes["name"]) == ("created", "Restricted")
    assert (event.actor, event.actor_pk, event.actor_name, event.address) == ("code", "", "", "")


def test_pruning_account_event_shortens_known_history(key, accounts):
    accounts.savings.delete()
    assert "Deleted 1 event," in prune()
    assert (KeyEvent.objects.get().action, KeyEvent.objects.get().at) == ("known", CUTOFF)


def test_events_of_a_deleted_key_are_deleted(key, clock):
    pk = key.pk
    key.delete()
    assert "Deleted 2 events" in prune()
    assert actions(pk) == []


def test_recently_deleted_key_keeps_its_last_old_event(key, clock):
    pk = key.pk
    key.rename("Laptop")
    clock.shift(2 * DAY)
    key.delete()
    prune()
    assert actions(pk) == ["known", "deleted"]


def test_new_events_are_kept(key, clock, unrestricted):
    clock.shift(2 * DAY)
    key.rename("Laptop")
    new = set(KeyEvent.objects.filter(at__gte=CUTOFF).values_list("pk", flat=True))
    prune()
    assert new <= set(KeyEvent.objects.values_list("pk", flat=True))


def test_many_events_are_deleted_in_batches(key, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 2)
    for name in "ABCDE":
        key.rename(name)
    assert "Deleted 5 events" in prune()
    assert actions(key.pk) == ["known"]


def test_event_written_meanwhile_is_kept(key, monkeypatch):
    """Another process writes while this one deletes."""
    key.rename("Laptop")
    pks = pruning._pks

    def write_first(rows):
        with time_machine.travel(TODAY, tick=False):
            ApiKey.objects.get(pk=key.pk).rename("Phone")
        monkeypatch.setattr(pruning, "_pks", pks)
        return pks(rows)

    monkeypatch.setattr(pruning, "_pks", write_first)
    prune()
    assert actions(key.pk) == ["known", "renamed"]


def test_old_counts_are_deleted(clock):
    times = {"requests": 1, "reads": 1, "writes": 0, "refused": 0, "first_at": CUTOFF, "last_at": CUTOFF}
    for day in (CUTOFF.date() - DAY, CUTOFF.date()):
        KeyUsage.objects.create(key_id=uuid4(), day=day, source="", agent="", **times)
        AccountUsage.objects.create(
            key_id=uuid4(), account_id="1", day=day, responses=1, first_at=CUTOFF, last_at=CUTOFF
        )
    assert "Deleted 0 events, 2 counts" in prune()
    assert [row.day for model in (KeyUsage, AccountUsage) for row in model.objects.all()] == [CUTOFF.date()] * 2


@pytest.mark.rule("H3")
def test_old_retired_secrets_are_deleted(clock, alice):
    rotated = []
    for name in ("untried", "tried"):
        key, presented = make_key(alice, name)
        key.rotate()
        rotated.append(presented)
    usage_store.save_tries({secret.digest(rotated[1], b"\x11" * 32): (1, CUTOFF + DAY, "", "")})
    assert "2 retired secrets" not in prune()
    assert [retired.key_name for retired in RetiredSecret.objects.all()] == ["tried"]


def test_json(key):
    key.delete()
    assert json.loads(prune(json=True)) == {"events": 2, "counts": 0, "retiredSecrets": 1}


def test_settings_keep_everything(key, settings):
    settings.FINTA_KEYS_HISTORY_DAYS = settings.FINTA_KEYS_RETIRED_SECRET_DAYS = None
    key.delete()
    assert prune() == "Deleted 0 events, 0 counts of use and 0 retired secrets.\n"


def test_settings_shorten_the_time(key, settings):
    settings.FINTA_KEYS_HISTORY_DAYS, settings.FINTA_KEYS_RETIRED_SECRET_DAYS = 1, 800
    key.delete()
    assert prune() == "Deleted 2 events, 0 counts of use and 0 retired secrets.\n"


def test_no_key_is_changed(key, restricted):
    prune()
    assert ApiKey.objects.authenticate(restricted.secret) == key


def test_unavailable_database_is_reported(db):
    def fail(*args):
        raise OperationalError

    with connection.execute_wrapper(fail), pytest.raises(CommandError, match="not everything was deleted"):
        prune()
