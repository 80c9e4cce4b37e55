"""The pages of the admin on which keys are created, renamed, re-scoped, rotated and deleted.

They are the owner's pages, for any owner's keys, with the admin's permissions, templates and log.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.messages import get_messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import FormView

from finta_keys import conf, display, views
from finta_keys.models import ApiKey
from finta_keys.models import owner as owners


class OwnerForm(forms.Form):
    """Asks for a user by name, such as an e-mail address: a list of all users could be endless."""

    owner = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = get_user_model()._meta.get_field(get_user_model().USERNAME_FIELD)
        self.word = str(field.verbose_name)
        self.fields["owner"].label = capfirst(self.word)

    def clean_owner(self) -> Any:
        name = self.cleaned_data["owner"]
        try:
            return owners.named(name)
        except ObjectDoesNotExist:
            refusal = _("No user has the %(word)s “%(name)s”. Check it, or add the user first.")
            raise ValidationError(refusal % {"word": self.word, "name": name}) from None


@method_decorator([never_cache, views.not_atomic], name="dispatch")
class AdminPage(PermissionRequiredMixin, FormView):
    """A page below the keys in the admin, wrapped in ``admin_site.admin_view`` by the ``ModelAdmin``."""

    model_admin: Any = None
    permission: str  # add, change or delete
    title: Any  # text, translated where it is shown
    verb: str

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        request.current_app = self.model_admin.admin_site.name

    def has_permission(self) -> bool:
        allowed = getattr(self.model_admin, f"has_{self.permission}_permission")
        return bool(allowed(self.request) and all(allowed(self.request, key) for key in self.keys()))

    def keys(self) -> list[ApiKey]:
        """Return what a subclass of the project's may decide by: the key that the page is about, if it is there."""
        with suppress(Http404):
            return [self.key] if isinstance(self, views.OneKeyView) else []
        return []  # The page says so.

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = self.model_admin.get_queryset(self.request).select_related("owner")
        return keys

    def get_template_names(self) -> list[str]:
        return [f"admin/{self.template_name}"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**self.admin_context(), **kwargs)

    def admin_context(self) -> dict[str, Any]:
        """Return what the admin's base template wants to know."""
        return {
            **self.model_admin.admin_site.each_context(self.request),
            **display.words(),
            "messages": get_messages(self.request),  # which its base template shows
            "opts": self.model_admin.opts,
            "title": self.title,
            "verb": self.verb,
            "has_view_permission": self.model_admin.has_view_permission(self.request),
            "has_change_permission": self.model_admin.has_change_permission(self.request),
        }

    @sensitive_variables("context")
    def answer(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        page = {**self.admin_context(), **context}
        return render(self.request, f"admin/finta_keys/{template}.html", page, status=status)

    def url(self, name: str, *args: Any) -> str:
        """Return the path of a page of this ``ModelAdmin``."""
        opts, site = self.model_admin.opts, self.model_admin.admin_site
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=args, current_app=site.name)


class KeyPage(AdminPage, views.KeyFormView):
    """One of the five verbs."""

    def change(self, form: Any) -> HttpResponse:
        # The change and its log entry, or neither; committed when this returns, so before a secret is shown.
        with transaction.atomic(using=conf.database()):
            return super().change(form)


class ChooseOwnerView(AdminPage):
    """The first step of creating a key: whose?"""

    verb = "create"
    permission = "add"
    title = gettext_lazy("Create Key")
    form_class = OwnerForm
    template_name = "finta_keys/choose_owner.html"

    def form_valid(self, form: OwnerForm) -> HttpResponse:
        return HttpResponseRedirect(self.url("create", quote(form.cleaned_data["owner"].pk)))


class CreateKeyView(KeyPage, views.CreateKeyView):
    permission = "add"
    title = gettext_lazy("Create Key")

    @cached_property
    def owner(self) -> Any:
        """The user of the path. Raises ``Http404``."""
        try:
            return get_user_model()._base_manager.using(conf.database()).get(pk=unquote(self.kwargs["owner"]))
        except (ObjectDoesNotExist, ValidationError, ValueError, DataError):  # All but the first: a malformed id.
            raise Http404 from None

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> HttpResponse:
        self.model_admin.log_addition(self.request, key, _("Created."))
        return super().show_once(key, secret)


class ChangePage(KeyPage):
    permission = "change"
    key: ApiKey

    def get_success_url(self) -> str:
        return self.url("change", quote(self.key.pk))

    def log(self, message: str) -> None:
        self.model_admin.log_change(self.request, self.key, message)


class RenameKeyView(ChangePage, views.RenameKeyView):
    title = gettext_lazy("Rename")

    def done(self, message: str) -> HttpResponse:
        self.log(message)
        return super().done(message)


class EditScopeView(ChangePage, views.EditScopeView):
    title = gettext_lazy("Edit scope")

    def done(self, message: str) -> HttpResponse:
        self.log(self.scope_as_saved())
        return super().done(message)

    def scope_as_saved(self) -> str:
        if self.key.share_all_accounts:
            return _("Edited scope: all %(account_words)s.") % display.words()
        number = self.scope_rows.count()
        text = ngettext(
            "Edited scope: %(number)s %(account_word)s.", "Edited scope: %(number)s %(account_words)s.", number
        )
        return text % {"number": number, **display.words()}


class RotateKeyView(ChangePage, views.RotateKeyView):
    title = gettext_lazy("Rotate")

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> HttpResponse:
        self.log(_("Rotated."))
        return super().show_once(key, secret)


class DeleteKeyView(KeyPage, views.DeleteKeyView):
    permission = "delete"
    title = gettext_lazy("Delete")

    def get_success_url(self) -> str:
        if self.model_admin.has_view_permission(self.request):
            return self.url("changelist")
        return reverse("admin:index", current_app=self.model_admin.admin_site.name)

    def change(self, form: Any) -> HttpResponse:
        # Logged first, while the key has its id; undone together with the change if that is refused.
        with self.key.locked():
            self.model_admin.log_deletions(self.request, [self.key])
            return super().change(form)
