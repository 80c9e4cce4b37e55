"""The pages of the admin that create, rename, rotate and delete keys and edit their scope.

They reuse the views of API settings for the keys of any owner, with the admin's permissions,
templates and log.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.messages import get_messages
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db import DataError
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
from django.views.generic import FormView, TemplateView
from django.views.generic.base import ContextMixin, TemplateResponseMixin, View

from finta_keys import attention, display, event_admin, expiry, owners, report_views, transactions, views
from finta_keys.access_history import AccessHistory
from finta_keys.database import key_database
from finta_keys.models import ApiKey, KeyAccountScope
from finta_keys.own_keys import NewSecret, non_atomic_requests


class OwnerForm(forms.Form):
    """Select a user by user name or e-mail address. A list of all users could be too long."""

    owner = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = get_user_model()._meta.get_field(get_user_model().USERNAME_FIELD)
        self.field_name = str(field.verbose_name)
        self.fields["owner"].label = capfirst(self.field_name)

    def clean_owner(self) -> Any:
        name = self.cleaned_data["owner"]
        try:
            return owners.get_by_username(name)
        except (ObjectDoesNotExist, MultipleObjectsReturned):
            message = _("No user has the %(field)s “%(name)s”. Check it, or add the user first.")
            raise ValidationError(message % {"field": self.field_name, "name": name}) from None


@method_decorator([never_cache, non_atomic_requests], name="dispatch")
class AdminPage(PermissionRequiredMixin, TemplateResponseMixin, ContextMixin, View):
    """A page for keys in the admin. The ``ModelAdmin`` wraps it in ``admin_site.admin_view``."""

    model_admin: Any = None
    permission: str  # add, change or delete
    title: Any  # a lazily translated text
    action: str

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        request.current_app = self.model_admin.admin_site.name

    def has_permission(self) -> bool:
        allowed = getattr(self.model_admin, f"has_{self.permission}_permission")
        return bool(allowed(self.request) and all(allowed(self.request, key) for key in self.keys()))

    def keys(self) -> list[ApiKey]:
        """Return the keys whose permissions are checked: the key of the page, if it exists."""
        with suppress(Http404):
            return [self.key] if isinstance(self, views.OneKeyView) else []
        return []  # the view returns a 404

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = self.model_admin.get_queryset(self.request).select_related("owner")
        return keys

    def get_template_names(self) -> list[str]:
        return [f"admin/{self.template_name}"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**self.admin_context(), **kwargs)

    def admin_context(self) -> dict[str, Any]:
        """Return the context for the admin's base template."""
        return {
            **self.model_admin.admin_site.each_context(self.request),
            **display.words(),
            "messages": get_messages(self.request),  # the admin's base template shows them
            "opts": self.model_admin.opts,
            "title": self.title,
            "action": self.action,
            "has_view_permission": self.model_admin.has_view_permission(self.request),
            "has_change_permission": self.model_admin.has_change_permission(self.request),
        }

    @sensitive_variables("context")
    def render_page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        context = {**self.admin_context(), **context}
        return render(self.request, f"admin/finta_keys/{template}.html", context, status=status)

    def url(self, name: str, *args: Any) -> str:
        """Return the URL of a page of this ``ModelAdmin``."""
        opts, site = self.model_admin.opts, self.model_admin.admin_site
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=args, current_app=site.name)


class KeyPage(AdminPage, views.KeyFormView):
    """A page for one of the six actions."""

    def change(self, form: Any) -> Any:
        # Save the change and its log entry together. Both are committed before a secret is shown.
        with transactions.atomic():
            return super().change(form)


class ChooseOwnerView(AdminPage, FormView):
    """The first step of Create Key: select the owner."""

    action = "create"
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
        """The user in the URL. Raises ``Http404``."""
        try:
            return get_user_model()._base_manager.using(key_database()).get(pk=unquote(self.kwargs["owner"]))
        except (ObjectDoesNotExist, ValidationError, ValueError, DataError):  # or a malformed id
            raise Http404 from None

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> NewSecret:
        self.model_admin.log_addition(self.request, key, _("Created."))
        return super().show_once(key, secret)


class DuplicateKeyView(CreateKeyView, views.DuplicateKeyView):
    title = gettext_lazy("Duplicate")

    @property
    def owner(self) -> Any:
        return self.key.owner

    def change(self, form: Any) -> Any:
        with transactions.atomic():
            response = super().change(form)
            if form.retired is not None:
                message = _("Duplicated. It expires on %(day)s.") % {"day": expiry.day_of(form.retired.expires_at)}
                self.model_admin.log_change(self.request, form.retired, message)
        return response

    def has_permission(self) -> bool:
        # It may change the expiry date of the old key.
        return bool(
            self.model_admin.has_add_permission(self.request)
            and all(self.model_admin.has_change_permission(self.request, key) for key in self.keys())
        )


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


class EditScopeView(ChangePage, views.FreshSignInView, views.EditScopeView):
    title = gettext_lazy("Edit scope")

    def done(self, message: str) -> HttpResponse:
        self.log(self.scope_as_saved())
        return super().done(message)

    def scope_as_saved(self) -> str:
        number = KeyAccountScope.objects.filter(key=self.key).count()
        text = ngettext("%(number)s %(account_word)s", "%(number)s %(account_words)s", number)
        scope = _("all %(account_words)s") if self.key.share_all_accounts else text
        parts = [scope % {"number": number, **display.words()}]
        parts.append(_("read only") if self.key.read_only else _("read and write"))
        if self.key.expires_at is not None:
            parts.append(_("expires on %(day)s") % {"day": expiry.day_of(self.key.expires_at)})
        return _("Edited scope: %(parts)s.") % {"parts": ", ".join(parts)}


class RotateKeyView(ChangePage, views.RotateKeyView):
    title = gettext_lazy("Rotate")

    @sensitive_variables("secret")
    def show_once(self, key: ApiKey, secret: str) -> NewSecret:
        self.log(_("Rotated."))
        return super().show_once(key, secret)


class DeleteKeyView(KeyPage, views.DeleteKeyView):
    permission = "delete"
    title = gettext_lazy("Delete")

    def get_success_url(self) -> str:
        if self.model_admin.has_view_permission(self.request):
            return self.url("changelist")
        return reverse("admin:index", current_app=self.model_admin.admin_site.name)

    def change(self, form: Any) -> Any:
        # Log first: deleting clears the key's id. If the deletion fails, both are rolled back.
        with self.key.locked():
            self.model_admin.log_deletions(self.request, [self.key])
            return super().change(form)


class AttentionView(AdminPage, TemplateView):
    """The reasons why keys need attention, with the numbers of keys and links to them."""

    permission = "view"
    action = "attention"
    title = gettext_lazy("Keys that need attention")
    template_name = "finta_keys/attention.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        keys, address = self.get_queryset().order_by(), self.url("changelist")
        reasons = [
            {
                "text": text,
                "number": attention.filtered(keys, name).count(),
                "url": f"{address}?attention={name}",
                "advice": attention.ADVICE[name],
            }
            for name, (text, _select) in attention.REASONS.items()
        ]
        return super().get_context_data(reasons=reasons, **kwargs)


class ReportView(AdminPage, report_views.ReportView):
    """The report of a key that the operator may view. All others get the same 404."""

    permission = "view"
    action = "report"
    title = gettext_lazy("Report")

    @property
    def file_url(self) -> str:
        return self.url("report_file", quote(self.report.key_id))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(key=self.report.key, **kwargs)

    def may_see(self, history: AccessHistory) -> bool:
        if history.key is None:
            return event_admin.may_see_events(self.request, self.model_admin.admin_site, history.key_id)
        is_listed = self.get_queryset().filter(pk=history.key.pk).exists()
        return bool(is_listed and self.model_admin.has_view_permission(self.request, history.key))

    def handle_no_permission(self) -> HttpResponse:  # type: ignore[override]
        return self.render_page("key_not_found", status=404)


class ReportFileView(ReportView, report_views.ReportFileView):
    """The report as a CSV file."""
