"""The demo: two owners, their accounts, and half a year of transactions. ``manage.py seeddemo`` makes it.

Ids come from names, and chance is seeded with the account and the day: two machines show the same, and what happened
on a day does not depend on the day on which the demo is made.
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
def seed(today: date) -> list[User]:
    """Make what is missing of the demo as of ``today``, and return its owners.

    Whatever is there stays as it is. Transactions are made only together with their account, so that those which
    switching Storage Mode off has deleted do not come back.
    """
    return [_seed_owner(email, accounts, today) for email, accounts in OWNERS.items()]


def password() -> str:
    """Return the password of new demo owners. It follows from ``SECRET_KEY``: every installation has another."""
    digest = salted_hmac("accounts_app.demo", "password", algorithm="sha256").digest()
    text = base64.b32encode(digest).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def has_demo_password(owner: User) -> bool:
    # Not the user's method, which may save the password anew under the hasher of today.
    return check_password(password(), owner.password)


def transactions(account: DemoAccount, today: date) -> Iterator[Transaction]:
    """Yield what happened on an account in the half year up to ``today``, oldest first."""
    last = today - timedelta(days=account.silent_days)
    day = today - HISTORY
    while day <= last:
        chance = Random(f"{account.slug} {day}")  # noqa: S311  # nothing here is secret; it must be the same again
        due = [payee for rule, payee in account.regulars if rule(day)]
        bought = chance.choices(account.shops, k=chance.choice(account.per_day))
        for number, payee in enumerate([*due, *bought]):
            yield _transaction(account, payee, day, number, last, chance)
        day += timedelta(days=1)


def _id(name: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, name)


def _seed_owner(email: str, accounts: tuple[DemoAccount, ...], today: date) -> User:
    owner = _find_owner(email) or User.objects.create_user(email, password(), id=_id(email))
    # Whoever owns them by now.
    present = set(Account.objects.filter(pk__in=[_id(each.slug) for each in accounts]).values_list("pk", flat=True))
    missing = [each for each in accounts if _id(each.slug) not in present]
    Account.objects.bulk_create(_account(each, owner, today) for each in missing)
    Transaction.objects.bulk_create(row for each in missing for row in transactions(each, today))
    return owner


def _find_owner(email: str) -> User | None:
    # By id first: the person may have changed the address.
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


def _transaction(account: DemoAccount, payee: Payee, day: date, number: int, last: date, chance: Random) -> Transaction:
    slug = f"{account.slug}/{day}/{number}"
    amount, fees = Decimal(chance.randint(payee.least, payee.most)) / 100, Decimal(payee.fee) / 100
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
        **_dates(account, payee, day, last, chance),
        **_words(account, payee, day, chance),
    )


def _dates(account: DemoAccount, payee: Payee, day: date, last: date, chance: Random) -> dict[str, Any]:
    """Return the dates of a transaction, and what it has come to by the ``last`` day that its bank has told of."""
    if account.provider == MANUAL:
        return {"status": Transaction.Status.POSTED, "posted_date": day}
    settled = day
    if payee.channel != OTHER:
        settled += timedelta(days=chance.randint(1, 2))
        settled += timedelta(days=7 - settled.weekday() if settled.weekday() >= SATURDAY else 0)
    if settled > last:
        return {"status": Transaction.Status.PENDING, "authorized_date": day}
    if payee.falls_away:
        return {"status": Transaction.Status.DELETED, "authorized_date": day}
    return {"status": Transaction.Status.POSTED, "authorized_date": day, "posted_date": settled}


def _words(account: DemoAccount, payee: Payee, day: date, chance: Random) -> dict[str, str]:
    """Return how the owner and the bank call a transaction."""
    if account.provider == MANUAL:
        return {"summary": payee.merchant, "source": "manual"}
    check = str(1000 + day.toordinal() % 9000) if payee.has_check else ""
    pattern = DESCRIPTIONS[payee.channel]
    told = pattern.format(merchant=payee.merchant.upper(), number=chance.randint(1000, 9999), place=account.place)
    return {
        "summary": f"Check {check}: {payee.merchant}" if check else payee.merchant,
        "check_number": check,
        "original_description": f"CHECK {check}" if check else told,
        "source": "bank",
    }
