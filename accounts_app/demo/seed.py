"""Create the demo owners with their accounts and half a year of transactions.

Ids are derived from names, and the random generator is seeded with the account and the day. So
every machine gets the same data, and the transactions of a day do not depend on when the demo was
created.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts_app.demo.data import IN_STORE, ONLINE, OTHER, OWNERS, DemoAccount, Payee
from accounts_app.models import MANUAL, Account, Transaction, User
from finta_keys.names import fold

NAMESPACE = uuid.UUID("5b1c0f6e-2b0f-4a53-9f0e-6d3c8d1f7a42")
HISTORY = timedelta(days=183)
SATURDAY = 5  # as date.weekday() counts
DESCRIPTIONS = {
    ONLINE: "{merchant} *{number}",
    IN_STORE: "{merchant} #{number} {place}",
    OTHER: "{merchant} REF {number}",
}


@transaction.atomic
def seed_demo(today: date) -> list[User]:
    """Create the missing owners and accounts as of ``today``. Return the owners.

    Existing rows stay unchanged. Transactions are created only together with their account, so
    those that Storage Mode deleted do not come back.
    """
    return [_seed_owner(email, accounts, today) for email, accounts in OWNERS.items()]


def demo_password() -> str:
    """Return the password of new demo owners, derived from ``SECRET_KEY`` and so different on each
    site."""
    digest = salted_hmac("accounts_app.demo", "password", algorithm="sha256").digest()
    text = base64.b32encode(digest).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def has_demo_password(owner: User) -> bool:
    # User.check_password() may save an upgraded hash.
    return check_password(demo_password(), owner.password)


def generate_transactions(account: DemoAccount, today: date) -> Iterator[Transaction]:
    """Yield the transactions of the half year up to ``today``, oldest first."""
    last_day = today - timedelta(days=account.silent_days)
    day = today - HISTORY
    while day <= last_day:
        random = Random(f"{account.slug} {day}")  # noqa: S311  # reproducible, not secret
        regular = [payee for is_due, payee in account.regulars if is_due(day)]
        purchases = random.choices(account.shops, k=random.choice(account.per_day))
        for number, payee in enumerate([*regular, *purchases]):
            yield _transaction(account, payee, day, number, last_day, random)
        day += timedelta(days=1)


def _id(name: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, name)


def _seed_owner(email: str, accounts: tuple[DemoAccount, ...], today: date) -> User:
    owner = _find_owner(email) or User.objects.create_user(email, demo_password(), id=_id(email))
    # Not limited to this owner: an operator may have transferred an account.
    existing = Account.objects.filter(pk__in=[_id(account.slug) for account in accounts])
    existing_ids = set(existing.values_list("pk", flat=True))
    missing = [account for account in accounts if _id(account.slug) not in existing_ids]
    Account.objects.bulk_create(_account(account, owner, today) for account in missing)
    Transaction.objects.bulk_create(row for account in missing for row in generate_transactions(account, today))
    return owner


def _find_owner(email: str) -> User | None:
    # By id first, because the owner may have changed the e-mail.
    return User.objects.filter(pk=_id(email)).first() or User.objects.filter(email_key=fold(email)).first()


def _account(account: DemoAccount, owner: User, today: date) -> Account:
    as_of = datetime.combine(today - timedelta(days=account.silent_days), time.min, UTC)
    is_closed = account.fields.get("status") == Account.Status.CLOSED
    return Account(
        id=_id(account.slug),
        owner=owner,
        provider=account.provider,
        provider_account_id="" if account.provider == MANUAL else _id(f"{account.slug}/provider").hex,
        bank_connection_id=_id(account.connection) if account.connection else None,
        balance_as_of=as_of,
        closed_at=as_of if is_closed else None,
        liability=account.liability(today) if account.liability else None,
        **account.fields,
    )


def _transaction(
    account: DemoAccount, payee: Payee, day: date, number: int, last_day: date, random: Random
) -> Transaction:
    slug = f"{account.slug}/{day}/{number}"
    amount, fees = Decimal(random.randint(payee.least, payee.most)) / 100, Decimal(payee.fee) / 100
    return Transaction(
        id=_id(slug),
        account_id=_id(account.slug),
        provider=account.provider,
        provider_id=_id(f"{slug}/provider").hex,
        amount=amount,
        currency=account.fields["currency"],
        created_date=day,
        merchant_name=payee.merchant,
        category_id=_id(f"category/{payee.category}"),
        fees=fees or None,
        fee_type=payee.fee_type,
        net_amount=amount - fees if fees else None,
        sub_account=payee.sub_account,
        payment_channel=payee.channel,
        **_dates(account, payee, day, last_day, random),
        **_texts(account, payee, day, random),
    )


def _dates(account: DemoAccount, payee: Payee, day: date, last_day: date, random: Random) -> dict[str, Any]:
    """Return the dates and the status of a transaction as of ``last_day``, the last day with data
    from the bank."""
    if account.provider == MANUAL:
        return {"status": Transaction.Status.POSTED, "posted_date": day}
    settled = day
    if payee.channel != OTHER:
        settled += timedelta(days=random.randint(1, 2))
        settled += timedelta(days=7 - settled.weekday() if settled.weekday() >= SATURDAY else 0)
    if settled > last_day:
        return {"status": Transaction.Status.PENDING, "authorized_date": day}
    if payee.is_hold:
        return {"status": Transaction.Status.DELETED, "authorized_date": day}
    return {"status": Transaction.Status.POSTED, "authorized_date": day, "posted_date": settled}


def _texts(account: DemoAccount, payee: Payee, day: date, random: Random) -> dict[str, str]:
    """Return the summary for the owner and the description of the bank."""
    if account.provider == MANUAL:
        return {"summary": payee.merchant, "source": "manual"}
    check = str(1000 + day.toordinal() % 9000) if payee.has_check else ""
    pattern = DESCRIPTIONS[payee.channel]
    description = pattern.format(
        merchant=payee.merchant.upper(), number=random.randint(1000, 9999), place=account.place
    )
    return {
        "summary": f"Check {check}: {payee.merchant}" if check else payee.merchant,
        "check_number": check,
        "original_description": f"CHECK {check}" if check else description,
        "source": "bank",
    }
