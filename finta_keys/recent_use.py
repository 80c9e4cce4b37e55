"""The accounts that a key used recently: shown before its owner changes, rotates or deletes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Max, Min, Sum
from django.utils.functional import cached_property

from finta_keys import owners
from finta_keys.database import batches
from finta_keys.models import AccountUsage, ApiKey, KeyUsage

DAYS = 90
LINES_SHOWN = 10  # of accounts; the report has all


def first_day(days: int = DAYS) -> date:
    """Return the first of the last ``days`` days. Days are those of UTC, the last one is today."""
    return datetime.now(UTC).date() - timedelta(days=days - 1)


@dataclass(frozen=True)
class UsedAccount:
    account: Any
    responses: int
    last_at: datetime


class RecentUse:
    """The use of a living key in the last 90 days, by account that its owner still has."""

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self.today = datetime.now(UTC).date()

    @cached_property
    def since(self) -> date:
        """The first day of these 90 days on which the key existed and use was counted."""
        counted_from = KeyUsage.objects.aggregate(day=Min("day"))["day"] or self.today
        created_on = (
            self.key.created_at.astimezone(UTC).date() if self.key.created_at.tzinfo else self.key.created_at.date()
        )
        return max(first_day(), created_on, counted_from)

    @cached_property
    def requests(self) -> int:
        usage = KeyUsage.objects.filter(key_id=self.key.pk, day__gte=self.since)
        return usage.aggregate(number=Sum("requests"))["number"] or 0

    @cached_property
    def accounts(self) -> list[UsedAccount]:
        """The accounts that were shown, the most recent first."""
        rows = AccountUsage.objects.filter(key_id=self.key.pk, day__gte=self.since).values_list("account_id").order_by()
        numbers = {pk: (responses, last) for pk, responses, last in rows.annotate(Sum("responses"), Max("last_at"))}
        used = [UsedAccount(account, *numbers[str(account.pk)]) for account in self._accessible(numbers)]
        return sorted(used, key=lambda line: line.last_at, reverse=True)

    @cached_property
    def account_count(self) -> int:
        """The number of accounts that the key can access now."""
        return self.key.scoped(owners.accounts_of(self.key.owner_id)).count()

    @property
    def lines(self) -> list[UsedAccount]:
        return self.accounts[:LINES_SHOWN]

    @property
    def hidden_count(self) -> int:
        return len(self.accounts) - len(self.lines)

    @property
    def can_narrow(self) -> bool:
        """True if the key shares all accounts and used only some of them."""
        return self.key.share_all_accounts and 0 < len(self.accounts) < self.account_count

    def _accessible(self, pks: Iterable[str]) -> list[Any]:
        accounts = self.key.scoped(owners.accounts_of(self.key.owner_id)).order_by()
        return [account for batch in batches(owners.valid_pks(pks)) for account in accounts.filter(pk__in=batch)]
