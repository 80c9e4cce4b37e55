"""The forms of API settings. The model validates; the forms show its errors."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.boundfield import BoundWidget
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finta_keys import conf, display, key_list, nonces, owners
from finta_keys.models import ApiKey, CreateNonce
from finta_keys.secret import Secret, hint, pattern


class KeyForm(forms.Form):
    """Base class of the forms of a key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The prefix keeps our ids apart from those of other forms on the host's page.
        super().__init__(*args, **{"label_suffix": "", "auto_id": "finta_keys_%s", **kwargs})

    def add_model_errors(self, error: ValidationError) -> None:
        """Add the errors of a model method, each to its field if the form has it."""
        # update_error_dict() also handles an error without fields, such as from a signal receiver.
        for field, messages in error.update_error_dict({}).items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


def name_field() -> forms.CharField:
    # names.clean() trims and validates.
    return forms.CharField(
        label=capfirst(gettext_lazy("name")),
        required=False,
        strip=False,
        help_text=gettext_lazy("Where you use the key, such as Production or Personal scripts."),
        # No maxlength: browsers silently cut off a pasted name.
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True, "required": True}),
    )


class AccountChoice(forms.MultipleChoiceField):
    """Checkboxes for all of an owner's accounts."""

    widget = forms.CheckboxSelectMultiple

    def validate(self, value: list[str]) -> None:
        """Accept everything: the model rejects accounts that are invalid or have been deleted."""


class ScopeFields(KeyForm):
    """The switch *Share all accounts* and a checkbox per account, including closed ones."""

    share_all_accounts = forms.BooleanField(
        label=display.worded(gettext_lazy("Share all %(account_words)s")),
        required=False,
        initial=True,
        help_text=display.worded(
            gettext_lazy(
                "Includes %(account_words)s you add later. Turn off to select the %(account_words)s the key can access."
            )
        ),
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    accounts = AccountChoice(label=capfirst(display.worded("%(account_words)s")), required=False)

    def __init__(self, *args: Any, owner: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        field = cast(AccountChoice, self.fields["accounts"])
        groups = display.grouped(owners.accounts_of(owner.pk))
        unnamed = str(display.worded(_("Other %(account_words)s"))) if len(groups) > 1 else ""
        field.choices = [
            (name or unnamed, [(str(account.pk), display.label_html(account)) for account in group])
            for name, group in groups
        ]

    @cached_property
    def account_groups(self) -> list[tuple[str, list[BoundWidget]]]:
        """The name and the checkboxes of each group of accounts."""
        boxes = iter(self["accounts"])
        groups = cast(AccountChoice, self.fields["accounts"]).choices
        return [(str(name), list(islice(boxes, len(accounts)))) for name, accounts in cast(Any, groups)]

    @cached_property
    def boxes(self) -> list[BoundWidget]:
        return [box for _, boxes in self.account_groups for box in boxes]

    @property
    def selected_count(self) -> int:
        return sum(bool(box.data["selected"]) for box in self.boxes)

    def selected_accounts(self) -> list[str] | None:
        """Return the selected accounts, or None for all accounts."""
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
            # Show the form again with the user's input and a new nonce.
            data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
            data[self.add_prefix("nonce")] = self.initial["nonce"]
            self.data = data
            self.add_error(None, _("This form expired after an hour. Check it and press Create Key again."))

    def _read_nonce(self, signed: str) -> str:
        try:
            return nonces.read(signed, self.owner.pk)
        except signing.SignatureExpired:
            nonce = nonces.read(signed, self.owner.pk, max_age=None)
            if CreateNonce.is_spent(nonce):
                return nonce  # submitted twice: create_key() raises AlreadyDone
            raise

    def save(self) -> tuple[ApiKey, Secret]:
        """Create the key. Raises the errors of ``ApiKey.objects.create_key()``."""
        return ApiKey.objects.create_key(
            owner=self.owner,
            name=self.cleaned_data["name"],
            accounts=self.selected_accounts(),
            nonce=self.cleaned_data["nonce"],
        )


class RenameForm(KeyForm):
    name = name_field()


class EditScopeForm(ScopeFields):
    """The scope, with the ``scope_edits`` and the selected accounts that the form showed."""

    scope_edits = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    shown = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shown = [box.data["value"] for box in self.boxes if box.data["value"] in set(self.initial["accounts"])]
        self.initial["shown"] = json.dumps(shown)

    def clean(self) -> None:
        if self.errors.pop("scope_edits", None):
            # Show the form again with the user's input and the current counter.
            data: Any = self.data
            self.data = data = data.copy()
            data[self.add_prefix("scope_edits")] = self.initial["scope_edits"]
            self.add_error(None, _("This form was incomplete. Check it and press Save again."))

    def shown_accounts(self) -> list[str] | None:
        """Return the accounts that the form showed as part of the scope and that the owner still has.

        Return None if the form has no such field, as in a template of the host, or a malformed one.
        """
        try:
            shown = json.loads(self.cleaned_data["shown"])
        except (ValueError, RecursionError):
            return None
        if not isinstance(shown, list):
            return None
        return [box.data["value"] for box in self.boxes if box.data["value"] in shown]

    @cached_property
    def accessible(self) -> set[str]:
        """The ids of the accounts that the key can access before the change."""
        if self.initial["share_all_accounts"]:
            return {box.data["value"] for box in self.boxes}
        return set(self.initial["accounts"])

    @property
    def inaccessible(self) -> list[BoundWidget]:
        return [box for box in self.boxes if box.data["value"] not in self.accessible]

    @property
    def inaccessible_names(self) -> SafeString:
        return display.join_html(box.choice_label for box in self.inaccessible)

    def save(self, key: ApiKey) -> None:
        """Change the scope. Raises the errors of ``key.restrict_to()``."""
        accounts = self.selected_accounts()
        expected = self.cleaned_data["scope_edits"]
        if accounts is None:
            key.share_all(expected=expected)
        else:
            key.restrict_to(accounts, expected=expected, shown=self.shown_accounts())


class ListForm(KeyForm):
    """Search and sort order of API settings. Invalid values in the URL are ignored."""

    SORTS = {
        "created": gettext_lazy("Newest first"),
        "last_used": gettext_lazy("Last used first"),
        "name": capfirst(gettext_lazy("name")),
    }

    q = forms.CharField(
        label=gettext_lazy("Search keys"),
        max_length=200,
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": display.worded(gettext_lazy("Name or %(account_word)s")),
                "autocomplete": "off",
            }
        ),
    )
    sort = forms.ChoiceField(label=gettext_lazy("Sort by"), required=False, choices=list(SORTS.items()))
    page = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, params: Any) -> None:
        data = {name: params[name] for name in self.base_fields if name in params}
        if data.get("sort") not in self.SORTS:
            data.pop("sort", None)
        if not re.fullmatch("[1-9][0-9]{0,5}", data.get("page", "")):
            data.pop("page", None)
        # Search for a pasted secret by its hint, and keep it out of the page's links (K2).
        data["q"] = re.sub(pattern(conf.prefix()), lambda match: hint(match[0]), data.get("q", ""))
        super().__init__(data)

    @cached_property
    def query(self) -> str:
        """The query string of the list, such as ``"?q=first+bank"``; empty for the default list."""
        return self.query_of_page(self.page_number)

    @property
    def page_number(self) -> int:
        self.is_valid()
        return self.cleaned_data.get("page") or 1

    def query_of_page(self, page: int) -> str:
        """Return the query string of another page of the same list."""
        self.is_valid()
        params = {**self.cleaned_data, "page": page if page > 1 else None}
        params = {name: value for name, value in params.items() if value and value != "created"}
        return f"?{urlencode(params)}" if params else ""

    def apply(self, keys: QuerySet[ApiKey], owner_pk: Any) -> QuerySet[ApiKey]:
        """Return the matching keys of this owner in order."""
        self.is_valid()
        order = key_list.ORDERS[self.cleaned_data.get("sort") or "created"]
        return key_list.search(keys, owner_pk, self.cleaned_data.get("q", "")).order_by(*order)


class ConfirmForm(KeyForm):
    """Confirm Rotate or Delete. ``rotation`` identifies the secret that the user saw."""

    rotation = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": gettext_lazy("This form was incomplete. Check it and confirm again.")},
    )
