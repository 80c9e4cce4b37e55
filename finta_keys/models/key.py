"""The key: its columns, and the methods that change it.

Each method saves its own columns and no others before it returns (rule K3). Locks are taken in the
order owner, key, accounts, scope rows (rule T2).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from types import EllipsisType
from typing import Any, ClassVar

from django.conf import settings
from django.db import IntegrityError, models
from django.db.models.functions import Length
from django.db.models.lookups import Exact, IntegerLessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from finta_keys import account_paths, conf, expiry, history, names, owners, secret, signals, transactions
from finta_keys.database import key_database
from finta_keys.exceptions import AlreadyDone
from finta_keys.models import scope_rows
from finta_keys.models.deprecated import DeprecatedMethods
from finta_keys.models.manager import ApiKeyManager
from finta_keys.models.retired import RetiredSecret
from finta_keys.models.scope import KeyAccountScope
from finta_keys.request_state import count_scoping


class ApiKey(DeprecatedMethods, models.Model):
    """A named key that an owner gives to one script or integration. It survives rotation."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # No index of its own: the index of the unique constraint on (owner, name_key) serves it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="finta_keys",
        verbose_name=gettext_lazy("owner"),
    )
    name = models.CharField(gettext_lazy("name"), max_length=names.MAX_LENGTH)
    # The normalized name. An index on Lower("name") is not enough: SQLite lowers ASCII only.
    name_key = models.CharField(max_length=names.KEY_MAX_LENGTH, editable=False)
    digest = models.BinaryField(max_length=secret.DIGEST_LENGTH, unique=True, editable=False)
    pepper_id = models.CharField(max_length=8, editable=False)
    hint = models.CharField(gettext_lazy("hint"), max_length=64, editable=False)
    # If "no scope rows" meant all accounts, deleting the last account of a scope would open all
    # others (rule S1).
    share_all_accounts = models.BooleanField(default=True)
    # A read-only key may use safe methods only (rule K8).
    read_only = models.BooleanField(gettext_lazy("read only"), default=False, db_default=False)
    # The key is valid strictly before this time (rule K7).
    expires_at = models.DateTimeField(gettext_lazy("expires at"), null=True, editable=False)
    rotation = models.PositiveIntegerField(default=0, editable=False)
    # The number of times that Edit scope was saved. Accounts that the key adds to its own scope do
    # not count (rule K5).
    scope_edits = models.PositiveIntegerField(default=0, editable=False)
    scope_edited_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(gettext_lazy("created at"), default=timezone.now, editable=False)
    rotated_at = models.DateTimeField(gettext_lazy("rotated at"), null=True, editable=False)
    last_used_at = models.DateTimeField(gettext_lazy("last used at"), null=True, editable=False)
    accounts: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        settings.FINTA_KEYS_ACCOUNT_MODEL, through="KeyAccountScope", related_name="finta_keys", editable=False
    )

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    # Set by authenticate(): the digest that matched, and the digest of the same secret under the
    # first pepper. A rotation changes ``digest`` on this instance, but not these.
    matched_digest: bytes | None = None
    first_pepper_digest: bytes | None = None

    class Meta:
        verbose_name = gettext_lazy("API key")
        verbose_name_plural = gettext_lazy("API keys")
        ordering = ["-created_at", "pk"]
        base_manager_name = "objects"  # for foreign keys to a key, and for refresh_from_db()
        constraints = [
            models.UniqueConstraint(fields=["owner", "name_key"], name="finta_keys_name_unique_per_owner"),
            models.CheckConstraint(condition=~models.Q(name_key=""), name="finta_keys_name_not_empty"),
            models.CheckConstraint(
                condition=IntegerLessThanOrEqual(Length("name"), names.MAX_LENGTH), name="finta_keys_name_not_too_long"
            ),
            models.CheckConstraint(
                condition=Exact(Length("digest"), secret.DIGEST_LENGTH), name="finta_keys_digest_is_32_bytes"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<ApiKey {self.pk} {self.hint}>"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the key, or save the columns in ``update_fields``.

        Raise ``TypeError`` for an update without ``update_fields``: an instance loaded before a
        rotation would restore the old digest (rule K3).
        """
        if not self._state.adding and kwargs.get("update_fields") is None:
            raise TypeError("Call rename(), share_all(), restrict_to() or rotate(), or save(update_fields=[...]).")
        super().save(*args, **kwargs)

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def permission(self) -> str:
        """``"read_only"`` or ``"read_write"``."""
        return "read_only" if self.read_only else "read_write"

    @property
    def secret_made_at(self) -> datetime:
        """When the current secret was generated."""
        return self.rotated_at or self.created_at

    @property
    def secret_last_used_at(self) -> datetime | None:
        """When the current secret was last used, or None if only an earlier secret was."""
        if self.last_used_at and self.rotated_at and self.last_used_at < self.rotated_at:
            return None
        return self.last_used_at

    @contextmanager
    def locked(self) -> Iterator[ApiKey]:
        """Lock the rows of the owner and the key in a transaction, and yield the key as it is now.

        If the block raises, the database and the attributes of this instance are restored. Raise
        ``ApiKey.DoesNotExist`` if the key has been deleted.
        """
        attributes = self.__dict__.copy()
        try:
            with transactions.atomic():
                owners.lock_owner(self.owner_id)
                yield ApiKey.objects.select_for_update(no_key=True).get(pk=self.pk)
        except BaseException:
            self.__dict__.update(attributes)
            raise

    @transactions.retry_conflicts
    def rename(self, name: str) -> None:
        """Change the name. Raise ``ValidationError`` for ``name`` if it is invalid or taken."""
        name = names.clean(name)
        with self.locked() as current:
            with self._explain_taken_name(names.normalize(name)):
                self._write(name=name, name_key=names.normalize(name))
            history.record(history.Action.RENAMED, current, {"name": [current.name, name]}, key_name=name)
            signals.key_renamed.send(sender=ApiKey, key=self, old_name=current.name)

    def share_all(self, *, expected: int | None = None) -> None:
        """Share all accounts of the owner, future ones included: ``edit_scope(accounts=None)``."""
        self.edit_scope(accounts=None, expected=expected)

    def restrict_to(
        self, accounts: Iterable[Any], *, expected: int | None = None, shown: Iterable[Any] | None = None
    ) -> None:
        """Restrict the key to these accounts of the owner: ``edit_scope(accounts=accounts)``."""
        self.edit_scope(accounts=list(accounts), expected=expected, shown=shown)

    def edit_scope(
        self,
        *,
        accounts: Iterable[Any] | EllipsisType | None = ...,
        read_only: bool | EllipsisType = ...,
        expires_at: datetime | date | EllipsisType | None = ...,
        expected: int | None = None,
        shown: Iterable[Any] | None = None,
    ) -> None:
        """Change the scope, the permission and the expiry date. Omitted arguments change nothing.

        ``accounts`` are accounts of the owner, or their primary keys; None means all accounts,
        including future ones. ``shown`` are the primary keys of the accounts that a form showed as
        part of the scope. Other accounts in the scope stay in it, such as those that the key has
        added since (rule S5). ``expires_at`` is a time, or a date, which is read as the start of
        that day in the current time zone; None means never.

        Raise ``ValidationError`` for ``accounts`` if there are none, or if one does not belong to
        the owner, and for ``expires_at`` if it is past or later than ``FINTA_KEYS_MAX_AGE`` allows.
        Raise ``AlreadyDone`` if ``expected`` is given and is not the current ``scope_edits``.
        """
        columns: dict[str, Any] = {} if accounts is ... else {"share_all_accounts": accounts is None}
        if read_only is not ...:
            columns["read_only"] = read_only
        if expires_at is not ...:
            columns["expires_at"] = expiry.clean(expires_at)
        selected = None if accounts is None or accounts is ... else list(accounts)
        self._edit_scope(columns, selected, expected, None if shown is None else list(shown))

    @transactions.retry_conflicts
    def _edit_scope(
        self, columns: dict[str, Any], accounts: list[Any] | None, expected: int | None, shown: list[Any] | None
    ) -> None:
        with self.locked() as current:
            if expected is not None and expected != current.scope_edits:
                raise AlreadyDone(key=current, at=current.scope_edited_at or current.created_at)
            added, removed = set[Any](), set[Any]()
            if accounts is not None:
                added, removed = scope_rows.replace(self, accounts, None if current.share_all_accounts else shown)
            elif "share_all_accounts" in columns:
                removed = scope_rows.clear(self)
            self._write(**columns, scope_edits=current.scope_edits + 1, scope_edited_at=timezone.now())
            history.record_scope_edit(current, columns, added, removed)
            signals.key_scope_edited.send(sender=ApiKey, key=self)

    def add_to_scope(self, account: models.Model) -> None:
        """Add an account that this key has just created to its scope, if the key is restricted
        (rule S5).

        Call it inside ``locked()``, on the key that it yields, and create the account in the same
        block. An existing account would be added too, although the owner did not select it.
        """
        if not self.share_all_accounts:
            KeyAccountScope.objects.create(key=self, account_id=account.pk)
            history.record(history.Action.ACCOUNT_JOINED, self, {"added": history.labels_of([account.pk])})
            signals.key_scope_edited.send(sender=ApiKey, key=self)

    @transactions.retry_conflicts
    @sensitive_variables()
    def rotate(self, *, expected: int | None = None) -> secret.Secret:
        """Replace the secret and return the new one. The old secret is invalid once the transaction
        commits.

        ``expected`` is the ``rotation`` that the caller saw, by default that of this instance.
        Raise ``AlreadyDone`` if the key has been rotated since.
        """
        rotation = self.rotation if expected is None else expected
        new_secret, columns = self._new_secret()
        columns |= {"rotation": rotation + 1, "rotated_at": timezone.now()}
        with self.locked() as current:
            # SQLite has no row locks, so the UPDATE has the condition too.
            if current.rotation != rotation or not self._write(where={"rotation": rotation}, **columns):
                raise AlreadyDone(key=current, at=current.secret_made_at)
            RetiredSecret.objects.keep([RetiredSecret.of(current, RetiredSecret.Reason.ROTATED)])
            history.record(history.Action.ROTATED, current, {"hint": [current.hint, self.hint]}, key_hint=self.hint)
            signals.key_rotated.send(sender=ApiKey, key=self, old_hint=current.hint)
        return new_secret

    @transactions.retry_conflicts
    def delete(
        self, using: str | None = None, keep_parents: bool = False, *, expected: int | None = None
    ) -> tuple[int, dict[str, int]]:
        """Delete the key for good. Raise ``ApiKey.DoesNotExist`` if it has been deleted, and
        ``AlreadyDone`` if its ``rotation`` is not ``expected``."""
        with self.locked() as current:
            if expected is not None and expected != current.rotation:
                raise AlreadyDone(key=current, at=current.secret_made_at)
            # Receivers, and the history, need the key as it is now.
            self.__dict__.update(
                {field.attname: getattr(current, field.attname) for field in self._meta.concrete_fields}
            )
            return super().delete(using=using or key_database(), keep_parents=keep_parents)

    def scoped(self, queryset: models.QuerySet[Any], account_path: str = "") -> models.QuerySet[Any]:
        """Return the rows of ``queryset`` that this key may access, read from the primary database.

        ``account_path`` names the foreign keys from the queryset's model to the account, such as
        ``"account"`` or ``"order__shop"``. It is empty for the account model itself. Raise
        ``ImproperlyConfigured`` for any other path, for a queryset that can no longer be filtered,
        and if an annotation has the name of a field on the path.
        """
        count_scoping(self)
        return account_paths.limit_to_key(self, queryset, account_path)

    @staticmethod
    @sensitive_variables()
    def _new_secret() -> tuple[secret.Secret, dict[str, Any]]:
        """Return a new secret and the values of the columns that store it."""
        pepper = conf.peppers()[0]
        new_secret = secret.generate(conf.prefix())
        return new_secret, {
            "digest": secret.digest(new_secret, pepper),
            "pepper_id": secret.pepper_id(pepper),
            "hint": secret.hint(new_secret),
        }

    @contextmanager
    def _explain_taken_name(self, name_key: str) -> Iterator[None]:
        """If the block raises ``IntegrityError`` because the owner has another key with this name,
        raise ``ValidationError`` for ``name`` instead."""
        try:
            with transactions.atomic():
                yield
        except IntegrityError:
            ApiKey.objects.require_free_name(self.owner_id, name_key, key_pk=self.pk)
            raise

    def _write(self, *, where: dict[str, Any] | None = None, **columns: Any) -> bool:
        """Save these columns and set them on the instance. Return False if no row matches."""
        rows = ApiKey.objects.filter(pk=self.pk, **(where or {})).update(**columns)
        self.__dict__.update(columns if rows else {})
        return bool(rows)
