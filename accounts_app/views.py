"""The owner's pages of the site: Accounts and Data settings."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import ListView, TemplateView, View

from accounts_app import storage_mode
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey


@method_decorator(never_cache, name="dispatch")
class OwnerMixin(LoginRequiredMixin):
    """For a signed-in person."""

    request: HttpRequest

    @property
    def owner(self) -> User:
        return cast(User, self.request.user)


class AccountsView(OwnerMixin, ListView):
    """The owner's accounts, and which keys see each."""

    template_name = "accounts.html"
    context_object_name = "accounts"

    def get_queryset(self) -> QuerySet[Account]:
        own = ApiKey.objects.filter(owner=self.owner, share_all_accounts=False)
        accounts = Account.objects.filter(owner=self.owner)
        return accounts.prefetch_related(Prefetch("api_keys", own, to_attr="restricted_keys"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sees_all = ApiKey.objects.filter(owner=self.owner, share_all_accounts=True)
        return super().get_context_data(keys_to_all=sees_all, **kwargs)


class DataSettingsView(OwnerMixin, TemplateView):
    template_name = "data_settings.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        stored = Transaction.objects.filter(account__owner=self.owner)
        keys = ApiKey.objects.filter(owner=self.owner)
        return super().get_context_data(transaction_count=stored.count(), keys=keys, **kwargs)


class SwitchOnView(OwnerMixin, View):
    def post(self, request: HttpRequest) -> HttpResponse:
        storage_mode.switch_on(self.owner)
        messages.success(request, "Storage Mode is on. Your keys can read account data now.")
        return redirect("data_settings")


class SwitchOffView(DataSettingsView):
    """Asks first, and says what will be deleted."""

    template_name = "storage_mode_off.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        count = storage_mode.switch_off(self.owner)
        messages.success(request, f"Storage Mode is off. {count} stored transactions were deleted.")
        return redirect("data_settings")
