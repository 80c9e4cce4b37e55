"""Bank accounts, and the rules for changing them."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from accounts_app.models.users import User
from accounts_app.validators import (
    MONEY_DECIMALS,
    MONEY_MAX_DIGITS,
    validate_currency,
    validate_liability,
    validate_money,
    validate_no_secrets_in,
    validate_single_line,
)
from finta_keys.database import key_database
from finta_keys.scoping import unscoped_rows

MANUAL = "manual"  # the provider of accounts that their owner updates


def money_field(**options: Any) -> models.DecimalField[Any, Any]:
    """An amount in the currency of its row: 15 digits at most, 4 of them decimals as in ISO
    4217."""
    return models.DecimalField(
        max_digits=MONEY_MAX_DIGITS + MONEY_DECIMALS,
        decimal_places=MONEY_DECIMALS,
        validators=[validate_money],
        **options,
    )


class AccountQuerySet(models.QuerySet["Account"]):
    def create_manual(self, *, owner_id: uuid.UUID, **fields: Any) -> Account:
        """Create an account that its owner updates.

        Raise ``TooManyAccounts`` if the owner has no room for another one. Lock the owner first, so
        that two requests do not both use the last place.
        """
        self.require_room(owner_id)
        return self.create(owner_id=owner_id, provider=MANUAL, balance_as_of=timezone.now(), **fields)

    def require_room(self, owner_id: uuid.UUID) -> None:
        """Raise ``TooManyAccounts`` if the owner has ``MAX_ACCOUNTS_PER_OWNER`` accounts or
        more."""
        with unscoped_rows("the limit counts all accounts of the owner"):
            # Not from a replica, which may not have the newest accounts.
            count = self.using(key_database()).filter(owner_id=owner_id).count()
        if count >= settings.MAX_ACCOUNTS_PER_OWNER:
            raise TooManyAccounts(
                f"The limit of {settings.MAX_ACCOUNTS_PER_OWNER:,} accounts is reached. "
                "Close manual accounts and delete them on the Accounts page."
            )


class TooManyAccounts(ValidationError):
    """Raised if an owner has no room for another account."""


class NotWritable(ValidationError):
    """Raised on a change to a closed account or to one that is synced from a bank."""


class Account(models.Model):
    """A bank account."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        CLOSED = "closed", "Closed"
        DISCONNECTED = "disconnected", "Disconnected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="accounts")
    provider = models.CharField(max_length=50, default=MANUAL)
    provider_account_id = models.CharField(max_length=200, blank=True)
    bank_connection_id = models.UUIDField(null=True, blank=True, db_index=True)
    institution_name = models.CharField(max_length=200, blank=True, validators=[validate_single_line])
    name = models.CharField(max_length=200, validators=[validate_single_line])
    mask = models.CharField("last digits", max_length=10, blank=True, validators=[validate_single_line])
    type = models.CharField(max_length=50, validators=[validate_single_line])
    subtype = models.CharField(max_length=50, blank=True, validators=[validate_single_line])
    currency = models.CharField(max_length=3, validators=[validate_currency])
    current_balance = money_field()
    available_balance = money_field(null=True, blank=True)
    balance_as_of = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ACTIVE)
    closed_at = models.DateTimeField(null=True, blank=True)
    liability = models.JSONField(null=True, blank=True, validators=[validate_liability])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[models.Manager[Account]] = models.Manager.from_queryset(AccountQuerySet)()

    class Meta:
        ordering = ["institution_name", "name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status="closed", closed_at__isnull=False)
                | (~models.Q(status="closed") & models.Q(closed_at__isnull=True)),
                name="accounts_app_closed_has_date",
                violation_error_message="A closed account needs the time of its closing; no other may have one.",
            ),
        ]

    def __str__(self) -> str:
        return " ".join(part for part in (self.institution_name, self.name, self.short_mask) if part)

    def clean(self) -> None:
        super().clean()
        validate_no_secrets_in(self)
        accounts: Any = Account.objects
        if not accounts.filter(pk=self.pk, owner_id=self.owner_id).exists():
            accounts.require_room(self.owner_id)

    @property
    def label(self) -> str:
        """The account's name within its institution, such as ``Savings ··0002 (closed)``."""
        status = "" if self.status == self.Status.ACTIVE else f"({self.get_status_display().lower()})"
        return f"{self.name_and_mask} {status}".strip()

    @property
    def name_and_mask(self) -> str:
        return f"{self.name} {self.short_mask}".strip()

    @property
    def short_mask(self) -> str:
        return f"··{self.mask}" if self.mask else ""

    @property
    def is_manual(self) -> bool:
        return self.provider == MANUAL

    @property
    def is_closed(self) -> bool:
        return self.status == self.Status.CLOSED

    @property
    def is_writable(self) -> bool:
        """True if the owner can edit the account."""
        return self.is_manual and not self.is_closed

    def require_writable(self) -> None:
        """Raise ``NotWritable`` with the reason unless the account is manual and open."""
        self._require_manual()
        if self.is_closed:
            raise NotWritable("This account is closed. Closed accounts cannot be changed.")

    def edit(self, **fields: Any) -> None:
        """Change fields of an open manual account. Raise ``NotWritable`` for any other account."""
        self.require_writable()
        if fields.keys() & {"current_balance", "available_balance"}:
            fields["balance_as_of"] = timezone.now()
        self._save_fields(fields)

    def close(self) -> None:
        """Close a manual account and keep its rows. Raise ``NotWritable`` for any other account.

        Closing a closed account does nothing.
        """
        self._require_manual()
        if not self.is_closed:
            self._save_fields({"status": self.Status.CLOSED, "closed_at": timezone.now()})

    def require_deletable(self) -> None:
        """Raise ``NotWritable`` with the reason unless the account is manual and closed."""
        self._require_manual()
        if not self.is_closed:
            raise NotWritable("This account is open. Close it first.")

    def delete_closed(self) -> None:
        """Delete a closed manual account with its transactions. Raise ``NotWritable`` for any
        other.

        It leaves the scope of every key.
        """
        self.require_deletable()
        self.delete()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the account, locking the owner's row first, as changes to a scope do (T2)."""
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).filter(accounts=self.pk).first()
            return super().delete(*args, **kwargs)

    def _require_manual(self) -> None:
        if not self.is_manual:
            raise NotWritable("This account is synced from your bank. Only manual accounts can be changed.")

    def _save_fields(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=fields.keys())
