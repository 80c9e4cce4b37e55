"""Sentences about retired secrets for the list of keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from finta_keys import event_texts
from finta_keys.key_views import TRIED_SHOWN, tried_secrets

RECENT = timedelta(days=30)

register = template.Library()


@register.simple_tag
def recently_tried(owner_pk: Any) -> list[SafeString]:
    """Return sentences about the retired secrets of an owner that were tried last, those of
    deleted keys too."""
    secrets = tried_secrets(owner_pk).filter(last_tried_at__gt=timezone.now() - RECENT)
    return [event_texts.tries(secret, name=secret.key_name) for secret in secrets[:TRIED_SHOWN]]
