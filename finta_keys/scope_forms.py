"""The forms of Create Key and Edit scope."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finta_keys import conf, display, expiry, names, nonces, owners, transactions
from finta_keys.account_pages import ordered
from finta_keys.forms import name_field
from finta_keys.models import ApiKey, CreateNonce
from finta_keys.permission_fields import PermissionFields
from finta_keys.scope_fields import ScopeFields, read_pks
from finta_keys.secret import Secret


class CreateKeyForm(PermissionFields, ScopeFields):
    name = name_field()
    nonce = forms.CharField(widget=forms.HiddenInput, required=False)

    retired: ApiKey | None = None  # the original, if save() gave it an earlier expiry date

    field_order = [
        "name",
        "permission",
        "expires_at",
        "expires_on",
        "original_expires",
        "share_all_accounts",
        "find",
        "accounts",
        "nonce",
    ]

    def __init__(self, *args: Any, owner: AbstractBaseUser, original: ApiKey | None = None, **kwargs: Any) -> None:
        """``original`` is the key that is duplicated."""
        super().__init__(*args, owner=owner, **kwargs)
        self.original = original
        self.key = original if original is not None and _can_keep_expiry(original) else None
        self.set_expiry_choices()
        if original is not None:
            self.fields["original_expires"] = _original_expires_field()
        try:
            self._read_nonce(self.initial.get("nonce") or "")
        except signing.BadSignature:
            self.initial["nonce"] = nonces.make(owner.pk)

    def clean(self) -> None:
        try:
            self.cleaned_data["nonce"] = self._read_nonce(self.cleaned_data.get("nonce", ""))
        except signing.BadSignature:
            # Show the form again with the user's input and a new nonce.
            self.set_value("nonce", self.initial["nonce"])
            self.add_error(None, _("This form expired after an hour. Check it and press Create Key again."))
        if self.errors:
            self._add_other_errors()

    def add_model_errors(self, error: ValidationError) -> None:
        super().add_model_errors(error)
        self._add_other_errors()

    def _add_other_errors(self) -> None:
        """Add the errors that the model would raise next, so that users see all errors at once."""
        try:
            name_key = names.normalize(names.clean(self.cleaned_data.get("name", "")))
            ApiKey.objects.require_free_name(self.owner.pk, name_key)
        except ValidationError as error:
            self._add_unless_field_has_error(error)
        selected = self.cleaned_data.get("accounts") or self.cleaned_data.get("elsewhere")
        if not self.cleaned_data.get("share_all_accounts") and not selected:
            try:
                owners.reject_empty_scope()
            except ValidationError as error:
                self._add_unless_field_has_error(error)

    def _add_unless_field_has_error(self, error: ValidationError) -> None:
        if not self.errors.keys() & error.error_dict.keys():
            super().add_model_errors(error)

    def _read_nonce(self, signed: str) -> str:
        try:
            return nonces.read(signed, self.owner.pk)
        except signing.SignatureExpired:
            nonce = nonces.read(signed, self.owner.pk, max_age=None)
            if CreateNonce.is_spent(nonce):
                return nonce  # submitted twice: create_key() raises AlreadyDone
            raise

    @transactions.retry_conflicts
    def save(self) -> tuple[ApiKey, Secret]:
        """Create the key. Raises the errors of ``ApiKey.objects.create_key()``."""
        read_only, expires_at = self.read_only(), self.expiry_date()
        if expires_at is ...:
            expires_at = self.key.expires_at if self.key else None
        with transactions.atomic():
            key, secret = ApiKey.objects.create_key(
                owner=self.owner,
                name=self.cleaned_data["name"],
                accounts=self.selected_accounts(),
                read_only=read_only is True,
                expires_at=expires_at,
                nonce=self.cleaned_data["nonce"],
            )
            self._retire_original()
        return key, secret

    def _retire_original(self) -> None:
        days = self.cleaned_data.get("original_expires")
        if self.original is None or not days:
            return
        at, latest = timezone.now() + timedelta(days=int(days)), expiry.latest()
        # The latest time is the start of a day, so the full number of days may be some hours too
        # long.
        at = at if latest is None else min(at, latest)
        with self.original.locked() as current:  # Another request may just have set an earlier date.
            if current.expires_at is None or at < current.expires_at:
                current.edit_scope(expires_at=at)
                self.retired = current


def _can_keep_expiry(key: ApiKey) -> bool:
    """Return True if a new key may have the expiry date of this one."""
    try:
        expiry.clean(key.expires_at)
    except ValidationError:
        return False
    return True


def _original_expires_field() -> forms.ChoiceField:
    longest = conf.max_age()
    choices = [
        (1, gettext_lazy("Expires in 1 day")),
        (7, gettext_lazy("Expires in 7 days")),
        (30, gettext_lazy("Expires in 30 days")),
    ]
    return forms.ChoiceField(
        label=gettext_lazy("Old key"),
        required=False,
        choices=[
            ("", gettext_lazy("Stays as it is")),
            *((str(days), label) for days, label in choices if longest is None or days <= longest.days),
        ],
    )


class EditScopeForm(PermissionFields, ScopeFields):
    """The scope, the permission and the expiry date, with the ``scope_edits`` that the form
    showed."""

    scope_edits = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    shown = forms.CharField(widget=forms.HiddenInput, required=False)
    key: ApiKey

    field_order = ["permission", "expires_at", "expires_on", "share_all_accounts", "find", "accounts"]

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, owner=key.owner, **kwargs)
        self.key = key
        self.set_expiry_choices()

    def clean(self) -> None:
        if self.errors.pop("scope_edits", None):
            # Show the form again with the user's input and the current counter.
            self.set_value("scope_edits", str(self.key.scope_edits))
            self.add_error(None, _("This form was incomplete. Check it and press Save again."))

    @cached_property
    def saved(self) -> set[str]:
        """The accounts of the saved scope, if it is restricted."""
        # From the primary database: a replica could have an old scope, and Save would restore it.
        return set() if self.key.share_all_accounts else {str(pk) for pk in self._scoped.values_list("pk", flat=True)}

    @property
    def _scoped(self) -> QuerySet[Any]:
        return self.key.scoped(ordered(owners.accounts_of(self.owner.pk)))

    def show_page(self) -> None:
        super().show_page()
        if self.key.share_all_accounts:
            others = self.others
            others |= {"accessible": others["total"], "added": 0, "removed": others["total"] - others["selected"]}

    @property
    def accessible(self) -> set[str]:
        """The accounts on the page that the key can access before the change."""
        return {box.data["value"] for box in self.boxes} if self.key.share_all_accounts else self.saved

    @property
    def inaccessible_count(self) -> int:
        return 0 if self.key.share_all_accounts else self.pages.total - len(self.saved)

    @property
    def inaccessible_names(self) -> SafeString:
        return display.first_labels(
            ordered(owners.accounts_of(self.owner.pk)).exclude(pk__in=self._scoped.values("pk"))
        )

    def difference(self) -> tuple[SafeString, SafeString]:
        """Return the names of the accounts that Save would add to the current scope, and remove
        from it."""
        accounts = ordered(owners.accounts_of(self.owner.pk))
        scoped = self._scoped.order_by().values("pk")
        selected = self.selected_accounts()
        if selected is None:
            return display.first_labels(accounts.exclude(pk__in=scoped)), SafeString()
        self.show_page()
        pks = owners.valid_pks(selected)
        shown = [account.pk for account in self.account_page] + owners.valid_pks(self.cleaned_data["shown"] or ())
        added = accounts.filter(pk__in=pks).exclude(pk__in=scoped)
        removed = self._scoped.filter(pk__in=shown).exclude(pk__in=pks)
        return display.first_labels(added), display.first_labels(removed)

    def clean_shown(self) -> set[str] | None:
        """Return None if the field is malformed, or missing because the project's template lacks
        it."""
        shown = read_pks(self.cleaned_data["shown"])
        return None if shown is None else self.require_few(shown)

    def save(self, key: ApiKey) -> None:
        """Save the changes. Raises the errors of ``key.edit_scope()``."""
        key.edit_scope(
            accounts=self.selected_accounts(),
            read_only=self.read_only(),
            expires_at=self.expiry_date(),
            expected=self.cleaned_data["scope_edits"],
            shown=self.cleaned_data["shown"],
        )
