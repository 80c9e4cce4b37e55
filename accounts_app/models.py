"""Owners, their bank accounts and the transactions on them."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts_app.validators import (
    MONEY_DECIMALS,
    MONEY_MAX_DIGITS,
    validate_currency,
    validate_liability,
    validate_money,
    validate_no_secrets_in,
    validate_single_line,
)
from finta_keys.names import fold

EMAIL_KEY_MAX_LENGTH = 320
MANUAL = "manual"  # the provider of accounts that their owner updates


def money_field(**options: Any) -> models.DecimalField[Any, Any]:
    """An amount in the currency of its row, with at most 15 digits. 4 decimals are the most in ISO
    4217."""
    return models.DecimalField(
        max_digits=MONEY_MAX_DIGITS + MONEY_DECIMALS,
        decimal_places=MONEY_DECIMALS,
        validators=[validate_money],
        **options,
    )


def today() -> date:
    return datetime.now(UTC).date()


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user.

        Raise ``ValidationError`` under ``email`` if the e-mail is taken or invalid.
        """
        user: User = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password", "email_key"])  # clean() checks the folded address
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> User:
        if "\0" in (username or ""):  # PostgreSQL raises an error for NUL.
            raise self.model.DoesNotExist
        return self.get(email_key=fold(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address: an owner of accounts and keys, or an
    operator."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail", unique=True, error_messages={"unique": "A user with this e-mail exists."})
    # The folded address. It makes e-mails unique regardless of case and look-alike characters.
    email_key = models.CharField(max_length=EMAIL_KEY_MAX_LENGTH, unique=True, editable=False)
    storage_mode = models.BooleanField("Storage Mode", default=False, editable=False)
    is_active = models.BooleanField("active", default=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May sign in to the admin.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        validate_no_secrets_in(self)
        self.email_key = fold(self.email)
        if len(self.email_key) > EMAIL_KEY_MAX_LENGTH:
            raise ValidationError({"email": "This address is too long. Use one with fewer characters."})
        if User.objects.exclude(pk=self.pk).filter(email_key=self.email_key).exists():
            raise ValidationError({"email": "A user with this e-mail exists."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saved: dict[str, Any] = {}  # the columns as they were loaded or last saved

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> User:
        user = super().from_db(*args, **kwargs)
        user._saved = user._columns()
        return user

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save only the columns that were changed on this instance.

        Django's password pages load a user, hash for a while, and save all columns. That would undo
        changes committed in between: Storage Mode, a deactivation, even the user's deletion.
        """
        self.email_key = fold(self.email)
        fields = kwargs.get("update_fields")
        if fields is None and not self._state.adding:
            fields = {name for name, value in self._columns().items() if self._saved.get(name, ...) != value}
        elif fields is not None and "email" in fields:
            fields = {*fields, "email_key"}
        super().save(*args, **{**kwargs, "update_fields": fields})
        self._saved |= {name: value for name, value in self._columns().items() if fields is None or name in fields}

    def _columns(self) -> dict[str, Any]:
        """Return the values of all columns that are not deferred."""
        names = {field.attname for field in self._meta.concrete_fields}
        return {name: value for name, value in self.__dict__.items() if name in names}

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the user, locking the user's row first (T2)."""
        with transaction.atomic():
            User.objects.select_for_update().filter(pk=self.pk).first()
            return super().delete(*args, **kwargs)


class AccountQuerySet(models.QuerySet["Account"]):
    def create_manual(self, *, owner_id: uuid.UUID, **fields: Any) -> Account:
        """Create an account that its owner updates."""
        return self.create(owner_id=owner_id, provider=MANUAL, balance_as_of=timezone.now(), **fields)


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
        return " ".join(part for part in (self.institution_name, self.name, self._short_mask) if part)

    def clean(self) -> None:
        super().clean()
        validate_no_secrets_in(self)

    @property
    def label(self) -> str:
        """The account's name within its institution, such as ``Savings ··0002 (closed)``."""
        status = "" if self.status == self.Status.ACTIVE else f"({self.get_status_display().lower()})"
        return " ".join(part for part in (self.name, self._short_mask, status) if part)

    @property
    def _short_mask(self) -> str:
        return f"··{self.mask}" if self.mask else ""

    @property
    def is_manual(self) -> bool:
        return self.provider == MANUAL

    @property
    def is_closed(self) -> bool:
        return self.status == self.Status.CLOSED

    @property
    def is_writable(self) -> bool:
        """Return True if the owner can edit the account."""
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


class Transaction(models.Model):
    """A transaction on an account."""

    class Status(models.TextChoices):
        POSTED = "posted", "Posted"
        PENDING = "pending", "Pending"
        DELETED = "deleted", "Deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="transactions")
    provider = models.CharField(max_length=50)
    provider_id = models.CharField(max_length=200)
    summary = models.CharField(max_length=500)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.POSTED)
    amount = money_field()
    currency = models.CharField(max_length=3, validators=[validate_currency])
    authorized_date = models.DateField(null=True, blank=True)
    posted_date = models.DateField(null=True, blank=True)
    created_date = models.DateField(default=today, editable=False)
    # Generated by the database, so that update() keeps it correct.
    sort_date = models.GeneratedField(
        expression=Coalesce("posted_date", "authorized_date", "created_date"),
        output_field=models.DateField(),
        db_persist=True,
    )
    merchant_name = models.CharField(max_length=200, blank=True)
    category_id = models.UUIDField(null=True, blank=True)
    fees = money_field(null=True, blank=True)
    fee_type = models.CharField(max_length=50, blank=True)
    net_amount = money_field(null=True, blank=True)
    sub_account = models.CharField(max_length=200, blank=True)
    payment_channel = models.CharField(max_length=50, blank=True)
    check_number = models.CharField(max_length=50, blank=True)
    original_description = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["-sort_date", "-id"]
        indexes = [models.Index(fields=["account", "-sort_date", "-id"], name="accounts_app_tx_page")]
        constraints = [
            models.UniqueConstraint(fields=["account", "provider_id"], name="accounts_app_tx_once_per_account"),
            models.CheckConstraint(
                condition=~models.Q(status="posted") | models.Q(posted_date__isnull=False),
                name="accounts_app_posted_has_date",
                violation_error_message="A posted transaction needs its posted date.",
            ),
        ]

    def __str__(self) -> str:
        return self.summary

    def clean(self) -> None:
        super().clean()
        validate_no_secrets_in(self)
