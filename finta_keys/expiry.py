"""The expiry date of a key: validate it, and read it from a date or a number of days (rule K7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NoReturn, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from finta_keys import conf

# Times after this cannot be converted to every time zone, because Python's last year is 9999.
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def clean(expires_at: datetime | date | None) -> datetime | None:
    """Return the expiry time of a key, or None. A date is read as the start of that day.

    Raise ``ValidationError`` for ``expires_at`` if it is past, or later than ``FINTA_KEYS_MAX_AGE``
    allows, or None although that setting demands a date.
    """
    last = latest()
    if expires_at is None:
        if last is not None:
            _reject(_("Choose when the key expires. ") + limit_text())
        return None
    at = expires_at if isinstance(expires_at, datetime) else start_of(expires_at)
    if settings.USE_TZ and timezone.is_naive(at):
        at = timezone.make_aware(at)
    elif not settings.USE_TZ and timezone.is_aware(at):
        at = timezone.make_naive(at)
    if at <= timezone.now():
        _reject(_("This date is past. Choose a later one."))
    if last is not None and at > last:
        _reject(limit_text())
    if at > (LATEST if settings.USE_TZ else timezone.make_naive(LATEST, UTC)):
        _reject(_("Choose a date before the year 9999, or let the key never expire."))
    return at


def latest() -> datetime | None:
    """Return the latest expiry time that ``FINTA_KEYS_MAX_AGE`` allows now, or None for no
    limit."""
    longest = conf.max_age()
    return None if longest is None else start_of(today() + longest)


def start_of(day: date) -> datetime:
    """Return the start of a day in the current time zone. A key that expires on that day is valid
    until then."""
    start = datetime.combine(day, time.min)
    # Convert to UTC: Python treats a local time that occurs twice, or never, as unequal to all
    # others.
    return timezone.make_aware(start).astimezone(UTC) if settings.USE_TZ else start


def day_of(at: datetime) -> date:
    """Return the date of a time in the current time zone."""
    return timezone.localdate(at) if timezone.is_aware(at) else at.date()


def today() -> date:
    """Return the date in the current time zone."""
    return timezone.localdate() if settings.USE_TZ else timezone.now().date()


def to_json(at: datetime) -> str:
    """Return the time in UTC, such as ``2027-03-31T00:00:00Z``."""
    aware = at if timezone.is_aware(at) else timezone.make_aware(at)
    return aware.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def json_or_none(at: datetime | None) -> str | None:
    return None if at is None else to_json(at)


def parse(text: str) -> date:
    """Return the date in a text such as ``2027-03-31``, or ``90d`` for 90 days from today.

    Raise ``ValueError`` for any other text.
    """
    days = text.removesuffix("d")
    if days != text and days.isascii() and days.isdigit():
        try:
            return today() + timedelta(days=int(days))
        except OverflowError:
            raise ValueError(text) from None
    day = parse_date(text)
    if day is None:
        raise ValueError(text)
    return day


def limit_text() -> str:
    """Return the sentence that explains the limit of ``FINTA_KEYS_MAX_AGE``, which must be set."""
    days = cast(timedelta, conf.max_age()).days
    text = ngettext("Keys expire after %(days)s day at most.", "Keys expire after %(days)s days at most.", days)
    return text % {"days": days}


def _reject(message: str) -> NoReturn:
    raise ValidationError({"expires_at": message})
