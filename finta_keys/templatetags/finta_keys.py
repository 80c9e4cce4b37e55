"""Times, accounts and URLs for the templates of API settings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from finta_keys import display

UNUSED_AFTER = timedelta(days=90)

register = template.Library()


@register.filter
def ago(moment: datetime) -> str:
    """Return the age of a moment in one unit, such as "3 minutes ago"."""
    if timezone.now() - moment < timedelta(minutes=1):
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def remaining(moment: datetime) -> str:
    """Return the time until a moment in one unit, such as "6 days"."""
    return timeuntil(moment, depth=1)


@register.filter(expects_localtime=True)
def day(moment: datetime) -> str:
    """Return the day of a moment, such as "24 November 2026"."""
    return date_format(moment, pgettext("format of a day", "j F Y"))


@register.filter(expects_localtime=True)
def clock(moment: datetime) -> str:
    """Return the time of day of a moment, such as "09:30 UTC"."""
    return date_format(moment, pgettext("format of a time", "H:i e"))


@register.filter
def is_long_ago(moment: datetime) -> bool:
    """Return True if a key that was last used at this moment counts as unused."""
    return timezone.now() - moment >= UNUSED_AFTER


@register.filter
def missing_of(accounts: list[Any], total: int) -> int:
    """Return how many of ``total`` accounts are not in the list."""
    return total - len(accounts)


@register.simple_tag(takes_context=True)
def page_url(context: template.Context, name: str, key_pk: Any = None) -> str:
    """Return the URL of another page of API settings, in the namespace of the current page."""
    return str(context["view"].page_url(name, key_pk))


register.filter("grouped", display.grouped)
register.filter("label", display.label)
register.filter("label_html", display.label_html)
