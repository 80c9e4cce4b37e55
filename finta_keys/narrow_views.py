"""Restrict a key that shares all accounts to those that it used."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpResponse
from django.utils.translation import gettext as _

from finta_keys import views
from finta_keys.forms import KeyForm
from finta_keys.recent_use import RecentUse


class NarrowForm(KeyForm):
    """The accounts that the page named, and the ``scope_edits`` of the key then."""

    scope_edits = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    accounts = forms.Field(widget=forms.MultipleHiddenInput)


class NarrowView(views.OneKeyView):
    action = "edit_scope"
    form_class = NarrowForm
    template_name = "finta_keys/narrow.html"

    def get_initial(self) -> dict[str, Any]:
        accounts = [line.account.pk for line in RecentUse(self.key).accounts]
        return {"scope_edits": self.key.scope_edits, "accounts": accounts}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(use=RecentUse(self.key), **kwargs)

    def change(self, form: NarrowForm) -> HttpResponse:
        self.key.restrict_to(form.cleaned_data["accounts"], expected=form.cleaned_data["scope_edits"])
        return self.done(_("Scope updated. Changes take effect immediately."))

    def form_invalid(self, form: NarrowForm) -> HttpResponse:
        # A new form, so that the user confirms the accounts that the page names now.
        new_form = NarrowForm(initial=self.get_initial())
        return self.render_to_response(self.get_context_data(form=new_form, again=True))
