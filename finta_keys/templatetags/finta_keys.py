"""What the pages of API settings say about times and accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from finta_keys import display

UNUSED_AFTER = timedelta(days=90)

register = template.Library()


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in one unit, such as "3 minutes ago"."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.filter
def is_long_ago(moment: datetime) -> bool:
    """Tell whether a key that was last used then counts as unused."""
    return timezone.now() - moment >= UNUSED_AFTER


register.filter("grouped", display.grouped)
register.filter("label", display.label)
