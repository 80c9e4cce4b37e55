"""API settings: the pages on which owners manage their keys."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables
from django.views.generic import FormView

from finta_keys import conf, owners
from finta_keys.daily_use import DailyUse, daily_use_of
from finta_keys.forms import ConfirmForm, KeyForm, RenameForm
from finta_keys.models import AlreadyDone, ApiKey
from finta_keys.own_keys import NewSecret, OneKeyMixin, OwnKeysMixin
from finta_keys.recent_use import RecentUse
from finta_keys.scope_forms import CreateKeyForm, EditScopeForm

KEYS_NAMED = ACCOUNTS_SHOWN = 100  # on the pages that confirm a deletion or rotation


class KeyFormView(OwnKeysMixin, FormView):
    """A page with one form. The model decides if the change is valid."""

    http_method_names = ["get", "post", "head", "options"]  # not PUT, which FormView treats as POST
    action: str  # create, rename, edit_scope, rotate or delete

    def get_success_url(self) -> str:
        return self.list_url

    def form_valid(self, form: KeyForm) -> HttpResponse:
        try:
            return self.finished(self.change(form))
        except AlreadyDone as done:
            return self.already_done(done, form)
        except ValidationError as error:
            form.add_model_errors(error)
            return self.form_invalid(form)

    def already_done(self, done: AlreadyDone, form: Any, **context: Any) -> HttpResponse:
        """Return the page for a repeated or outdated submission (K5)."""
        context = {"key": done.key, "at": done.at, "action": self.action, **context}
        return self.render_page("already_done", status=409, **context)

    def change(self, form: Any) -> HttpResponse | NewSecret:
        """Save the change and return the response. ``form_valid()`` handles the model's errors."""
        raise NotImplementedError

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> NewSecret:
        """Return the secret for ``finished()`` to show. A redirect would have to store it until the
        next request (rule K2)."""
        return NewSecret(key, secret)

    def done(self, message: str) -> HttpResponse:
        messages.success(self.request, message, fail_silently=True)
        return HttpResponseRedirect(self.get_success_url())


class FreshSignInView(KeyFormView):
    """A page that first calls the function of ``FINTA_KEYS_FRESH_SIGN_IN``.

    It is called for GET and again for POST, because the page may have been open for a long time.
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.require_fresh_sign_in() or super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.require_fresh_sign_in() or super().post(request, *args, **kwargs)

    def require_fresh_sign_in(self) -> HttpResponse | None:
        """Return the project's response if the user must sign in again, else None."""
        hook = conf.fresh_sign_in()
        return hook(self.request) if hook else None


class ScopeView(KeyFormView):
    """A page whose form selects accounts. The button ``turn`` shows another page of them and
    saves nothing."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "turn" not in request.POST:
            return super().post(request, *args, **kwargs)
        form = self.get_form().with_page(request.POST["turn"], **self.get_form_kwargs())
        return self.render_to_response(self.get_context_data(form=form))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["form"].show_page()
        return context


class CreateKeyView(FreshSignInView, ScopeView):
    action = "create"
    form_class = CreateKeyForm
    template_name = "finta_keys/create.html"

    @property
    def owner(self) -> Any:
        return self.request.user

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "owner": self.owner}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(owner=self.owner, **kwargs)

    def change(self, form: CreateKeyForm) -> NewSecret:
        return self.show_once(*form.save())


class OneKeyView(OneKeyMixin, KeyFormView):
    """A page with a form about one key."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(key=self.key, **kwargs)


class DuplicateKeyView(CreateKeyView, OneKeyView):
    """Create a key with the scope, permission and expiry date of another."""

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "original": self.key}

    def get_initial(self) -> dict[str, Any]:
        accounts = self.key.scoped(owners.accounts_of(self.key.owner_id)).order_by().values_list("pk", flat=True)
        return {
            "permission": self.key.permission,
            "share_all_accounts": self.key.share_all_accounts,
            "accounts": [] if self.key.share_all_accounts else [str(pk) for pk in accounts],
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "key": None, "original": self.key}


class RenameKeyView(OneKeyView):
    action = "rename"
    form_class = RenameForm
    template_name = "finta_keys/rename.html"

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.key.name}

    def change(self, form: Form) -> HttpResponse:
        self.key.rename(form.cleaned_data["name"])
        return self.done(_("Renamed to “%(name)s”.") % {"name": self.key.name})


class EditScopeView(OneKeyView, ScopeView):
    action = "edit_scope"
    form_class = EditScopeForm
    template_name = "finta_keys/edit_scope.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "key": self.key}

    def get_initial(self) -> dict[str, Any]:
        return {
            "permission": self.key.permission,
            "share_all_accounts": self.key.share_all_accounts,
            "scope_edits": self.key.scope_edits,
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(use=RecentUse(self.key), **kwargs)

    def already_done(self, done: AlreadyDone, form: EditScopeForm, **context: Any) -> HttpResponse:
        selected = form.selected_accounts()
        key: Any = done.key
        form.key = key
        added, removed = form.difference()
        return super().already_done(
            done,
            form,
            added=added,
            removed=removed,
            changes=form.changes(),
            opened=selected is None and not key.share_all_accounts,
            closed=selected is not None and key.share_all_accounts,
            **context,
        )

    def change(self, form: EditScopeForm) -> HttpResponse:
        form.save(self.key)
        return self.done(_("Scope updated. Changes take effect immediately."))


class ConfirmView(OneKeyView):
    """A page that asks for confirmation, with the ``rotation`` of the key that it shows."""

    form_class = ConfirmForm

    def get_initial(self) -> dict[str, Any]:
        return {"rotation": self.key.rotation}

    @property
    def daily_use(self) -> DailyUse:
        """The requests of each day, for the templates that show them."""
        return daily_use_of(self.key)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        accounts = owners.accounts_of(self.key.owner_id)
        scoped = self.key.scoped(accounts)
        counts = {"scoped_count": scoped.count(), "account_count": accounts.count()}
        use = RecentUse(self.key)
        return super().get_context_data(scoped_accounts=list(scoped[:ACCOUNTS_SHOWN]), use=use, **counts, **kwargs)

    def form_invalid(self, form: ConfirmForm) -> HttpResponse:
        # A new form, so that the user confirms the current state of the key.
        form = ConfirmForm(initial=self.get_initial())
        return self.render_to_response(self.get_context_data(form=form, again=True))


class RotateKeyView(FreshSignInView, ConfirmView):
    action = "rotate"
    template_name = "finta_keys/rotate.html"

    @sensitive_variables("secret")
    def change(self, form: Form) -> NewSecret:
        secret = self.key.rotate(expected=form.cleaned_data["rotation"])
        return self.show_once(self.key, secret)


class DeleteKeyView(ConfirmView):
    action = "delete"
    template_name = "finta_keys/delete.html"

    def change(self, form: Form) -> HttpResponse:
        self.key.delete(expected=form.cleaned_data["rotation"])
        return self.done(_("Deleted “%(name)s”.") % {"name": self.key.name})


class DeleteAllView(KeyFormView):
    """Delete all keys of the owner at once."""

    action = "delete_all"
    form_class = KeyForm
    template_name = "finta_keys/delete_all.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.get_queryset().exists():
            return HttpResponseRedirect(self.list_url)
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        keys = self.get_queryset().order_by("name_key")
        return super().get_context_data(keys=list(keys[:KEYS_NAMED]), key_count=keys.count(), **kwargs)

    def change(self, form: KeyForm) -> HttpResponse:
        number = ApiKey.objects.delete_all(owner=cast(AbstractBaseUser, self.request.user))
        if not number:
            return self.done(_("There were no keys to delete."))
        text = ngettext("Deleted %(number)s key.", "Deleted all %(number)s keys.", number)
        return self.done(text % {"number": number})
