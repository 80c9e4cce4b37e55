"""Times, accounts and URLs for the templates of API settings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from finta_keys import display
from finta_keys.attention import is_unused
from finta_keys.expiry import today
from finta_keys.key_list import EXPIRING

MAX_CHIP_END = 8  # characters that a chip never cuts off

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
def short_day(moment: datetime) -> str:
    """Return the day of a moment, such as "24 Nov", with its year if that is another one."""
    if moment.year == today().year:
        return date_format(moment, pgettext("format of a day of this year", "j M"))
    return date_format(moment, pgettext("format of a day, short", "j M Y"))


@register.filter(expects_localtime=True)
def clock(moment: datetime) -> str:
    """Return the time of day of a moment, such as "09:30 UTC"."""
    return date_format(moment, pgettext("format of a time", "H:i e"))


register.filter(is_unused)


@register.filter
def is_soon(moment: datetime | None) -> bool:
    """Return True if a key that expires at this moment needs attention."""
    return moment is not None and moment - timezone.now() <= EXPIRING


@register.filter
def with_separators(number: int) -> str:
    """Return a number with its thousands separated, such as "37,944"."""
    return number_format(number, force_grouping=True)


@register.filter
def full_label(account: Any) -> str:
    """Return the group and the label of an account."""
    return f"{display.group_of(account)} {display.label(account)}".strip()


@register.filter
def chip(account: Any) -> SafeString:
    """Return the label with its last word, such as the last digits of a number, in one piece: the
    rest may be cut off."""
    start, space, end = display.label(account).rpartition(" ")
    if not start or len(end) > MAX_CHIP_END:
        return format_html("<bdi>{}</bdi>", f"{start}{space}{end}")
    return format_html('<bdi>{} </bdi><span dir="auto">{}</span>', start, end)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon of ``_icons.html``. It is decoration: the text beside it says the same."""
    return format_html('<svg class="finta-icon" aria-hidden="true"><use href="#finta-keys-i-{}"/></svg>', name)


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
