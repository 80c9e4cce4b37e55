"""The owner's pages of the site: Accounts and Data settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, TemplateView, View

from accounts_app import storage_mode
from accounts_app.forms import AccountForm, AddAccountForm, EditAccountForm
from accounts_app.models import Account, NotWritable, Transaction, User
from finta_keys import conf, display
from finta_keys.models import ApiKey

NAMED_KEYS = 5  # How many keys a message names.


@method_decorator(never_cache, name="dispatch")
class OwnerMixin(LoginRequiredMixin):
    """For a signed-in person and what is theirs."""

    request: HttpRequest

    @property
    def owner(self) -> User:
        return cast(User, self.request.user)

    def own_accounts(self) -> QuerySet[Account]:
        return Account.objects.using(conf.database()).filter(owner=self.owner.pk)

    def own_keys(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = ApiKey.objects.using(conf.database()).filter(owner=self.owner.pk)
        return keys


# Accounts


class Row(NamedTuple):
    """An account, and the keys that can see it."""

    account: Account
    keys: list[ApiKey]


class AccountsView(OwnerMixin, TemplateView):
    """The owner's accounts by institution, and which keys can see each."""

    template_name = "accounts.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        keys = list(self.own_keys())
        refused = bool(keys) and not self.owner.storage_mode
        return super().get_context_data(groups=self._groups(keys), calls_are_refused=refused, **kwargs)

    def _groups(self, keys: list[ApiKey]) -> list[tuple[str, list[Row]]]:
        chosen = Prefetch("api_keys", self.own_keys().filter(share_all_accounts=False), to_attr="choosing_keys")
        groups = display.grouped(self.own_accounts().prefetch_related(chosen))
        return [(name, [Row(account, _seeing(account, keys)) for account in group]) for name, group in groups]


def _seeing(account: Account, keys: list[ApiKey]) -> list[ApiKey]:
    """Return those of the owner's keys that can see an account, whose ``choosing_keys`` were fetched with it."""
    choosing = {key.pk for key in account.choosing_keys}  # type: ignore[attr-defined]  # the prefetch's
    return [key for key in keys if key.share_all_accounts or key.pk in choosing]


class AddAccountView(OwnerMixin, FormView):
    template_name = "accounts/add.html"
    form_class = AddAccountForm

    def form_valid(self, form: AddAccountForm) -> HttpResponse:
        try:
            account = form.save(self.owner)
        except User.DoesNotExist:  # Deleted while the form was on its way.
            return redirect("login")
        if account is None:
            return self.render_to_response(self.get_context_data(form=form), status=409)
        messages.success(self.request, f"Added “{account.name}”. {self._who_sees_it()}")
        return redirect("my_accounts")

    def _who_sees_it(self) -> str:
        """Tell which keys can see an account that is new, and so in no scope yet."""
        keys = list(self.own_keys())
        names = [key.name for key in keys if key.share_all_accounts]
        if not names:
            way_out = "edit the scope of a key" if keys else "create a key"
            return f"No key can see it yet: {way_out} to share it."
        more = f" and {len(names) - NAMED_KEYS} more" if len(names) > NAMED_KEYS else ""
        why = "it shares all accounts" if len(names) == 1 else "they share all accounts"
        return f"Keys that can see it: {', '.join(names[:NAMED_KEYS])}{more} ({why})."


@method_decorator(never_cache, name="dispatch")
class OneAccountView(OwnerMixin, FormView):
    """A page about one of the owner's accounts; another page says so where it is not there or cannot be changed."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except Http404:
            return render(request, "accounts/not_found.html", status=404)
        except NotWritable as refused:
            return render(request, "accounts/not_writable.html", {"reason": refused.message}, status=409)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.account.require_writable()
        return super().get(request, *args, **kwargs)

    @cached_property
    def account(self) -> Account:
        """The account of the path. Raises ``Http404``."""
        return self._find(self.own_accounts())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(account=self.account, **kwargs)

    def change(self, change: Callable[..., None], **values: Any) -> Account:
        """Change the account as it is now, locked; it may have been closed or moved since it was found."""
        with transaction.atomic(using=conf.database()):
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
            account = self.change(Account.edit, **form.changes())
        except NotWritable as refused:
            return self._show_again(form, refused)
        return self.done(f"“{account.name}” is saved." if form.has_changed() else "Nothing was changed.")

    def _show_again(self, form: EditAccountForm, refused: NotWritable) -> HttpResponse:
        """Say why the account cannot be changed, above what was typed, which may be wanted elsewhere."""
        form.add_error(None, f"{refused.message} Nothing was saved.")
        return self.render_to_response(self.get_context_data(form=form, is_refused=True), status=409)


class CloseAccountView(OneAccountView):
    """Asks first, and says what closing means."""

    template_name = "accounts/close.html"
    form_class = Form

    def form_valid(self, form: Form) -> HttpResponse:
        account = self.change(Account.close)
        return self.done(f"“{account.name}” is closed.")


# Data settings


class DataSettingsView(OwnerMixin, TemplateView):
    template_name = "data_settings.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        stored = Transaction.objects.using(conf.database()).filter(account__owner=self.owner.pk)
        return super().get_context_data(transaction_count=stored.count(), keys=self.own_keys(), **kwargs)


class SwitchOnView(OwnerMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        """Where sign-in leads back to, when the session had expired."""
        return redirect("data_settings")

    def post(self, request: HttpRequest) -> HttpResponse:
        storage_mode.switch_on(self.owner)
        messages.success(request, "Storage Mode is on. Your keys can read account data now.")
        return redirect("data_settings")


class SwitchOffView(DataSettingsView):
    """Asks first, and says what will be deleted."""

    template_name = "storage_mode_off.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        messages.success(request, _switch_off(self.owner))
        return redirect("data_settings")


def _switch_off(owner: User) -> str:
    """Switch Storage Mode off, and return a sentence that tells what really happened."""
    with transaction.atomic(using=conf.database()):
        owners = User.objects.using(conf.database()).select_for_update(no_key=True)
        if not owners.filter(pk=owner.pk, storage_mode=True):
            return "Storage Mode was off already. Nothing was deleted."
        count = storage_mode.switch_off(owner)
    deleted = {0: "There were no transactions to delete.", 1: "1 stored transaction was deleted."}
    return f"Storage Mode is off. {deleted.get(count, f'{count:,} stored transactions were deleted.')}"
