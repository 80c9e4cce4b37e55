"""Factories for users, accounts and transactions."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey, KeyUsage

PASSWORD = "correct horse battery staple"


@cache
def hashed_password() -> str:
    """One hash for all users: hashing is slow on purpose."""
    return make_password(PASSWORD)


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"owner{n}@example.com")
    password = factory.LazyFunction(hashed_password)


class AccountFactory(factory.django.DjangoModelFactory[Account]):
    """An open synced account. ``AccountFactory(provider="manual")`` creates a manual one."""

    class Meta:
        model = Account

    owner = factory.SubFactory(UserFactory)
    provider = "plaid"
    provider_account_id = factory.Sequence(lambda n: f"plaid-{n}")
    institution_name = "First Bank"
    name = factory.Sequence(lambda n: f"Account {n}")
    mask = factory.Sequence(lambda n: f"{n % 10000:04}")
    type = "depository"
    subtype = "checking"
    currency = "USD"
    current_balance = Decimal("100.25")


class TransactionFactory(factory.django.DjangoModelFactory[Transaction]):
    class Meta:
        model = Transaction

    account = factory.SubFactory(AccountFactory)
    provider = "plaid"
    provider_id = factory.Sequence(lambda n: f"tx-{n}")
    summary = factory.Sequence(lambda n: f"Purchase {n}")
    amount = Decimal("-9.99")
    currency = "USD"
    posted_date = dt.date(2026, 1, 15)


def add_calls(key: ApiKey, *numbers: int, refused: int = 0) -> None:
    """Create the counts of requests by a key on the last days. The last number, and ``refused``, are
    those of today."""
    now = timezone.now()
    days = [now - dt.timedelta(days=ago) for ago in reversed(range(len(numbers)))]
    KeyUsage.objects.bulk_create(
        KeyUsage(
            key_id=key.pk,
            day=at.astimezone(dt.UTC).date(),
            source="203.0.113.0/24",
            agent="curl",
            requests=number,
            reads=number,
            writes=0,
            refused=refused if at == now else 0,
            first_at=at,
            last_at=at,
        )
        for at, number in zip(days, numbers, strict=True)
        if number
    )
