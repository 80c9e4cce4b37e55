"""The expiry date of a key: the 401 after it, its validation, and what keeps it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from finta_keys import expiry
from finta_keys.current_key import CurrentKeyView
from finta_keys.models import ApiKey
from finta_keys.testing import comparable_parts, make_key
from tests.finta_keys.calls import call

pytestmark = [pytest.mark.rule("K7"), pytest.mark.django_db]

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set with ``clock(time)``. It stands at noon on 15 June 2026."""

    def set_clock(now):
        monkeypatch.setattr(timezone, "now", lambda: now)

    set_clock(NOON)
    return set_clock


def get(secret, path="/v2/me"):
    return Client(headers={"authorization": f"Bearer {secret}"}).get(path)


def test_key_is_valid_strictly_before_expiry(clock, alice, accounts):
    _, secret = make_key(alice, expires_at=NOON + timedelta(hours=1))
    alice.storage_mode = True
    alice.save()
    for now, status in [
        (NOON + timedelta(hours=1, microseconds=-1), 200),
        (NOON + timedelta(hours=1), 401),
        (NOON + timedelta(days=400), 401),
        (NOON, 200),  # the clock was set back
    ]:
        clock(now)
        assert get(secret).status_code == status


@pytest.mark.rule("X5")
def test_expired_key_looks_unknown(alice, accounts, django_assert_num_queries):
    key, secret = make_key(alice)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with django_assert_num_queries(1):
        expired = get(secret)
    key.rotate()
    with django_assert_num_queries(1):
        unknown = get(secret)
    assert expired.status_code == 401
    assert comparable_parts(expired) == comparable_parts(unknown)
    assert ApiKey.objects.get(pk=key.pk).last_used_at is None


@pytest.mark.rule("K4")
def test_changed_expiry_takes_effect_at_once(alice, accounts):
    key, secret = make_key(alice, expires_at=timezone.now() + timedelta(days=1))
    assert ApiKey.objects.authenticate(secret) == key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert ApiKey.objects.authenticate(secret) is None
    key.edit_scope(expires_at=None)
    assert ApiKey.objects.authenticate(secret) == key


@pytest.mark.rule("K3")
def test_other_actions_keep_expiry(alice, accounts):
    at = timezone.now() + timedelta(days=3)
    key, _ = make_key(alice, expires_at=at)
    key.rotate()
    key.rename("Renamed")
    key.restrict_to([accounts.cash])
    key.edit_scope(read_only=True)
    assert ApiKey.objects.get(pk=key.pk).expires_at == at


@pytest.mark.rule("K3")
def test_edit_scope_changes_only_what_it_names(alice, accounts):
    key, _ = make_key(alice, accounts=[accounts.checking], expires_at=timezone.now() + timedelta(days=3))
    key.edit_scope(expires_at=None)
    saved = ApiKey.objects.get(pk=key.pk)
    assert (saved.share_all_accounts, saved.read_only) == (False, False)
    assert list(saved.accounts.all()) == [accounts.checking]
    assert (saved.expires_at, saved.scope_edits) == (None, 1)


def test_expired_key_keeps_date_when_scope_is_edited(alice, accounts):
    key, _ = make_key(alice)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    key.edit_scope(accounts=[accounts.cash])
    assert ApiKey.objects.get(pk=key.pk).is_expired


@pytest.mark.parametrize(
    "expires_at",
    [
        NOON,
        NOON - timedelta(seconds=1),
        date(2026, 6, 15),
        date.min,
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        date.max,
        date(9999, 1, 2),
    ],
)
def test_past_and_endless_dates_are_rejected(clock, alice, expires_at):
    with pytest.raises(ValidationError) as error:
        make_key(alice, expires_at=expires_at)
    assert set(error.value.message_dict) == {"expires_at"}
    key, _ = make_key(alice)
    with pytest.raises(ValidationError):
        key.edit_scope(expires_at=expires_at)
    assert ApiKey.objects.get(pk=key.pk).scope_edits == 0


def test_year_9998_is_stored(alice):
    key, _ = make_key(alice, expires_at=date(9998, 12, 31))
    assert ApiKey.objects.get(pk=key.pk).expires_at.year == 9998


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("UTC", date(2027, 3, 31), datetime(2027, 3, 31, tzinfo=UTC)),
        ("America/New_York", date(2027, 3, 31), datetime(2027, 3, 31, 4, tzinfo=UTC)),
        ("Pacific/Kiritimati", date(2027, 1, 1), datetime(2026, 12, 31, 10, tzinfo=UTC)),
        # Midnight does not exist: the clock goes from 0:00 to 1:00.
        ("Africa/Cairo", date(2027, 4, 30), datetime(2027, 4, 29, 22, tzinfo=UTC)),
        # Midnight comes twice: the clock goes back from 1:00 to 0:00.
        ("Atlantic/Azores", date(2027, 10, 31), datetime(2027, 10, 31, 0, tzinfo=UTC)),
    ],
)
def test_date_is_start_of_day_in_current_zone(zone, day, start):
    with timezone.override(ZoneInfo(zone)):
        assert expiry.start_of(day) == start


def test_days_count_from_today_in_current_zone(clock):
    clock(datetime(2026, 6, 15, 23, tzinfo=UTC))
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert expiry.parse("30d") == date(2026, 7, 16)


def test_naive_time_is_in_current_zone(clock):
    assert expiry.clean(datetime(2026, 6, 16)) == datetime(2026, 6, 16, tzinfo=UTC)  # noqa: DTZ001


def test_project_without_time_zones(clock, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    clock(datetime(2026, 6, 15, 8))  # noqa: DTZ001
    assert expiry.clean(date(2026, 6, 16)) == datetime(2026, 6, 16)  # noqa: DTZ001
    assert expiry.clean(NOON + timedelta(hours=1)) == datetime(2026, 6, 15, 9)  # noqa: DTZ001
    assert expiry.parse("1d") == date(2026, 6, 16)
    assert expiry.to_json(datetime(2026, 6, 16)) == "2026-06-16T04:00:00Z"  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5d", "٣d", "tomorrow", "2027-13-01", f"{10**20}d", "31.03.2027"])
def test_other_texts_are_no_dates(text):
    with pytest.raises(ValueError, match=r".*"):
        expiry.parse(text)


def test_maximum_age_demands_a_date(clock, settings, alice):
    settings.FINTA_KEYS_MAX_AGE = 90
    with pytest.raises(ValidationError, match="90 days"):
        make_key(alice)
    with pytest.raises(ValidationError, match="90 days"):
        make_key(alice, expires_at=expiry.today() + timedelta(days=91))
    key, _ = make_key(alice, expires_at=expiry.parse("90d"))
    with pytest.raises(ValidationError, match="90 days"):
        key.edit_scope(expires_at=None)
    key.edit_scope(read_only=True)


def test_header_tells_expiry_to_the_key_only(alice, accounts):
    alice.storage_mode = True
    alice.save()
    _, secret = make_key(alice, expires_at=datetime(2199, 3, 31, tzinfo=UTC))
    for path in ("/v2/me", "/v2/accounts", "/v2/nowhere"):
        assert get(secret, path)["X-Key-Expires"] == "2199-03-31T00:00:00Z"
    _, secret = make_key(alice)
    assert "X-Key-Expires" not in get(secret)


def test_current_key_view_describes_the_key(alice):
    key, secret = make_key(alice, "Robot", read_only=True, expires_at=date(2199, 3, 31))
    response = call(CurrentKeyView, secret)
    assert response.data == {
        "id": key.pk,
        "name": "Robot",
        "hint": key.hint,
        "permission": "read_only",
        "expiresAt": "2199-03-31T00:00:00Z",
        "shareAllAccounts": True,
    }
    assert call(CurrentKeyView).status_code == 401
