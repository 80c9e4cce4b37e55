"""The history of all keys in the admin, read only."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from finta_keys import event_texts, owners
from finta_keys.admin_permissions import DenyKeysMixin
from finta_keys.models import ApiKey, KeyEvent


class EventChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        names = owners.names_of({event.owner_pk for event in self.result_list})
        for event in self.result_list:
            event.owner_name = names.get(event.owner_pk, event.owner_pk)


@admin.register(KeyEvent)
class KeyEventAdmin(DenyKeysMixin, admin.ModelAdmin):
    list_display = ("at", "action", "key", "owner", "made_by", "address", "details")
    list_display_links = ("at",)
    list_filter = ("action", "actor", "at")
    search_fields = ("key_name", "key_hint", "=owner_pk", "actor_name", "=address")
    search_help_text = gettext_lazy("Name or hint of a key, user name, or address")
    show_full_result_count = False  # counting millions of events takes seconds
    fields = ("at", "action", "key", "key_id", "report", "owner", "made_by", "actor", "address", "details", "changes")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[KeyEvent], search_term: str
    ) -> tuple[QuerySet[KeyEvent], bool]:
        """Find the events of an owner by the user name too, which they do not store."""
        events, may_repeat = super().get_search_results(request, queryset, search_term)
        with suppress(ObjectDoesNotExist, MultipleObjectsReturned):
            if search_term:
                events |= queryset.filter(owner_pk=str(owners.get_by_username(search_term).pk))
        return events, may_repeat

    @admin.display(description=gettext_lazy("key"))
    def key(self, event: KeyEvent) -> str:
        return format_html("<bdi>{}</bdi> <code>{}</code>", event.key_name, event.key_hint) if event.key_id else "–"

    @admin.display(description=gettext_lazy("report"))
    def report(self, event: KeyEvent) -> str:
        if not event.key_id or not self.admin_site.is_registered(ApiKey):
            return "–"
        address = reverse("admin:finta_keys_apikey_report", args=[event.key_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, _("Exposure report"))

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, event: Any) -> str:
        if not hasattr(event, "owner_name"):  # on the page of one event
            event.owner_name = owners.names_of({event.owner_pk}).get(event.owner_pk, event.owner_pk)
        return str(event.owner_name)

    @admin.display(description=gettext_lazy("made"))
    def made_by(self, event: KeyEvent) -> str:
        return event_texts.actor(event, is_public=False)

    @admin.display(description=gettext_lazy("what changed"))
    def details(self, event: KeyEvent) -> str:
        return format_html_join(" ", "{}", ((text,) for text in event_texts.sentences(event)))


def link_to_events(key: ApiKey, site: str) -> str:
    """Return a link to the events of a key."""
    address = reverse("admin:finta_keys_keyevent_changelist", current_app=site)
    return format_html('<a href="{}?key_id__exact={}">{}</a>', address, key.pk, _("Events"))


def may_see_events(request: HttpRequest, site: Any, key_id: Any) -> bool:
    """Return True if the user may view the events of a key that was deleted."""
    if not site.is_registered(KeyEvent):
        return False
    model_admin = site.get_model_admin(KeyEvent)
    is_listed = model_admin.get_queryset(request).filter(key_id=key_id).exists()
    return bool(is_listed and model_admin.has_view_permission(request))
