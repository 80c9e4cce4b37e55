"""The keys that need attention, by reason: unused, an old secret, a retired secret in use, or a
scope that is wider than the use.

The admin shows them to operators, the list of keys to the owner.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Case, Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy

from finta_keys import conf
from finta_keys.database import key_database
from finta_keys.models import AccountUsage, ApiKey, KeyUsage, RetiredSecret
from finta_keys.recent_use import first_day

UNUSED_AFTER = timedelta(days=90)
ROTATE_AFTER = timedelta(days=365)
TRIED_WITHIN = timedelta(days=30)
ACCOUNTS_PER_USED = 2  # A key is too wide if it shares at least this many accounts for each one that it used.


def unused() -> Q:
    """Keys that were not used for 90 days. One that was never used counts from its creation."""
    limit = timezone.now() - UNUSED_AFTER
    return Q(last_used_at__lt=limit) | Q(last_used_at=None, created_at__lt=limit)


def is_unused(key: ApiKey) -> bool:
    """Return True for the keys of ``unused()``."""
    return (key.last_used_at or key.created_at) < timezone.now() - UNUSED_AFTER


def not_rotated() -> Q:
    """Keys with a secret that is older than a year."""
    limit = timezone.now() - ROTATE_AFTER
    return Q(rotated_at__lt=limit) | Q(rotated_at=None, created_at__lt=limit)


def retired_secret_tried() -> Q:
    """Keys with a retired secret that was tried in the last 30 days."""
    return Q(Exists(RetiredSecret.objects.filter(recently_tried(), key_id=OuterRef("pk"))))


def recently_tried() -> Q:
    """Retired secrets that were tried in the last 30 days."""
    return Q(last_tried_at__gte=timezone.now() - TRIED_WITHIN)


def too_wide(owner_pk: Any = None) -> Q:
    """Keys that share all accounts and used at most half of them in the last 90 days.

    Pass ``owner_pk`` if all keys belong to one owner: the accounts are then counted once instead of
    once per key.
    """
    usage = AccountUsage.objects.filter(key_id=OuterRef("pk"), day__gte=first_day()).order_by().values("key_id")
    used = Subquery(usage.annotate(number=Count("account_id", distinct=True)).values("number"), IntegerField())
    owner = conf.owner_field()
    accounts = conf.account_model()._default_manager.using(key_database()).order_by()
    owned = accounts.filter(**{owner: OuterRef("owner") if owner_pk is None else owner_pk}).values(owner)
    total = Subquery(owned.annotate(number=Count("pk")).values("number"), IntegerField())
    # A key that showed no account may be used by views that do not report them.
    return Q(share_all_accounts=True) & Q(LessThanOrEqual(used, total / ACCOUNTS_PER_USED))


REASONS: dict[str, tuple[Any, Callable[[], Q]]] = {
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


OWNERS_ADVICE = {  # Without "retired": the list of keys shows a note below each key whose retired secret is in use.
    "unused": gettext_lazy("Delete the key if nothing needs it."),
    "not_rotated": gettext_lazy("Rotate the key."),
    "wide": gettext_lazy("Restrict the key to what it uses."),
}


def for_any_reason(owner_pk: Any = None) -> Q:
    """Keys that need attention for at least one reason. ``owner_pk`` is passed to
    ``too_wide()``."""
    return unused() | not_rotated() | retired_secret_tried() | too_wide(owner_pk)


def filtered(keys: QuerySet[Any], reason: str) -> QuerySet[Any]:
    """Return the keys that need attention for a reason, or for any."""
    return keys.filter(REASONS[reason][1]() if reason in REASONS else for_any_reason())


def reasons_of(keys: list[Any]) -> dict[Any, list[str]]:
    """Return the names of the reasons of each key, by primary key, with one query for all."""
    columns = {name: Case(When(condition(), then=True), default=False) for name, (_text, condition) in REASONS.items()}
    rows = ApiKey.objects.filter(pk__in=[key.pk for key in keys]).order_by().annotate(**columns)
    return {
        pk: [name for name, applies in zip(REASONS, row, strict=True) if applies]
        for pk, *row in rows.values_list("pk", *REASONS)
    }


def add_use(keys: list[Any]) -> None:
    """Set on each key its number of ``requests`` in the last 90 days, its ``last_source``, and the
    ``reasons`` why it needs attention."""
    pks = [key.pk for key in keys]
    usage = KeyUsage.objects.filter(key_id__in=pks, day__gte=first_day()).order_by()
    numbers = dict(usage.values_list("key_id").annotate(number=Sum("requests")))
    newest = dict(usage.values_list("key_id").annotate(at=Max("last_at")))
    last = usage.filter(last_at__in=set(newest.values())).values_list("key_id", "last_at", "source", "agent")
    sources = {key_id: f"{source} ({agent})" for key_id, at, source, agent in last if newest[key_id] == at}
    reasons = reasons_of(keys)
    for key in keys:
        key.requests = numbers.get(key.pk, 0)
        key.last_source = sources.get(key.pk, "")
        key.reasons = [str(REASONS[name][0]) for name in reasons.get(key.pk, ())]
