"""The forms of API settings. What a key may be is decided by the model; a form calls it and shows what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundWidget
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finta_keys import conf, display, names, nonces
from finta_keys.models import ApiKey, CreateNonce
from finta_keys.secret import Secret, hint, pattern


class KeyForm(forms.Form):
    """What the forms of a key share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Ids of its own: the host's page may have forms beside it.
        super().__init__(*args, **{"label_suffix": "", "auto_id": "finta_keys_%s", **kwargs})

    def refuse(self, refused: ValidationError) -> None:
        """Show the errors of the model, each at its field where the form has it."""
        for field, messages in refused.update_error_dict({}).items():  # A receiver of ours may name no field.
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


def name_field() -> forms.CharField:
    # No validators and no stripping of its own: names.clean() decides, and says why.
    return forms.CharField(
        label=capfirst(gettext_lazy("name")),
        required=False,
        strip=False,
        help_text=gettext_lazy("Where you use the key, such as Production or Personal scripts."),
        # No maxlength: a browser would cut a pasted name off in silence.
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True, "required": True}),
    )


class AccountChoice(forms.MultipleChoiceField):
    """Checkboxes for all of an owner's accounts. What was chosen is handed to the model as it came."""

    widget = forms.CheckboxSelectMultiple

    def validate(self, value: list[str]) -> None:
        """Leave it to the model, which also sees accounts that went away since the form was shown."""


class ScopeFields(KeyForm):
    """The switch *Share all accounts* and a checkbox for each account, closed ones included."""

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
        groups = display.grouped(conf.accounts_of(owner.pk))
        nameless = str(display.worded(_("Other %(account_words)s"))) if len(groups) > 1 else ""
        field.choices = [
            (name or nameless, [(str(account.pk), display.label(account)) for account in group])
            for name, group in groups
        ]

    @cached_property
    def account_groups(self) -> list[tuple[str, list[BoundWidget]]]:
        """The checkboxes of the accounts in their groups, for a template."""
        boxes = iter(self["accounts"])
        groups = cast(AccountChoice, self.fields["accounts"]).choices
        return [(str(name), list(islice(boxes, len(accounts)))) for name, accounts in cast(Any, groups)]

    @cached_property
    def boxes(self) -> list[BoundWidget]:
        return [box for _, boxes in self.account_groups for box in boxes]

    @property
    def chosen_count(self) -> int:
        return sum(bool(box.data["selected"]) for box in self.boxes)

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
            self.add_error(None, _("This form expired after an hour. Check it and press Create Key again."))

    def _read_nonce(self, signed: str) -> str:
        try:
            return nonces.read(signed, self.owner.pk)
        except signing.SignatureExpired:
            nonce = nonces.read(signed, self.owner.pk, max_age=None)
            if CreateNonce.is_spent(nonce):
                return nonce  # A late reload: create_key() tells when it was done.
            raise

    def save(self) -> tuple[ApiKey, Secret]:
        """Create the key. Raises what ``ApiKey.objects.create_key()`` raises."""
        return ApiKey.objects.create_key(
            owner=self.owner, name=self.cleaned_data["name"], accounts=self.chosen(), nonce=self.cleaned_data["nonce"]
        )


class RenameForm(KeyForm):
    name = name_field()


class EditScopeForm(ScopeFields):
    @cached_property
    def seen(self) -> set[str]:
        """The accounts that the key can see now, to tell what it gains and loses."""
        if self.initial["share_all_accounts"]:
            return {box.data["value"] for box in self.boxes}
        return set(self.initial["accounts"])

    @property
    def unseen(self) -> list[BoundWidget]:
        return [box for box in self.boxes if box.data["value"] not in self.seen]

    @property
    def unseen_names(self) -> str:
        names = [str(box.choice_label) for box in self.unseen]
        return ", ".join(names[:6] + ["…"] * (len(names) > 6))

    def save(self, key: ApiKey) -> None:
        """Change the scope. Raises what ``key.restrict_to()`` raises."""
        accounts = self.chosen()
        if accounts is None:
            key.share_all()
        else:
            key.restrict_to(accounts)


class ListForm(KeyForm):
    """How API settings is searched and sorted. What is no good is left out: it stands in the address."""

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

    def __init__(self, asked: Any) -> None:
        kept = {name: value for name, value in asked.items() if name != "sort" or value in self.SORTS}
        # A whole secret that was pasted is looked for by its hint, and goes into no link of the page (K2).
        kept["q"] = re.sub(pattern(conf.prefix()), lambda found: hint(found[0]), kept.get("q", ""))
        super().__init__(kept)

    @cached_property
    def query(self) -> str:
        """What leads back to the list as it was, such as ``"?q=first+bank"``; empty where nothing was asked for."""
        self.is_valid()
        asked = {name: value for name, value in self.cleaned_data.items() if value and value != "created"}
        return f"?{urlencode(asked)}" if asked else ""

    def apply(self, keys: Iterable[Any]) -> list[Any]:
        """Return the keys that were searched for, sorted. Each has its ``seen_accounts``."""
        self.is_valid()
        words = names.fold(self.cleaned_data.get("q", "")).split()
        found = _find(keys, words) if words else keys
        return sorted(found, key=_SORT_KEYS.get(self.cleaned_data.get("sort", ""), _newest_first))


def _find(keys: Iterable[Any], words: Iterable[str]) -> list[Any]:
    """Return the keys that have each word in their name, an account that they can see, or at the start of the hint."""
    folded = cache(lambda account: names.fold(str(account)))  # once, in however many scopes it is

    prefix = conf.prefix().lower()

    def matches(key: Any) -> bool:
        text = "\n".join([names.fold(key.name), *map(folded, key.seen_accounts)])
        return all(names.fold(key.hint).startswith(word) if word.startswith(prefix) else word in text for word in words)

    return [key for key in keys if matches(key)]


def _newest_first(key: ApiKey) -> Any:
    return -key.created_at.timestamp()


_SORT_KEYS = {
    "last_used": lambda key: -key.last_used_at.timestamp() if key.last_used_at else 0,
    "name": lambda key: key.name_key,
}


class ConfirmForm(KeyForm):
    """The second step of Rotate and Delete, with the ``rotation`` that the person saw."""

    rotation = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": gettext_lazy("This form was incomplete. Check it and confirm again.")},
    )
