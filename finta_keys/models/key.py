"""What a key is and all that can happen to it.

Every method here has saved when it returns, changes exactly its own columns (rule K3), and refuses with a
``ValidationError`` keyed by field. Locks are taken in the order owner row, key row, account rows, scope rows (T2).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, models
from django.db.models.functions import Length
from django.db.models.lookups import Exact, IntegerLessThanOrEqual
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from finta_keys import conf, names, owners, paths, secret, signals, transactions
from finta_keys.compiled import CompiledQuery
from finta_keys.database import KeyDatabaseManager, key_database
from finta_keys.deprecation import warn_renamed
from finta_keys.exceptions import AlreadyDone
from finta_keys.models.scope import KeyAccountScope
from finta_keys.nonces import CreateNonce


@cache
def _by_digest(alias: str, number: int) -> CompiledQuery[ApiKey]:
    """Return the query for the key under one of so many digests, its owner with it; built once."""
    keys = ApiKey.objects.using(alias).select_related("owner").order_by()
    example = [
        bytes([place]) * secret.DIGEST_LENGTH for place in range(number)
    ]  # all different: IN drops repeated ones
    return CompiledQuery(keys.filter(digest__in=example), ApiKey._meta.get_field("digest"))


class ApiKeyManager(KeyDatabaseManager["ApiKey"]):
    @sensitive_variables()
    def authenticate(self, presented: str) -> ApiKey | None:
        """Return the key that this secret authenticates now, with its owner fetched, or None.

        A malformed secret is rejected without a query. Any other costs one query, whatever the number of peppers. On a
        related manager, such as ``alice.api_keys``, the keys of other owners are not found.
        """
        if not secret.is_wellformed(presented, conf.prefix()):
            return None
        digests = [secret.digest(presented, pepper) for pepper in conf.peppers()]
        keys = _by_digest(key_database(), len(digests)).execute(digests)
        # A related manager is an instance of a subclass.
        if not keys or (type(self) is not ApiKeyManager and not self.using(key_database()).contains(keys[0])):
            return None
        key = keys[0]
        key.found_digest, key.first_digest = bytes(key.digest), digests[0]
        return key if key.owner.is_active else None

    @sensitive_variables()
    def with_secret(self, presented: str) -> ApiKey | None:
        """Deprecated: use ``authenticate()``."""
        warn_renamed("ApiKey.objects.with_secret()", "ApiKey.objects.authenticate()")
        return self.authenticate(presented)

    @sensitive_variables()
    def issue(self, **kwargs: Any) -> tuple[ApiKey, secret.Secret]:
        """Deprecated: use ``create_key()``."""
        warn_renamed("ApiKey.objects.issue()", "ApiKey.objects.create_key()")
        return self.create_key(**kwargs)

    @sensitive_variables()
    def create_key(
        self,
        *,
        owner: AbstractBaseUser,
        name: str,
        accounts: Iterable[Any] | None = None,
        nonce: str | None = None,
    ) -> tuple[ApiKey, secret.Secret]:
        """Create a key and return it with its secret, which exists nowhere else.

        ``accounts`` are accounts of the owner or their primary keys; only ``None`` means all. ``nonce`` is one from
        ``nonces.read()``: spent here, so that one intention gives one key.

        Raises ``ValidationError`` under ``owner``, ``name`` or ``accounts``, and ``AlreadyDone`` for a spent nonce.
        """
        with transactions.atomic():
            key = ApiKey(owner=owners.require_active(owners.lock_owner(owner.pk)), share_all_accounts=accounts is None)
            if nonce is not None:
                CreateNonce.spend(nonce, key)
            key.name = names.clean(name)
            key.name_key = names.normalize(key.name)
            fresh, columns = _new_secret()
            for column, value in columns.items():
                setattr(key, column, value)
            with key._refusing_taken_name(key.name_key):
                key.save(force_insert=True, using=key_database())
            if accounts is not None:
                key._replace_scope(accounts)
            signals.key_created.send(sender=ApiKey, key=key)
        return key, fresh


class ApiKey(models.Model):
    """The named record that an owner gives to one script or integration. It survives rotation."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys", verbose_name=gettext_lazy("owner")
    )
    name = models.CharField(gettext_lazy("name"), max_length=names.MAX_LENGTH)
    # The folded name. Lower() in an index is not enough: SQLite folds ASCII only.
    name_key = models.CharField(max_length=names.KEY_MAX_LENGTH, editable=False)
    digest = models.BinaryField(max_length=secret.DIGEST_LENGTH, unique=True, editable=False)
    pepper_id = models.CharField(max_length=8, editable=False)
    hint = models.CharField(gettext_lazy("hint"), max_length=64, editable=False)
    # A column of its own, not "no scope rows": if it were, deleting the last account of a scope would open all (S1).
    share_all_accounts = models.BooleanField(default=True)
    rotation = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(gettext_lazy("created at"), default=timezone.now, editable=False)
    rotated_at = models.DateTimeField(gettext_lazy("rotated at"), null=True, editable=False)
    last_used_at = models.DateTimeField(gettext_lazy("last used at"), null=True, editable=False)
    accounts: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        settings.FINTA_KEYS_ACCOUNT_MODEL, through="KeyAccountScope", related_name="api_keys", editable=False
    )

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    # Set by authenticate(): the digest of the presented secret by which the key was found, and that under the first
    # pepper. Apart from ``digest``, which a rotation changes on this instance too.
    found_digest: bytes | None = None
    first_digest: bytes | None = None

    class Meta:
        verbose_name = gettext_lazy("API key")
        verbose_name_plural = gettext_lazy("API keys")
        ordering = ["-created_at", "pk"]
        base_manager_name = "objects"  # Foreign keys to a key and refresh_from_db() read by it.
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
        """Insert, or save the named columns. Saving all of a key that was loaded earlier could bring back its digest
        from before a rotation, so it raises ``TypeError`` (rule K3)."""
        if not self._state.adding and kwargs.get("update_fields") is None:
            raise TypeError("Call rename(), share_all(), restrict_to() or rotate(), or save(update_fields=[...]).")
        super().save(*args, **kwargs)

    @property
    def secret_made_at(self) -> datetime:
        """When the secret of today was made."""
        return self.rotated_at or self.created_at

    @contextmanager
    def locked(self) -> Iterator[ApiKey]:
        """Open a transaction that holds the owner's row and the key's, and yield the key as it is now.

        Where the block raises, all is undone, on this instance too. Raises ``ApiKey.DoesNotExist`` where the key has
        been deleted.
        """
        before = self.__dict__.copy()
        try:
            with transactions.atomic():
                owners.lock_owner(self.owner_id)
                yield ApiKey.objects.select_for_update(no_key=True).get(pk=self.pk)
        except BaseException:
            self.__dict__.update(before)
            raise

    def rename(self, name: str) -> None:
        """Change the name and nothing else. Raises ``ValidationError`` under ``name``."""
        name = names.clean(name)
        with self.locked() as current:
            with self._refusing_taken_name(names.normalize(name)):
                self._write(name=name, name_key=names.normalize(name))
            signals.key_renamed.send(sender=ApiKey, key=self, old_name=current.name)

    def share_all(self) -> None:
        """Let the key see all of the owner's accounts, future ones included."""
        with self.locked():
            KeyAccountScope.objects.filter(key=self).delete()
            self._write(share_all_accounts=True)
            signals.key_scope_edited.send(sender=ApiKey, key=self)

    def restrict_to(self, accounts: Iterable[Any]) -> None:
        """Let the key see exactly these accounts of the owner (accounts or their primary keys).

        Raises ``ValidationError`` under ``accounts`` where there is none, or one that is not the owner's.
        """
        with self.locked():
            self._replace_scope(accounts)
            self._write(share_all_accounts=False)
            signals.key_scope_edited.send(sender=ApiKey, key=self)

    def add_to_scope(self, account: models.Model) -> None:
        """Add an account that this key has just created to its scope, if it has one (rule S5).

        To be called inside ``locked()``, on the key that it yields, with the account made in that same block. One that
        was there before would come into the scope as well, whoever hid it.
        """
        if not self.share_all_accounts:
            KeyAccountScope.objects.create(key=self, account_id=account.pk)
            signals.key_scope_edited.send(sender=ApiKey, key=self)

    @sensitive_variables()
    def rotate(self, *, expected: int | None = None) -> secret.Secret:
        """Change the secret and return the new one; the old one is dead.

        ``expected`` is the ``rotation`` that the caller saw; this instance's by default. Raises ``AlreadyDone`` where
        the key has been rotated since.
        """
        seen = self.rotation if expected is None else expected
        fresh, columns = _new_secret()
        columns |= {"rotation": seen + 1, "rotated_at": timezone.now()}
        with self.locked() as current:
            # The row is locked. The condition holds where a database has no row locks, too.
            if current.rotation != seen or not self._write(where={"rotation": seen}, **columns):
                raise AlreadyDone(key=current, at=current.secret_made_at)
            signals.key_rotated.send(sender=ApiKey, key=self, old_hint=current.hint)
        return fresh

    def delete(
        self, using: str | None = None, keep_parents: bool = False, *, expected: int | None = None
    ) -> tuple[int, dict[str, int]]:
        """Remove the key for good. Raises ``ApiKey.DoesNotExist`` where that has been done, and ``AlreadyDone`` where
        ``expected`` is given and the key has been rotated since."""
        with self.locked() as current:
            if expected is not None and expected != current.rotation:
                raise AlreadyDone(key=current, at=current.secret_made_at)
            return super().delete(using=using or key_database(), keep_parents=keep_parents)

    def scoped(self, queryset: models.QuerySet[Any], account_path: str = "") -> models.QuerySet[Any]:
        """Return ``queryset`` without what this key may not see, to be read from the database that is written to.

        ``account_path`` leads from the queryset's model to the account by foreign keys, such as ``"account"`` or
        ``"order__shop"``; empty for the account itself. Raises ``ImproperlyConfigured`` for any other, and
        where an annotation has taken the name of a field of it.

        The scope is a join, not ``Exists()``: it costs a third of the time to build, and the unique scope row cannot
        double a result.
        """
        to_owner, to_key = paths.lookups(queryset.model, account_path)
        for name in queryset.query.annotations:  # Django would filter by what is annotated.
            if f"{to_owner}__".startswith(f"{name}__") or f"{to_key}__".startswith(f"{name}__"):
                raise ImproperlyConfigured(
                    f"The queryset has an annotation {name!r}, which is a name on the way to the account of "
                    f"{queryset.model._meta.label}. Give the annotation another."
                )
        conditions: dict[str, Any] = {to_owner: self.owner_id}
        if not self.share_all_accounts:
            conditions[to_key] = self.pk
        return queryset.using(key_database()).filter(**conditions)

    def narrow(self, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
        """Deprecated: use ``scoped()``."""
        warn_renamed("ApiKey.narrow()", "ApiKey.scoped()")
        return self.scoped(queryset, path)

    def admit(self, account: models.Model) -> None:
        """Deprecated: use ``add_to_scope()``."""
        warn_renamed("ApiKey.admit()", "ApiKey.add_to_scope()")
        self.add_to_scope(account)

    @contextmanager
    def _refusing_taken_name(self, name_key: str) -> Iterator[None]:
        try:
            with transactions.atomic():
                yield
        except IntegrityError:
            others = ApiKey.objects.filter(owner_id=self.owner_id).exclude(pk=self.pk)
            if not others.filter(name_key=name_key).exists():
                raise
            message = _("You already have a key of this name. Choose another, or rename the other key first.")
            raise ValidationError({"name": ValidationError(message, code="taken")}) from None

    def _write(self, *, where: dict[str, Any] | None = None, **columns: Any) -> bool:
        """Save exactly these columns, and show them on this instance once they are. False where nothing matched."""
        rows = ApiKey.objects.filter(pk=self.pk, **(where or {})).update(**columns)
        self.__dict__.update(columns if rows else {})
        return bool(rows)

    def _replace_scope(self, accounts: Iterable[Any]) -> None:
        chosen = owners.lock_accounts(self.owner_id, accounts)
        rows = KeyAccountScope.objects.filter(key=self)
        kept = set(rows.values_list("account_id", flat=True))
        rows.exclude(account_id__in=chosen).delete()
        rows.bulk_create(KeyAccountScope(key=self, account_id=pk) for pk in chosen if pk not in kept)


@receiver(models.signals.post_delete, sender=ApiKey)
def _tell_of_deletion(instance: ApiKey, **kwargs: Any) -> None:
    """Not in ``delete()``, which is not called where the owner or a bulk deletion takes the key along."""
    signals.key_deleted.send(sender=ApiKey, key=instance)


@receiver(models.signals.pre_delete, sender=ApiKey)
def _fetch_what_is_told(instance: ApiKey, using: str, **kwargs: Any) -> None:
    """Of a key that was fetched in part, the rest could not be read when it is gone."""
    if deferred := instance.get_deferred_fields():
        instance.refresh_from_db(using=using, fields=deferred)


@receiver(models.signals.class_prepared)
def _tell_of_proxies(sender: Any, **kwargs: Any) -> None:
    """Where a project deletes by a proxy of its own, Django names that as the sender."""
    if issubclass(sender, ApiKey) and sender._meta.proxy:
        models.signals.pre_delete.connect(_fetch_what_is_told, sender=sender)
        models.signals.post_delete.connect(_tell_of_deletion, sender=sender)


@sensitive_variables()
def _new_secret() -> tuple[secret.Secret, dict[str, Any]]:
    pepper = conf.peppers()[0]
    fresh = secret.generate(conf.prefix())
    return fresh, {
        "digest": secret.digest(fresh, pepper),
        "pepper_id": secret.pepper_id(pepper),
        "hint": secret.hint(fresh),
    }
