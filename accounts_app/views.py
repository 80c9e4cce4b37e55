"""The owner's pages: Accounts and Data settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, TemplateView, View

from accounts_app import account_list, storage_mode
from accounts_app.forms import AccountForm, AddAccountForm, EditAccountForm
from accounts_app.models import Account, NotWritable, Transaction, User
from finta_keys import transactions
from finta_keys.database import key_database
from finta_keys.models import ApiKey

MAX_NAMED_KEYS = 5  # in a message
MAX_LISTED_KEYS = 100  # on a page


@method_decorator(never_cache, name="dispatch")
class OwnerMixin(LoginRequiredMixin):
    """Requires sign-in and limits queries to the user's own rows."""

    request: HttpRequest

    @property
    def owner(self) -> User:
        return cast(User, self.request.user)

    def own_accounts(self) -> QuerySet[Account]:
        return Account.objects.using(key_database()).filter(owner=self.owner.pk)

    def own_keys(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = ApiKey.objects.filter(owner=self.owner.pk)
        return keys


# Accounts


class AccountsView(OwnerMixin, TemplateView):
    """The owner's accounts by institution, each with the keys that can access it."""

    template_name = "accounts.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        keys = self.own_keys()
        page = account_list.paginate(self.own_accounts(), keys, self.request.GET.get("page"))
        return super().get_context_data(
            page=page,
            groups=account_list.grouped_rows(page, keys),
            calls_are_rejected=not self.owner.storage_mode and keys.exists(),
            **kwargs,
        )


class AddAccountView(OwnerMixin, FormView):
    template_name = "accounts/add.html"
    form_class = AddAccountForm

    def form_valid(self, form: AddAccountForm) -> HttpResponse:
        try:
            account = form.save(self.owner)
        except User.DoesNotExist:  # The user was deleted during the request.
            return redirect("login")
        if account is None:
            return self.render_to_response(self.get_context_data(form=form), status=409)
        messages.success(self.request, f"Added “{account.name}”. {self._access_message()}")
        return redirect("my_accounts")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(sharing_keys=self._sharing_keys()[1], **kwargs)

    def _access_message(self) -> str:
        count, names = self._sharing_keys()
        if not count:
            hint = "Edit the scope of a key" if self.own_keys().exists() else "Create a key"
            return f"No key can access it yet. {hint} to share it."
        reason = "it shares all accounts" if count == 1 else "they share all accounts"
        return f"Keys that can access it: {names} ({reason})."

    def _sharing_keys(self) -> tuple[int, str]:
        """Return how many valid keys share all accounts, and the names of the first ones.

        They can access a new account immediately.
        """
        keys = self.own_keys().filter(share_all_accounts=True).exclude(expires_at__lte=timezone.now())
        names = list(keys.values_list("name", flat=True)[: MAX_NAMED_KEYS + 1])
        text = ", ".join(names[:MAX_NAMED_KEYS])
        if len(names) <= MAX_NAMED_KEYS:
            return len(names), text
        count = keys.count()
        return count, f"{text} and {count - MAX_NAMED_KEYS} more"


@method_decorator(never_cache, name="dispatch")
class OneAccountView(OwnerMixin, FormView):
    """A page for one of the owner's accounts.

    Shows error pages for missing and read-only accounts.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except Http404:
            return render(request, "accounts/not_found.html", status=404)
        except NotWritable as error:
            return render(request, "accounts/not_writable.html", {"reason": error.message}, status=409)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.require_changeable()
        return super().get(request, *args, **kwargs)

    def require_changeable(self) -> None:
        """Raise ``NotWritable`` if the page cannot change the account."""
        self.account.require_writable()

    @cached_property
    def account(self) -> Account:
        """The account in the path. Raise ``Http404`` if there is none."""
        return self._find(self.own_accounts())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(account=self.account, **kwargs)

    def change(self, change: Callable[..., None], **values: Any) -> Account:
        """Change the account under a lock.

        It may have been closed or transferred since it was loaded.
        """
        with transaction.atomic(using=key_database()):
            account = self._find(self.own_accounts().select_for_update(of=("self",), no_key=True))
            change(account, **values)
        return account

    def done(self, message: str) -> HttpResponse:
        messages.success(self.request, message)
        return redirect("my_accounts")

    def _find(self, accounts: QuerySet[Account]) -> Account:
        try:
            return accounts.get(pk=self.kwargs["pk"])
        except (Account.DoesNotExist, ValidationError):  # A malformed id is a ValidationError.
            raise Http404 from None


class EditAccountView(OneAccountView):
    template_name = "accounts/edit.html"
    form_class = EditAccountForm

    def get_initial(self) -> dict[str, Any]:
        return {column: getattr(self.account, column) for column in AccountForm.base_fields}

    def form_valid(self, form: EditAccountForm) -> HttpResponse:
        try:
            account = self.change(form.save, **form.changes())
        except NotWritable as error:
            return self._show_again(form, error)
        if form.errors:  # It has changed since the form was shown.
            return self.render_to_response(self.get_context_data(form=form), status=409)
        return self.done(f"Saved “{account.name}”." if form.has_changed() else "Nothing was changed.")

    def _show_again(self, form: EditAccountForm, error: NotWritable) -> HttpResponse:
        """Show the reason and the submitted values, which the user may want to copy."""
        form.add_error(None, f"{error.message} Nothing was saved.")
        return self.render_to_response(self.get_context_data(form=form, is_rejected=True), status=409)


class CloseAccountView(OneAccountView):
    """Asks for confirmation."""

    template_name = "accounts/close.html"
    form_class = Form

    def form_valid(self, form: Form) -> HttpResponse:
        account = self.change(Account.close)
        return self.done(f"Closed “{account.name}”.")


class DeleteAccountView(OneAccountView):
    """Deletes a closed manual account. The page names the rows that are deleted with it, and
    asks."""

    template_name = "accounts/delete.html"
    form_class = Form

    def require_changeable(self) -> None:
        self.account.require_deletable()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        keys = self.own_keys().filter(share_all_accounts=False, accounts=self.account)
        return super().get_context_data(
            transaction_count=self.account.transactions.count(),
            keys=keys[:MAX_LISTED_KEYS],
            key_count=keys.count(),
            **kwargs,
        )

    def form_valid(self, form: Form) -> HttpResponse:
        name = self.account.name
        with transaction.atomic(using=key_database()):
            # Deleting locks the owner too. The owner comes first (T2).
            User.objects.using(key_database()).select_for_update(no_key=True).filter(pk=self.owner.pk).first()
            self.change(Account.delete_closed)
        return self.done(f"Deleted “{name}”.")


# Data settings


class DataSettingsView(OwnerMixin, TemplateView):
    template_name = "data_settings.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        transactions = Transaction.objects.using(key_database()).filter(account__owner=self.owner.pk)
        return super().get_context_data(
            transaction_count=transactions.count(),
            keys=self.own_keys()[:MAX_LISTED_KEYS],
            key_count=self.own_keys().count(),
            **kwargs,
        )


class SwitchOnView(OwnerMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        """Users arrive here after signing in, if the session expired before their POST."""
        return redirect("data_settings")

    def post(self, request: HttpRequest) -> HttpResponse:
        storage_mode.switch_on(self.owner)
        messages.success(request, "Storage Mode is on. Your keys can read account data.")
        return redirect("finta_keys:list" if request.POST.get("next") == "keys" else "data_settings")


class SwitchOffView(DataSettingsView):
    """Asks for confirmation and says what will be deleted."""

    template_name = "storage_mode_off.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        messages.success(request, _switch_off(self.owner))
        return redirect("data_settings")


def _switch_off(owner: User) -> str:
    """Switch Storage Mode off.

    Return a message with the number of transactions that were deleted.
    """
    with transactions.atomic():
        owners = User.objects.using(key_database()).select_for_update(no_key=True)
        if not owners.filter(pk=owner.pk, storage_mode=True):
            return "Storage Mode was already off. Nothing was deleted."
        count = storage_mode.switch_off(owner)
    messages_by_count = {0: "There were no transactions to delete.", 1: "1 transaction was deleted."}
    return f"Storage Mode is off. {messages_by_count.get(count, f'{count:,} transactions were deleted.')}"
