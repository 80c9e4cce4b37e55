"""API settings: the pages on which owners manage their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import Prefetch, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import FormView, ListView
from django.views.generic.base import ContextMixin

from finta_keys import conf, display, leaks
from finta_keys.forms import ConfirmForm, CreateKeyForm, EditScopeForm, KeyForm, ListForm, RenameForm
from finta_keys.models import AlreadyDone, ApiKey, KeyAccountScope


def not_atomic(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let no request of a view be a transaction, whichever database has the keys: Django's decorator names one."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


@method_decorator([never_cache, not_atomic], name="dispatch")
class OwnKeysMixin(LoginRequiredMixin, ContextMixin):
    """For a signed-in person and their own keys: anybody else's key is not there.

    Not atomic, whatever the host sets: a secret is committed before it is shown.
    """

    request: HttpRequest

    @cached_property
    def list_form(self) -> ListForm:
        return ListForm(self.request.GET)

    @property
    def list_url(self) -> str:
        """The list as it was searched and sorted when the person left it."""
        return self.page_url("list") + self.list_form.query

    def page_url(self, name: str, key_pk: Any = None) -> str:
        """Return the path of one of these pages, in the namespaces and with the captured values of this one: the host
        may have them more than once, or for each tenant."""
        match = self.request.resolver_match
        wanted = {"key_pk": key_pk} if key_pk else {}
        if match is None or "finta_keys" not in match.app_names:
            return reverse(f"finta_keys:{name}", kwargs=wanted)
        ours = {"key_pk", *match.extra_kwargs}  # type: ignore[attr-defined]  # django-stubs does not know it
        captured = {each: value for each, value in match.kwargs.items() if each not in ours}
        return reverse(":".join([*match.namespaces, name]), kwargs=captured | wanted)

    @property
    def base_template(self) -> str:
        return conf.base_template()

    @cached_property
    def messages(self) -> list[Any]:
        return list(messages.get_messages(self.request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**{**self.page_context(), **kwargs})

    def page_context(self) -> dict[str, Any]:
        """Return what all pages want to know. The messages are shown within the page, which the script takes out of
        the answers that it gets, so the host's base template is given none."""
        return {"messages": (), **display.words()}

    def handle_no_permission(self) -> HttpResponseRedirect:
        if self.request.user.is_authenticated:
            return super().handle_no_permission()
        # The way back has the address and the search as the list would keep it: not a secret that was pasted there.
        return redirect_to_login(leaks.without_secrets(self.request.path) + self.list_form.query, self.get_login_url())

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = ApiKey.objects.using(conf.database()).filter(owner=self.request.user.pk)
        return keys

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except (Http404, ApiKey.DoesNotExist):
            return self.answer("key_not_found", status=404)

    def answer(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """Return one of this app's pages."""
        page = {"view": self, **self.page_context(), **context}
        return render(self.request, f"finta_keys/{template}.html", page, status=status)


class KeyListView(OwnKeysMixin, ListView):
    template_name = "finta_keys/list.html"
    context_object_name = "keys"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.list_form.data["q"] != request.GET.get("q", ""):  # A secret: out of the address with it.
            return HttpResponseRedirect(self.list_url)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[ApiKey]:
        # What an account's new owner has is nothing that the old owner's keys can see.
        restricted_to = Prefetch("accounts", conf.accounts_of(self.request.user.pk), to_attr="seen_accounts")
        return super().get_queryset().prefetch_related(restricted_to)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        accounts = list(conf.accounts_of(self.request.user.pk))
        for key in self.object_list:
            if key.share_all_accounts:
                key.seen_accounts = accounts
        keys = self.list_form.apply(self.object_list)
        counts: dict[str, Any] = {"key_count": len(self.object_list), "account_count": len(accounts)}
        return super().get_context_data(keys=keys, list_form=self.list_form, **counts, **kwargs)


class KeyFormView(OwnKeysMixin, FormView):
    """A page with one form, whose rules live on the model. ``verb`` is one of the five that can happen to a key."""

    verb: str

    def get_success_url(self) -> str:
        return self.list_url

    def form_valid(self, form: KeyForm) -> HttpResponse:
        try:
            return self.change(form)
        except AlreadyDone as done:
            return self.answer("already_done", status=409, key=done.key, at=done.at, verb=self.verb)
        except ValidationError as refused:
            form.refuse(refused)
            return self.form_invalid(form)

    def change(self, form: Any) -> HttpResponse:
        """Do what the form is for, and answer. What the model raises, ``form_valid()`` shows."""
        raise NotImplementedError

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> HttpResponse:
        """Answer the POST with the secret itself. A redirect to a page that shows it would have to keep the secret
        somewhere in between, and it may be kept nowhere."""
        return self.answer("secret", key=key, secret=secret)

    def done(self, message: str) -> HttpResponse:
        messages.success(self.request, message, fail_silently=True)
        return HttpResponseRedirect(self.get_success_url())


class ShowsSecretView(KeyFormView):
    """A page that shows a secret. The host may want to know first who sits there: before it is shown, and once more
    before it acts, as it may have been open for long."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.ask_first() or super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.ask_first() or super().post(request, *args, **kwargs)

    def ask_first(self) -> HttpResponse | None:
        """Return the host's answer in the place of this page, or None to go on."""
        ask = conf.fresh_sign_in()
        return ask(self.request) if ask else None


class CreateKeyView(ShowsSecretView):
    verb = "create"
    form_class = CreateKeyForm
    template_name = "finta_keys/create.html"

    @property
    def owner(self) -> Any:
        return self.request.user

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "owner": self.owner}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(owner=self.owner, **kwargs)

    def change(self, form: CreateKeyForm) -> HttpResponse:
        return self.show_once(*form.save())


class OneKeyView(KeyFormView):
    """A page about one key."""

    @cached_property
    def key(self) -> ApiKey:
        """The key of the path. Raises ``Http404``."""
        try:
            # With its owner, who may be deleted at any moment.
            return self.get_queryset().select_related("owner").get(pk=self.kwargs["key_pk"])
        except (ApiKey.DoesNotExist, ValidationError):  # A malformed id is a ValidationError.
            raise Http404 from None

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(key=self.key, **kwargs)


class RenameKeyView(OneKeyView):
    verb = "rename"
    form_class = RenameForm
    template_name = "finta_keys/rename.html"

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.key.name}

    def change(self, form: Form) -> HttpResponse:
        self.key.rename(form.cleaned_data["name"])
        return self.done(_("Renamed to “%(name)s”.") % {"name": self.key.name})


class EditScopeView(OneKeyView):
    verb = "edit_scope"
    form_class = EditScopeForm
    template_name = "finta_keys/edit_scope.html"

    @property
    def scope_rows(self) -> QuerySet[KeyAccountScope]:
        """The scope as it is now. A router may send ``key.scope_rows`` to a replica: Save would bring back what is old
        there."""
        return KeyAccountScope.objects.using(conf.database()).filter(key=self.key)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "owner": self.key.owner}

    def get_initial(self) -> dict[str, Any]:
        chosen = [str(pk) for pk in self.scope_rows.values_list("account_id", flat=True)]
        return {"share_all_accounts": self.key.share_all_accounts, "accounts": chosen}

    def change(self, form: EditScopeForm) -> HttpResponse:
        form.save(self.key)
        return self.done(_("Scope updated. Changes take effect immediately."))


class ConfirmView(OneKeyView):
    """A page that asks once more, about the key as the person sees it."""

    form_class = ConfirmForm

    def get_initial(self) -> dict[str, Any]:
        return {"rotation": self.key.rotation}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        accounts = conf.accounts_of(self.key.owner_id)
        seen = list(self.key.scoped(accounts))
        return super().get_context_data(seen_accounts=seen, account_count=accounts.count(), **kwargs)

    def form_invalid(self, form: ConfirmForm) -> HttpResponse:
        # Shown anew, so that the next confirmation is about the key as it is now.
        return self.render_to_response(self.get_context_data(form=ConfirmForm(initial=self.get_initial()), again=True))


class RotateKeyView(ShowsSecretView, ConfirmView):
    verb = "rotate"
    template_name = "finta_keys/rotate.html"

    @sensitive_variables("secret")
    def change(self, form: Form) -> HttpResponse:
        secret = self.key.rotate(expected=form.cleaned_data["rotation"])
        return self.show_once(self.key, secret)


class DeleteKeyView(ConfirmView):
    verb = "delete"
    template_name = "finta_keys/delete.html"

    def change(self, form: Form) -> HttpResponse:
        self.key.delete(expected=form.cleaned_data["rotation"])
        return self.done(_("Deleted “%(name)s”.") % {"name": self.key.name})
