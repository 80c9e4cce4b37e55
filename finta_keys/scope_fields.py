"""The fields that select the accounts of a key.

A form shows one page of accounts, so the number of its fields is limited. ``elsewhere`` carries the
accounts that were selected on other pages. ``shown`` carries the accounts of the saved scope on
this page, and those that were deselected on other pages. Accounts in neither keep their state.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Self, cast

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.paginator import Page
from django.forms.boundfield import BoundWidget
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finta_keys import display, owners
from finta_keys.account_pages import AccountPages
from finta_keys.forms import KeyForm

MAX_CHANGED = 10_000  # accounts at a time: the form sends their primary keys
ALL, NONE = "all", "none"  # values of the button ``turn``, which is the number of a page otherwise


class AccountChoice(forms.MultipleChoiceField):
    """Checkboxes for a page of an owner's accounts."""

    widget = forms.CheckboxSelectMultiple

    def validate(self, value: list[str]) -> None:
        """Accept everything: the model rejects accounts that are invalid or have been deleted."""


class ScopeFields(KeyForm):
    """The switch *Share all accounts* and a checkbox per account, including closed ones.

    Call ``show_page()`` before the form is rendered.
    """

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
    find = forms.CharField(
        label=display.worded(gettext_lazy("Find %(an_account_word)s")),
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    accounts = AccountChoice(label=capfirst(display.worded("%(account_words)s")), required=False)
    page = forms.CharField(widget=forms.HiddenInput, required=False)
    elsewhere = forms.CharField(widget=forms.HiddenInput, required=False)

    turn: str | None = None  # the button that was pressed to show another page
    pages: AccountPages
    account_page: Page[Any]
    others: dict[str, int]  # counts of the accounts on other pages

    def __init__(self, *args: Any, owner: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def clean_elsewhere(self) -> set[str]:
        return self.require_few(read_pks(self.cleaned_data["elsewhere"]) or set())

    def require_few(self, pks: set[str]) -> set[str]:
        """Return ``pks``. Add an error to the form if they are too many."""
        if len(pks) > MAX_CHANGED:
            message = _("Change at most %(number)s %(account_words)s at a time. Edit the scope again to change more.")
            self.add_error("accounts", message % {"number": MAX_CHANGED, **display.words()})
        return pks

    def selected_accounts(self) -> list[str] | None:
        """Return the selected accounts, or None for all accounts."""
        if self.cleaned_data["share_all_accounts"]:
            return None
        return [*self.cleaned_data["accounts"], *self.cleaned_data["elsewhere"]]

    @property
    def saved(self) -> set[str]:
        """The accounts of the saved scope, if it is restricted."""
        return set()

    def with_page(self, turn: str, **kwargs: Any) -> Self:
        """Return a new form with the values of this one, without errors.

        ``turn`` is the number of the page to show, or ``ALL`` or ``NONE`` to change all accounts
        that match the search. ``kwargs`` are the arguments of the form.
        """
        values = {
            name: field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            for name, field in self.fields.items()
        }
        form = type(self)(**{**kwargs, "initial": values, "data": None, "files": None})
        form.turn = turn
        if "name" in form.fields:
            form.fields["name"].widget.attrs.pop("autofocus")  # The page is turned: its accounts get the focus.
        return form

    def show_page(self) -> None:
        """Show the boxes of a page, and carry the changes on other pages in hidden fields."""
        self.pages = AccountPages(self.owner.pk, self._value("find") or "")
        number = self._value("page") if self.turn in (None, "", ALL, NONE) else self.turn
        self.account_page = self.pages.paginator.get_page(number or 1)
        accounts = list(self.account_page)
        on_page = {str(account.pk) for account in accounts}
        added, removed = self._changes()
        checked = on_page & ((self.saved - removed) | added)
        added = owners.existing_pks(self.owner.pk, added - on_page)
        removed = (removed & self.saved) - on_page
        self._show_accounts(accounts)
        self.set_value("accounts", sorted(checked))
        self.set_value("elsewhere", json.dumps(sorted(added)))
        self.set_value("shown", json.dumps(sorted((self.saved & on_page) | removed)))
        self.set_value("page", str(self.account_page.number))
        others = self.saved - on_page
        self.others = {
            "total": self.pages.total - len(on_page),
            "accessible": len(others),
            "selected": len((others - removed) | added),
            "added": len(added),
            "removed": len(removed),
        }
        if not self.pages.has_several:
            del self.fields["find"]

    def _changes(self) -> tuple[set[str], set[str]]:
        """Return the accounts that the user has added to the saved scope and removed from it."""
        selected = {*(self._value("accounts") or ()), *(read_pks(self._value("elsewhere")) or ())}
        shown = read_pks(self._value("shown"))
        if shown is None:  # The form was not submitted, or the project's template lacks the field.
            shown = self.saved if self.is_bound else set()
        added, removed = selected - shown, shown - selected
        if self.turn == ALL:
            matches = self.pages.match_pks()
            return added | (matches - self.saved), removed - matches
        if self.turn == NONE:
            matches = self.pages.match_pks()
            return added - matches, removed | (matches & self.saved)
        return added, removed

    def _show_accounts(self, accounts: list[Any]) -> None:
        groups = display.grouped(accounts)
        unnamed = str(display.worded(_("Other %(account_words)s"))) if len(groups) > 1 else ""
        cast(AccountChoice, self.fields["accounts"]).choices = [
            (name or unnamed, [(str(account.pk), display.label_html(account)) for account in group])
            for name, group in groups
        ]

    def _value(self, name: str) -> Any:
        if name not in self.fields or not self.is_bound:
            return self.initial.get(name)
        return self[name].data

    def set_value(self, name: str, value: Any) -> None:
        if not self.is_bound:
            self.initial[name] = value
            return
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
        data.setlist(self.add_prefix(name), value if isinstance(value, list) else [value])
        self.data = data

    @cached_property
    def account_groups(self) -> list[tuple[str, list[BoundWidget]]]:
        """The name and the checkboxes of each group of accounts on the page."""
        boxes = iter(self["accounts"])
        groups = cast(AccountChoice, self.fields["accounts"]).choices
        return [(str(name), list(islice(boxes, len(accounts)))) for name, accounts in cast(Any, groups)]

    @cached_property
    def boxes(self) -> list[BoundWidget]:
        return [box for _, boxes in self.account_groups for box in boxes]

    @property
    def selected_count(self) -> int:
        return self.others["selected"] + sum(bool(box.data["selected"]) for box in self.boxes)

    @property
    def others_json(self) -> str:
        return json.dumps(self.others)

    @property
    def can_select_all(self) -> bool:
        return self.pages.has_several and 1 < self.account_page.paginator.count <= MAX_CHANGED


def read_pks(text: str | None) -> set[str] | None:
    """Return the primary keys in the JSON of a hidden field, or None if it is malformed."""
    try:
        pks = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return {str(pk) for pk in pks} if isinstance(pks, list) else None
