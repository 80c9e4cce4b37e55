"""Keys in the admin: a list, a read-only page per key, and a page for each action.

Django's own pages would save all columns, and redirect after adding a key.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from finta_keys import admin_views, attention, conf, display, event_admin, history, owners, standby, transactions
from finta_keys.admin_permissions import DenyKeysMixin
from finta_keys.key_list import count_scopes
from finta_keys.models import ApiKey

ACCOUNTS_SHOWN = 100


class SharesAllFilter(admin.BooleanFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("share all %(account_words)s") % display.words()


class AttentionFilter(admin.SimpleListFilter):
    """The keys that need attention, for one reason or any."""

    title = gettext_lazy("needs attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("any", _("For any reason")), *((name, text) for name, (text, _select) in attention.REASONS.items())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        reason = self.value()
        return attention.filtered(queryset, reason) if reason else queryset


class KeyChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        count_scopes(self.result_list)
        attention.add_use(self.result_list)


@admin.register(ApiKey)
class ApiKeyAdmin(DenyKeysMixin, admin.ModelAdmin):
    # More would not fit next to the filters. The page of a key has them all.
    list_display = (
        "name",
        "owner",
        "hint",
        "scope",
        "expires_at",
        "last_used_at",
        "recent_requests",
        "needs_attention",
    )
    list_filter = (AttentionFilter, ("share_all_accounts", SharesAllFilter), "read_only", "expires_at")
    list_select_related = ("owner",)
    fields = (
        *("name", "owner", "hint", "scope", "scoped_accounts", "read_only", "expires_at"),
        *("created_at", "rotated_at", "last_used_at", "recent_requests", "last_source", "needs_attention"),
        "events",
    )
    readonly_fields = fields
    # Needed by autocomplete_fields of other models. get_search_fields() replaces it.
    search_fields = ("name",)

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            wrapped = self.admin_site.admin_view(view.as_view(model_admin=self))
            pattern: URLPattern = path(route, wrapped, name=f"{self.opts.app_label}_{self.opts.model_name}_{name}")
            return pattern

        return [
            page("attention/", admin_views.AttentionView, "attention"),
            page("add/<str:owner>/", admin_views.CreateKeyView, "create"),
            page("<str:key_pk>/duplicate/", admin_views.DuplicateKeyView, "duplicate"),
            page("<str:key_pk>/rename/", admin_views.RenameKeyView, "rename"),
            page("<str:key_pk>/edit-scope/", admin_views.EditScopeView, "edit_scope"),
            page("<str:key_pk>/rotate/", admin_views.RotateKeyView, "rotate"),
            page("<str:key_pk>/report/", admin_views.ReportView, "report"),
            page("<str:key_pk>/report.csv", admin_views.ReportFileView, "report_file"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # The menu of all models would cut off the last columns in a window of 1,280 pixels.
        return super().changelist_view(request, {"is_nav_sidebar_enabled": False, **(extra_context or {})})

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return admin_views.ChooseOwnerView.as_view(model_admin=self)(request)

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        return admin_views.DeleteKeyView.as_view(model_admin=self)(request, key_pk=unquote(object_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Delete selected keys in one transaction, with their owners locked first."""
        with history.acting(request=request), transactions.atomic():
            for owner_pk in sorted(set(queryset.order_by().values_list("owner_id", flat=True)), key=str):
                owners.lock_owner(owner_pk)
            super().delete_queryset(request, queryset)
        if standby.take_unconfirmed():
            self.message_user(request, standby.sentence(), messages.WARNING)

    @method_decorator(require_safe)
    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().change_view(request, object_id, extra_context={"title": _("API key")})

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # ?digest__gt=… in the URL of the list would reveal the digest bit by bit.
        return not lookup.startswith(("digest", "pepper")) and super().lookup_allowed(lookup, value, request)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["name", f"owner__{get_user_model().USERNAME_FIELD}"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeyChangeList

    @admin.display(description=gettext_lazy("scope"))
    def scope(self, key: Any) -> str:
        if key.share_all_accounts:
            return _("All %(account_words)s") % display.words()
        if not hasattr(key, "scoped_count"):  # on the page of one key
            count_scopes([key])
        text = ngettext(
            "%(number)s of %(total)s %(account_word)s", "%(number)s of %(total)s %(account_words)s", key.account_count
        )
        return text % {"number": key.scoped_count, "total": key.account_count, **display.words()}

    @admin.display(description=display.worded(gettext_lazy("%(account_words)s it can access")))
    def scoped_accounts(self, key: ApiKey) -> str:
        accounts = key.scoped(conf.account_model()._default_manager.all())
        lines = [(str(account),) for account in accounts[:ACCOUNTS_SHOWN]]
        if accounts.count() > ACCOUNTS_SHOWN:
            lines.append((_("… listed in Edit scope"),))
        return format_html_join("\n", "<div><bdi>{}</bdi></div>", lines) or _("None at the moment.")

    @admin.display(description=gettext_lazy("history"))
    def events(self, key: ApiKey) -> str:
        return event_admin.link_to_events(key, self.admin_site.name)

    @admin.display(description=gettext_lazy("requests in 90 days"))
    def recent_requests(self, key: Any) -> int:
        return _with_use(key).requests  # type: ignore[no-any-return]

    @admin.display(description=gettext_lazy("last source"))
    def last_source(self, key: Any) -> str:
        return _with_use(key).last_source or "–"

    @admin.display(description=gettext_lazy("needs attention"))
    def needs_attention(self, key: Any) -> str:
        return ", ".join(_with_use(key).reasons) or "–"


def _with_use(key: Any) -> Any:
    if not hasattr(key, "requests"):  # a list of the project's own, or the page of one key
        attention.add_use([key])
    return key
