"""Users: owners of accounts and keys, and operators."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils import timezone

from accounts_app.validators import validate_no_secrets_in
from finta_keys import standby
from finta_keys.names import fold

EMAIL_KEY_MAX_LENGTH = 320
ACCESS_COLUMNS = {"is_active", "password", "is_staff", "is_superuser"}  # changing them may take access away


class UserQuerySet(models.QuerySet["User"]):
    """Reads from the primary database: a replica may not know yet that a user was deactivated."""

    @property
    def db(self) -> str:
        return self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]  # the stubs lack it


class UserManager(BaseUserManager["User"]):
    _queryset_class = UserQuerySet

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
    """An owner of accounts and keys, or an operator. Users sign in with an e-mail address."""

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
    def from_db(cls, db: Any, field_names: Any, values: Any, **kwargs: Any) -> User:
        user = super().from_db(db, field_names, values, **kwargs)
        user._saved = dict(zip(field_names, values, strict=True))
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
        elif fields is not None:
            fields = {*fields, "email_key"} if "email" in fields else {*fields}
        super().save(*args, **{**kwargs, "update_fields": fields})
        if fields is not None and fields & ACCESS_COLUMNS:
            standby.confirm_change()
        self._saved |= {name: value for name, value in self._columns().items() if fields is None or name in fields}

    def _columns(self) -> dict[str, Any]:
        """Return the values of all columns that are not deferred."""
        names = {field.attname for field in self._meta.concrete_fields}
        return {name: value for name, value in self.__dict__.items() if name in names}

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the user, locking the user's row first (T2)."""
        with transaction.atomic():
            User.objects.select_for_update().filter(pk=self.pk).first()
            standby.confirm_change()
            return super().delete(*args, **kwargs)
