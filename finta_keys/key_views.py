"""The page of one key: its permission, scope and history, and links to the actions."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.views.generic import TemplateView

from finta_keys import daily_use, event_texts, key_list, owners
from finta_keys.models import ApiKey, KeyEvent, RetiredSecret
from finta_keys.own_keys import OneKeyMixin
from finta_keys.recent_use import RecentUse

ACCOUNTS_SHOWN = 100
EVENTS_PER_PAGE = 50
TRIED_SHOWN = 5  # retired secrets in use
ICONS: dict[str, str] = {
    KeyEvent.Action.CREATED: "plus",
    KeyEvent.Action.RENAMED: "write",
    KeyEvent.Action.SCOPE_EDITED: "scope",
    KeyEvent.Action.ACCOUNT_JOINED: "plus",
    KeyEvent.Action.ROTATED: "rotate",
    KeyEvent.Action.DELETED: "delete",
    KeyEvent.Action.ACCOUNT_GAINED: "plus",
    KeyEvent.Action.ACCOUNT_LOST: "minus",
    KeyEvent.Action.KNOWN: "clock",
}


class KeyView(OneKeyMixin, TemplateView):
    template_name = "finta_keys/key.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        key: Any = self.key
        tried = tried_secrets(key.owner_id).filter(key_id=key.pk)[:TRIED_SHOWN]
        key_list.count_scopes([key])
        daily_use.add_daily_use([key])
        if key.share_all_accounts:
            key.scoped_count = key.account_count
        page = Paginator(events_of(key), EVENTS_PER_PAGE).get_page(self.request.GET.get("page"))
        return super().get_context_data(
            key=key,
            scoped_count=key.scoped_count,
            account_count=key.account_count,
            scoped_accounts=list(key.scoped(owners.accounts_of(key.owner_id))[:ACCOUNTS_SHOWN]),
            use=RecentUse(key),
            page=page,
            events=[event_context(event) for event in page],
            tried=[event_texts.tries(secret) for secret in tried],
            **kwargs,
        )


def event_context(event: KeyEvent) -> dict[str, Any]:
    """Return the template context of an event, for the owner."""
    return {
        "at": event.at,
        "action": event.action,
        "icon": ICONS[event.action],
        "sentences": event_texts.sentences(event),
        "actor": event_texts.actor(event),
        "address": event_texts.address(event),
    }


def events_of(key: ApiKey) -> QuerySet[KeyEvent]:
    """Return the events of a key and of the accounts that it could access, newest first."""
    own = KeyEvent.objects.filter(key_id=key.pk)
    shares_all, accounts = key.share_all_accounts, set[str]()
    for changes in own.values_list("changes", flat=True):
        shares_all |= bool(changes.get("share_all_accounts"))  # or a pair: either of both values is True
        accounts.update(pk for name in ("accounts", "added", "removed") for pk, _ in changes.get(name, ()))
    of_accounts = Q(key_id=None, owner_pk=str(key.owner_id), at__gte=key.created_at)
    if not shares_all:
        of_accounts &= Q(changes__account__0__in=sorted(accounts))
    events: QuerySet[KeyEvent] = KeyEvent.objects.filter(Q(key_id=key.pk) | of_accounts).order_by("-at", "-pk")
    return events


def tried_secrets(owner_pk: Any) -> QuerySet[RetiredSecret]:
    """Return the retired secrets of an owner's keys that were tried, the last one first."""
    secrets: QuerySet[RetiredSecret] = RetiredSecret.objects.filter(owner_pk=str(owner_pk), tries__gt=0)
    return secrets.order_by("-last_tried_at", "pk")
