"""Accounts and transactions of the project. Its users are those of Django."""

import uuid
from datetime import date

from django.contrib.auth.models import User, UserManager  # noqa: F401  # for the tests
from django.db import models
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.utils import timezone


@receiver(pre_save, sender=User)
def sign_in_by_email(instance, **kwargs):
    instance.username = instance.username or instance.email


class AccountQuerySet(models.QuerySet):
    def create_manual(self, **fields):
        return self.create(**fields)


class Account(models.Model):
    class Status(models.TextChoices):
        ACTIVE = "active"
        CLOSED = "closed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="accounts")
    provider = models.CharField(max_length=50, default="manual")
    provider_account_id = models.CharField(max_length=200, blank=True)
    institution_name = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200)
    mask = models.CharField(max_length=10, blank=True)
    type = models.CharField(max_length=50)
    subtype = models.CharField(max_length=50, blank=True)
    currency = models.CharField(max_length=3)
    current_balance = models.DecimalField(max_digits=19, decimal_places=4)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.ACTIVE)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["institution_name", "name", "pk"]

    def __str__(self):
        return " ".join(part for part in (self.institution_name, self.name, self._short_mask) if part)

    @property
    def label(self):
        status = "" if self.status == self.Status.ACTIVE else f"({self.get_status_display().lower()})"
        return " ".join(part for part in (self.name, self._short_mask, status) if part)

    @property
    def _short_mask(self):
        return f"··{self.mask}" if self.mask else ""

    def close(self):
        self.status, self.closed_at = self.Status.CLOSED, timezone.now()
        self.save()


class Transaction(models.Model):
    class Status(models.TextChoices):
        POSTED = "posted"
        PENDING = "pending"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="transactions")
    provider = models.CharField(max_length=50)
    provider_id = models.CharField(max_length=200)
    summary = models.CharField(max_length=500)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.POSTED)
    amount = models.DecimalField(max_digits=19, decimal_places=4)
    currency = models.CharField(max_length=3)
    posted_date = models.DateField(null=True, blank=True)
    created_date = models.DateField(default=date.today, editable=False)
    merchant_name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-posted_date", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["provider_id", "account"], name="accounts_app_tx_once_per_account")
        ]

    def __str__(self):
        return self.summary
