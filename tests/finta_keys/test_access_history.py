"""When a key could access which accounts, from its history (rule H4)."""

import datetime as dt
import random
from types import SimpleNamespace

import pytest

from accounts_app.models import Account, User
from finta_keys.access_history import AccessHistory
from finta_keys.exposure import Report
from finta_keys.models import ApiKey, KeyAccountScope, KeyEvent
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys.conftest import START

pytestmark = [pytest.mark.django_db, pytest.mark.rule("H4")]

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def story(clock, accounts, alice, bob):
    """Alice's accounts, before the key is created at 12:00."""
    return SimpleNamespace(clock=clock, owner=alice, **vars(accounts))


def hours(spans):
    """Return the spans in hours after 12:00."""
    return [tuple((at - START) / HOUR for at in span) for span in spans]


def spans(key, account):
    return hours(AccessHistory.of(key.pk).spans(str(account.pk)))


def is_certain(key, account):
    return AccessHistory.of(key.pk).is_certain(str(account.pk))


# --- Recorded changes ----------------------------------------------------------------------------------------------


def test_scope_is_followed_through_edits(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    story.clock.shift(HOUR)
    key.restrict_to([story.savings])
    story.clock.shift(HOUR)
    key.share_all()
    story.clock.shift(HOUR)
    key.restrict_to([story.checking])
    story.clock.shift(HOUR)
    assert spans(key, story.checking) == [(0, 1), (2, 4)]
    assert spans(key, story.savings) == [(1, 3)]
    assert spans(key, story.cash) == [(2, 3)]
    assert AccessHistory.of(key.pk).unknown == []


def test_history_begins_with_the_key(story):
    """The event is saved a moment after the key."""
    key, _ = make_key(story.owner)
    KeyEvent.objects.update(at=START + HOUR / 60)
    story.clock.shift(HOUR)
    assert spans(key, story.checking) == [(0, 1)]
    assert AccessHistory.of(key.pk).unknown == []


def test_deleted_key_has_its_history(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    pk = key.pk
    story.clock.shift(HOUR)
    key.delete()
    story.clock.shift(HOUR)
    history = AccessHistory.of(pk)
    assert history.key is None
    assert hours(history.spans(str(story.checking.pk))) == [(0, 1)]
    assert history.is_certain(str(story.checking.pk))


def test_expired_key_accesses_nothing(story):
    key, _ = make_key(story.owner, expires_at=START + HOUR)
    story.clock.shift(3 * HOUR)
    key.edit_scope(expires_at=START + 5 * HOUR)
    story.clock.shift(3 * HOUR)
    assert spans(key, story.checking) == [(0, 1), (3, 5)]


@pytest.mark.parametrize("scope", ["all", "restricted"])
def test_transferred_account_comes_back(story, bob, scope):
    key, _ = make_key(story.owner, accounts=None if scope == "all" else [story.checking])
    for owner in (bob, story.owner):
        story.clock.shift(HOUR)
        story.checking.owner = owner
        story.checking.save()
    story.clock.shift(HOUR)
    assert spans(key, story.checking) == [(0, 1), (2, 3)]
    assert is_certain(key, story.checking)


@pytest.mark.parametrize("scope", ["all", "restricted"])
def test_deleted_account_is_known(story, scope):
    key, _ = make_key(story.owner, accounts=None if scope == "all" else [story.checking, story.cash])
    story.clock.shift(HOUR)
    pk = story.checking.pk
    story.checking.delete()
    story.clock.shift(HOUR)
    history = AccessHistory.of(key.pk)
    assert hours(history.spans(str(pk))) == [(0, 1)]
    assert history.is_certain(str(pk))
    assert "Checking" in history.labels[str(pk)]


def test_new_account_is_shared_from_then_on(story):
    key, _ = make_key(story.owner)
    story.clock.shift(HOUR)
    new = AccountFactory(owner=story.owner)
    story.clock.shift(HOUR)
    assert spans(key, new) == [(1, 2)]
    assert spans(key, story.checking) == [(0, 2)]


def test_account_that_key_added_is_in_scope(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    story.clock.shift(HOUR)
    with key.locked() as locked:
        new = AccountFactory(owner=story.owner)
        locked.add_to_scope(new)
    story.clock.shift(HOUR)
    assert spans(key, new) == [(1, 2)]


# --- Changes without a record --------------------------------------------------------------------------------------


def test_key_older_than_history_is_marked(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    KeyEvent.objects.all().delete()
    story.clock.shift(HOUR)
    KeyEvent.objects.create(action="known", key_id=key.pk, owner_pk=str(story.owner.pk), actor="code")
    story.clock.shift(HOUR)
    key.edit_scope(accounts=[story.savings], expires_at=START + 9 * HOUR)
    story.clock.shift(HOUR)
    history = AccessHistory.of(key.pk)
    assert hours(history.unknown) == [(0, 1)]
    assert spans(key, story.checking) == [(1, 2)]
    assert spans(key, story.savings) == [(2, 3)]


def test_older_key_shared_all(story):
    key, _ = make_key(story.owner)
    KeyEvent.objects.update(action="known", changes={})
    story.clock.shift(HOUR)
    key.restrict_to([story.savings])
    story.clock.shift(HOUR)
    assert spans(key, story.checking) == [(0, 1)]


def test_pruned_events_leave_unknown_time(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    story.clock.shift(HOUR)
    key.rename("New")
    story.clock.shift(HOUR)
    KeyEvent.objects.filter(action="created").delete()
    assert hours(AccessHistory.of(key.pk).unknown) == [(0, 1)]
    assert spans(key, story.checking) == [(1, 2)]
    KeyEvent.objects.all().delete()
    history = AccessHistory.of(key.pk)
    assert hours(history.unknown) == [(0, 2)]
    assert history.account_pks() == {str(story.checking.pk)}  # in the scope now
    assert history.spans(str(story.checking.pk)) == []


def test_deleted_key_without_first_events(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    pk = key.pk
    story.clock.shift(HOUR)
    key.rename("New")
    story.clock.shift(HOUR)
    key.delete()
    KeyEvent.objects.filter(action="created").delete()
    history = AccessHistory.of(pk)
    assert history.created_at is None
    assert history.unknown[0][1] == START + HOUR
    assert hours(history.spans(str(story.checking.pk))) == [(1, 2)]


def test_deleted_account_may_have_been_shared(story):
    """Its scope row is gone, and no event names it."""
    key, _ = make_key(story.owner, accounts=[story.checking, story.cash])
    KeyEvent.objects.update(action="known", changes={})
    story.clock.shift(HOUR)
    pk = str(story.checking.pk)
    story.checking.delete()
    history = AccessHistory.of(key.pk)
    assert pk in history.account_pks()
    assert not history.is_certain(pk)
    report = Report(history, START.date(), START.date())
    assert [line.is_certain for line in report.accounts if line.pk == pk] == [False]


def test_deleted_account_that_events_name_is_certain(story):
    key, _ = make_key(story.owner, accounts=[story.checking, story.cash])
    KeyEvent.objects.all().delete()
    story.clock.shift(HOUR)
    key.restrict_to([story.cash])
    story.clock.shift(HOUR)
    pk = str(story.checking.pk)
    story.checking.delete()
    assert AccessHistory.of(key.pk).is_certain(pk)


def test_changed_owner_without_record_is_uncertain(story, bob):
    key, _ = make_key(story.owner, accounts=[story.checking])
    story.clock.shift(HOUR)
    Account.objects.filter(pk=story.checking.pk).update(owner=bob)
    assert not is_certain(key, story.checking)
    assert is_certain(key, story.savings)


def test_changed_scope_without_record_is_uncertain(story):
    key, _ = make_key(story.owner, accounts=[story.checking, story.cash])
    story.clock.shift(HOUR)
    KeyAccountScope.objects.filter(account=story.cash).delete()
    KeyAccountScope.objects.create(key=key, account=story.savings)
    assert is_certain(key, story.checking)
    assert not is_certain(key, story.cash)
    assert not is_certain(key, story.savings)
    assert str(story.savings.pk) in AccessHistory.of(key.pk).account_pks()


def test_deleted_owner_leaves_unknown_scope(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    pk = key.pk
    story.clock.shift(HOUR)
    User.objects.get(pk=story.owner.pk).delete()
    history = AccessHistory.of(pk)
    assert hours(history.unknown) == [(0, 1)]
    assert history.account_pks() == set()
    KeyEvent.objects.filter(action="created").delete()
    assert AccessHistory.of(pk).account_pks() == set()


def test_unknown_key_has_no_history(story):
    assert AccessHistory.of("00000000-0000-0000-0000-000000000000") is None


def test_only_deletion_is_recorded(story):
    key, _ = make_key(story.owner, accounts=[story.checking])
    pk = key.pk
    story.clock.shift(HOUR)
    key.delete()
    KeyEvent.objects.exclude(action="deleted").delete()
    assert AccessHistory.of(pk).states == []
    KeyEvent.objects.update(action="rotated", changes={})
    assert [state for _, state in AccessHistory.of(pk).states] == []


# --- Any sequence of recorded actions ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_report_equals_what_was_accessible(story, bob, seed):
    """Ask the key itself after every action. The history must say the same, to the hour."""
    choose = random.Random(seed)  # noqa: S311  # no secret
    key, _ = make_key(story.owner, accounts=choose.choice([None, [story.checking]]))
    pks = {str(pk) for pk in Account.objects.values_list("pk", flat=True)}
    accessible = {pk: set() for pk in pks}
    for hour in range(25):
        for pk in key_accounts(key):
            accessible.setdefault(pk, set()).add(hour)
        story.clock.shift(HOUR)
        act(choose, key, story.owner, bob)
    history = AccessHistory.of(key.pk)
    assert history.unknown == []
    for pk, expected in accessible.items():
        assert history.is_certain(pk), pk
        recorded = {hour for start, end in hours(history.spans(pk)) for hour in range(int(start), int(end))}
        assert recorded == expected, pk


def key_accounts(key):
    if ApiKey.objects.get(pk=key.pk).is_expired:
        return []
    return [str(pk) for pk in ApiKey.objects.get(pk=key.pk).scoped(Account.objects.all()).values_list("pk", flat=True)]


def act(choose, key, owner, other):
    """Do one of the actions that change a key's access."""
    owned = list(Account.objects.filter(owner=owner).order_by("pk"))
    action = choose.choice(["restrict", "share", "transfer", "return", "create", "add", "delete", "expire"])
    if action == "restrict" and owned:
        key.restrict_to(choose.sample(owned, choose.randint(1, len(owned))))
    elif action == "share":
        key.share_all()
    elif action == "transfer" and owned:
        save_owner(choose.choice(owned), other)
    elif action == "return" and (away := list(Account.objects.filter(owner=other).order_by("pk"))):
        save_owner(choose.choice(away), owner)
    elif action == "create":
        AccountFactory(owner=owner)
    elif action == "add":
        with ApiKey.objects.get(pk=key.pk).locked() as locked:
            locked.add_to_scope(AccountFactory(owner=owner))
    elif action == "delete" and len(owned) > 1:
        choose.choice(owned).delete()
    elif action == "expire":
        now = dt.datetime.now(dt.UTC)
        key.edit_scope(expires_at=choose.choice([None, now + HOUR, now + 3 * HOUR]))


def save_owner(account, owner):
    account.owner = owner
    account.save()
