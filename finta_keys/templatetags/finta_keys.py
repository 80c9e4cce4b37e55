"""What the pages of API settings say about times and accounts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from finta_keys import display

UNUSED_AFTER = timedelta(days=90)

register = template.Library()


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in one unit, such as "3 minutes ago"."""
    if timezone.now() - moment < timedelta(minutes=1):
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


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
    """Tell whether a key that was last used then counts as unused."""
    return timezone.now() - moment >= UNUSED_AFTER


@register.simple_tag(takes_context=True)
def page_url(context: template.Context, name: str, key_pk: Any = None) -> str:
    """Return the path of one of the pages of API settings, beside the page that is shown."""
    return str(context["view"].page_url(name, key_pk))


register.filter("grouped", display.grouped)
register.filter("label", display.label)
