"""The forms of API settings. The model validates; the forms show its errors."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from finta_keys import conf, display, key_list, owners
from finta_keys.account_pages import ordered
from finta_keys.models import ApiKey
from finta_keys.secret import hint, pattern

MAX_OFFERED = 500  # accounts to filter the list by; if there are more, users search for a name


class KeyForm(forms.Form):
    """Base class of the forms of a key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The prefix avoids ids of other forms in the project's base template.
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


class RenameForm(KeyForm):
    name = name_field()


class ListForm(KeyForm):
    """Search, filters and sort order of API settings. Invalid values in the URL are ignored."""

    SORTS = {
        "created": gettext_lazy("Newest first"),
        "last_used": gettext_lazy("Last used first"),
        "name": capfirst(gettext_lazy("name")),
        "expires": gettext_lazy("Expires first"),
    }
    WHICH = {
        "": gettext_lazy("All"),
        "attention": gettext_lazy("Needs attention"),
        "unused": gettext_lazy("Unused"),
        "expiring": gettext_lazy("Expiring"),
        "read_only": gettext_lazy("Read only"),
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
    # offer_accounts() shows it. The view does not say which accounts exist, so any text is valid.
    account = forms.CharField(
        label=gettext_lazy("Can access"), max_length=255, required=False, widget=forms.HiddenInput
    )
    sort = forms.ChoiceField(label=gettext_lazy("Sort by"), required=False, choices=list(SORTS.items()))
    only = forms.ChoiceField(required=False, choices=list(WHICH.items()), widget=forms.HiddenInput)
    page = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, params: Any) -> None:
        data = {name: params[name] for name in self.base_fields if name in params}
        if data.get("sort") not in self.SORTS:
            data.pop("sort", None)
        if data.get("only") not in self.WHICH:
            data.pop("only", None)
        if not re.fullmatch("[1-9][0-9]{0,5}", data.get("page", "")):
            data.pop("page", None)
        # Search for a pasted secret by its hint, and keep it out of the page's links (K2).
        for name in ("q", "account"):
            data[name] = re.sub(pattern(conf.prefix()), lambda match: hint(match[0]), data.get(name, ""))
        self.had_secret = any(data[name] != params.get(name, "") for name in ("q", "account"))
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
        return self._query(page=page if page > 1 else None)

    def query_of_filter(self, kind: str) -> str:
        """Return the query string of the first page of the keys that a filter matches."""
        return self._query(page=None, only=kind)

    def _query(self, **changes: Any) -> str:
        self.is_valid()
        params = {**self.cleaned_data, **changes}
        params = {name: value for name, value in params.items() if value and value != "created"}
        return f"?{urlencode(params)}" if params else ""

    @property
    def kind(self) -> str:
        """The name of the filter in ``WHICH``."""
        self.is_valid()
        return str(self.cleaned_data.get("only", ""))

    @property
    def is_filtered(self) -> bool:
        """True if the list may leave out keys."""
        self.is_valid()
        return any(self.cleaned_data.get(name) for name in ("q", "account", "only"))

    def match(self, owner_pk: Any) -> Q:
        """Return the condition that keys match the search and can access the account."""
        self.is_valid()
        match = key_list.search(owner_pk, self.cleaned_data.get("q", ""))
        account = self.cleaned_data.get("account")
        return match & key_list.can_access(owner_pk, account) if account else match

    def apply(self, keys: QuerySet[ApiKey], owner_pk: Any, match: Q) -> QuerySet[ApiKey]:
        """Return the keys that satisfy ``match`` and the filter, sorted."""
        self.is_valid()
        order = key_list.ORDERS[self.cleaned_data.get("sort") or "created"]
        return key_list.filtered(keys.filter(match), owner_pk, self.kind).order_by(*order)

    def offer_accounts(self, owner_pk: Any) -> None:
        """Offer a selection of the owner's accounts, if there are several but not too many."""
        accounts = list(ordered(owners.accounts_of(owner_pk))[: MAX_OFFERED + 1])
        if 1 < len(accounts) <= MAX_OFFERED:
            groups = [
                (group, [(account.pk, display.label(account)) for account in members])
                for group, members in display.grouped(accounts)
            ]
            any_account = display.worded(gettext_lazy("Any %(account_word)s"))
            ungrouped = [choice for group, choices in groups if not group for choice in choices]
            named = [(group, choices) for group, choices in groups if group]
            self.fields["account"].widget = forms.Select(choices=[("", any_account), *ungrouped, *named])


class ConfirmForm(KeyForm):
    """Confirms Rotate or Delete. ``rotation`` is that of the key when the page was shown."""

    rotation = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": gettext_lazy("This form was incomplete. Check it and confirm again.")},
    )
