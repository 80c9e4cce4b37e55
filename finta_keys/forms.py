"""The forms of API settings. What a key may be is decided by the model; a form calls it and shows what it refuses."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError

from finta_keys import conf, nonces
from finta_keys.models import ApiKey, CreateNonce
from finta_keys.secret import Secret


class KeyForm(forms.Form):
    """What the forms of a key share."""

    def refuse(self, refused: ValidationError) -> None:
        """Show the errors of the model, each at its field where the form has it."""
        for field, messages in refused.message_dict.items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


def name_field() -> forms.CharField:
    # No validators and no stripping of its own: names.clean() decides, and says why.
    return forms.CharField(
        label="Name",
        required=False,
        strip=False,
        help_text="Where the key is used, such as Production or Personal scripts.",
        # No maxlength: a browser would cut a pasted name off in silence.
        widget=forms.TextInput(attrs={"autocomplete": "off", "required": True}),
    )


class AccountChoice(forms.MultipleChoiceField):
    """Checkboxes for all of an owner's accounts. What was chosen is handed to the model as it came."""

    widget = forms.CheckboxSelectMultiple

    def validate(self, value: list[str]) -> None:
        """Leave it to the model, which also sees accounts that went away since the form was shown."""


class ScopeFields(KeyForm):
    """The switch *Share all accounts* and a checkbox for each account, closed ones included."""

    share_all_accounts = forms.BooleanField(
        label="Share all accounts",
        required=False,
        initial=True,
        help_text="Future accounts included. Turn it off to choose the accounts that the key can see.",
    )
    accounts = AccountChoice(label="Accounts", required=False)

    def __init__(self, *args: Any, owner: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        accounts = conf.account_model()._default_manager.filter(**{conf.owner_field(): owner.pk})
        field = cast(AccountChoice, self.fields["accounts"])
        field.choices = [(str(account.pk), str(account)) for account in accounts]

    def chosen(self) -> list[str] | None:
        """Return the accounts for the model: None for all of them, else what is checked, perhaps nothing."""
        return None if self.cleaned_data["share_all_accounts"] else self.cleaned_data["accounts"]


class CreateKeyForm(ScopeFields):
    name = name_field()
    nonce = forms.CharField(widget=forms.HiddenInput, required=False)

    field_order = ["name", "share_all_accounts", "accounts", "nonce"]

    def __init__(self, *args: Any, owner: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, owner=owner, **kwargs)
        self.initial.setdefault("nonce", nonces.make(owner.pk))

    def clean(self) -> None:
        try:
            self.cleaned_data["nonce"] = self._read_nonce(self.cleaned_data.get("nonce", ""))
        except signing.BadSignature:
            # What was typed stays; the form is shown again with a nonce that is good.
            typed: Any = self.data
            self.data = typed = typed.copy()
            typed[self.add_prefix("nonce")] = self.initial["nonce"]
            self.add_error(None, "This form was open for more than an hour. Check it and press Create Key again.")

    def _read_nonce(self, signed: str) -> str:
        try:
            return nonces.read(signed, self.owner.pk)
        except signing.SignatureExpired:
            nonce = nonces.read(signed, self.owner.pk, max_age=None)
            if CreateNonce.is_spent(nonce):
                return nonce  # A late reload: issue() tells when it was done.
            raise

    def save(self) -> tuple[ApiKey, Secret]:
        """Create the key. Raises what ``ApiKey.objects.issue()`` raises."""
        return ApiKey.objects.issue(
            owner=self.owner, name=self.cleaned_data["name"], accounts=self.chosen(), nonce=self.cleaned_data["nonce"]
        )


class RenameForm(KeyForm):
    name = name_field()


class EditScopeForm(ScopeFields):
    def save(self, key: ApiKey) -> None:
        """Change the scope. Raises what ``key.restrict_to()`` raises."""
        accounts = self.chosen()
        if accounts is None:
            key.share_all()
        else:
            key.restrict_to(accounts)


class ConfirmForm(KeyForm):
    """The second step of Rotate and Delete, with the ``rotation`` that the person saw."""

    rotation = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": "This form was incomplete. Check it and confirm again."},
    )
