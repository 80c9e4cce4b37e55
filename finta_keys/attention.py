"""Keys that an operator should look at: unused, never rotated, leaked, or wider than their use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy

from finta_keys import conf
from finta_keys.database import key_database
from finta_keys.key_list import UNUSED_AFTER
from finta_keys.models import AccountUsage, ApiKey, KeyUsage, RetiredSecret
from finta_keys.recent_use import first_day

ROTATE_AFTER = timedelta(days=365)
TRIED_WITHIN = timedelta(days=30)
FEW = 2  # A key is too wide if it used at most one of so many accounts.


def unused(keys: QuerySet[Any]) -> QuerySet[Any]:
    """Keys that were not used for 90 days."""
    limit = timezone.now() - UNUSED_AFTER
    return keys.filter(Q(last_used_at__lt=limit) | Q(last_used_at=None, created_at__lt=limit))


def not_rotated(keys: QuerySet[Any]) -> QuerySet[Any]:
    """Keys with a secret that is older than a year."""
    limit = timezone.now() - ROTATE_AFTER
    return keys.filter(Q(rotated_at__lt=limit) | Q(rotated_at=None, created_at__lt=limit))


def retired_secret_tried(keys: QuerySet[Any]) -> QuerySet[Any]:
    """Keys with a retired secret that was tried in the last 30 days."""
    tried = RetiredSecret.objects.filter(key_id=OuterRef("pk"), last_tried_at__gte=timezone.now() - TRIED_WITHIN)
    return keys.filter(Exists(tried))


def too_wide(keys: QuerySet[Any]) -> QuerySet[Any]:
    """Keys that share all accounts and used at most half of them in the last 90 days."""
    usage = AccountUsage.objects.filter(key_id=OuterRef("pk"), day__gte=first_day()).order_by().values("key_id")
    used = Subquery(usage.annotate(number=Count("account_id", distinct=True)).values("number"), IntegerField())
    owner = conf.owner_field()
    accounts = conf.account_model()._default_manager.using(key_database()).order_by()
    owned = accounts.filter(**{owner: OuterRef("owner")}).values(owner)
    total = Subquery(owned.annotate(number=Count("pk")).values("number"), IntegerField())
    # A key that showed no account may be used by views that do not report them.
    sharing: QuerySet[Any] = keys.filter(share_all_accounts=True).alias(used=used, total=total)
    return sharing.filter(used__lte=F("total") / FEW)


REASONS: dict[str, tuple[Any, Callable[[QuerySet[Any]], QuerySet[Any]]]] = {
    "unused": (gettext_lazy("Unused for 90 days"), unused),
    "not_rotated": (gettext_lazy("Secret older than a year"), not_rotated),
    "retired": (gettext_lazy("Retired secret in use"), retired_secret_tried),
    "wide": (gettext_lazy("Shares all, used few"), too_wide),
}
ADVICE = {
    "unused": gettext_lazy("Ask the owner. Delete the key if nothing needs it."),
    "not_rotated": gettext_lazy("Ask the owner to rotate it."),
    "retired": gettext_lazy("Look at its report: an application still has the old secret, or it has leaked."),
    "wide": gettext_lazy("Ask the owner to restrict it to what it uses."),
}


def filtered(keys: QuerySet[Any], reason: str) -> QuerySet[Any]:
    """Return the keys that need attention for a reason, or for any."""
    if reason in REASONS:
        return REASONS[reason][1](keys)
    condition = Q()
    for _, select in REASONS.values():
        condition |= Q(pk__in=select(ApiKey.objects.order_by()).values("pk"))
    return keys.filter(condition)


def add_use(keys: list[Any]) -> None:
    """Set on each key its number of ``requests`` in the last 90 days, its ``last_source``, and the
    ``reasons`` why it needs attention."""
    pks = [key.pk for key in keys]
    usage = KeyUsage.objects.filter(key_id__in=pks, day__gte=first_day()).order_by()
    numbers = dict(usage.values_list("key_id").annotate(number=Sum("requests")))
    newest = dict(usage.values_list("key_id").annotate(at=Max("last_at")))
    last = usage.filter(last_at__in=set(newest.values())).values_list("key_id", "last_at", "source", "agent")
    sources = {key_id: f"{source} ({agent})" for key_id, at, source, agent in last if newest[key_id] == at}
    rows = ApiKey.objects.filter(pk__in=pks).order_by()
    reasons = [(text, set(select(rows).values_list("pk", flat=True))) for text, select in REASONS.values()]
    for key in keys:
        key.requests = numbers.get(key.pk, 0)
        key.last_source = sources.get(key.pk, "")
        key.reasons = [str(text) for text, matches in reasons if key.pk in matches]
