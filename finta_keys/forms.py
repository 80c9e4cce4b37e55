"""The forms of API settings. The model validates; the forms show its errors."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from finta_keys import conf, display, key_list
from finta_keys.models import ApiKey
from finta_keys.secret import hint, pattern


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


class RenameForm(KeyForm):
    name = name_field()


class ListForm(KeyForm):
    """Search and sort order of API settings. Invalid values in the URL are ignored."""

    SORTS = {
        "created": gettext_lazy("Newest first"),
        "last_used": gettext_lazy("Last used first"),
        "name": capfirst(gettext_lazy("name")),
        "expires": gettext_lazy("Expires first"),
    }
    WHICH = {
        "": gettext_lazy("All"),
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
        return self._query(page=page if page > 1 else None)

    def query_of_filter(self, kind: str) -> str:
        """Return the query string of the first page of the keys that a filter matches."""
        return self._query(page=None, only=kind)

    def _query(self, **changes: Any) -> str:
        self.is_valid()
        params = {**self.cleaned_data, **changes}
        params = {name: value for name, value in params.items() if value and value != "created"}
        return f"?{urlencode(params)}" if params else ""

    def apply(self, keys: QuerySet[ApiKey], owner_pk: Any) -> QuerySet[ApiKey]:
        """Return the matching keys of this owner in order."""
        self.is_valid()
        order = key_list.ORDERS[self.cleaned_data.get("sort") or "created"]
        keys = key_list.filtered(keys, self.cleaned_data.get("only", ""))
        return key_list.search(keys, owner_pk, self.cleaned_data.get("q", "")).order_by(*order)


class ConfirmForm(KeyForm):
    """Confirm Rotate or Delete. ``rotation`` identifies the secret that the user saw."""

    rotation = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": gettext_lazy("This form was incomplete. Check it and confirm again.")},
    )
