"""The list of keys, and whether a new secret has been used."""

from __future__ import annotations

from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.views.generic import ListView, View

from finta_keys import attention, daily_use, event_texts, key_list, owners
from finta_keys.key_views import TRIED_SHOWN, tried_secrets
from finta_keys.models import ApiKey
from finta_keys.own_keys import OneKeyMixin, OwnKeysMixin

KEYS_PER_PAGE = 25
KEYS_WITHOUT_TOOLS = 5  # a list of so few keys needs no search and no filters
MAX_TRIED = 1000  # retired secrets in use, of all keys of an owner


class KeyListView(OwnKeysMixin, ListView):
    template_name = "finta_keys/list.html"
    context_object_name = "keys"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.list_form.had_secret:
            return HttpResponseRedirect(self.list_url)
        return super().get(request, *args, **kwargs)

    @cached_property
    def match(self) -> Q:
        """The condition of the search and the account."""
        return self.list_form.match(self.request.user.pk)

    def get_queryset(self) -> QuerySet[ApiKey]:
        return self.list_form.apply(super().get_queryset(), self.request.user.pk, self.match)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        owner_pk, form = self.request.user.pk, self.list_form
        key_count, counts = key_list.counts(OwnKeysMixin.get_queryset(self), owner_pk, self.match)
        paginator = Paginator(self.object_list, KEYS_PER_PAGE)
        paginator.count = counts[form.kind]  # without another query
        page = paginator.get_page(form.page_number)
        keys = key_list.with_scope(cast(QuerySet[ApiKey], page.object_list), owner_pk)
        daily_use.add_daily_use(keys)
        if form.kind == "attention":
            add_advice(keys)
        has_tools = key_count > KEYS_WITHOUT_TOOLS or form.is_filtered
        if has_tools and key_count:
            form.offer_accounts(owner_pk)
        return super().get_context_data(
            object_list=self.object_list,
            keys=keys,
            page=page,
            previous_query=form.query_of_page(page.number - 1),
            next_query=form.query_of_page(page.number + 1),
            key_count=key_count,
            accounts=owners.accounts_of(owner_pk),
            filters=[
                (label, counts[name], form.query_of_filter(name), name == form.kind)
                for name, label in form.WHICH.items()
            ],
            has_tools=has_tools,
            tried=add_tries(keys, owner_pk),
            is_list=True,
            list_form=form,
            **kwargs,
        )


def add_advice(keys: list[Any]) -> None:
    """Set on each key its ``advice``: the reasons why it needs attention, and what to do."""
    reasons = attention.reasons_of(keys)
    for key in keys:
        names = [name for name in reasons.get(key.pk, ()) if name in attention.OWNERS_ADVICE]
        key.advice = [(attention.REASONS[name][0], attention.OWNERS_ADVICE[name]) for name in names]


def add_tries(keys: list[Any], owner_pk: Any) -> list[SafeString]:
    """Set on each key ``tried``, about the last try of a secret that it had before.

    Return sentences about the secrets of the owner's other keys, those of deleted keys too.
    """
    secrets = tried_secrets(owner_pk).filter(attention.recently_tried())
    by_key = {key.pk: key for key in keys}
    others = []
    for secret in secrets[:MAX_TRIED]:
        if secret.key_id not in by_key:
            others.append(secret)
        elif not hasattr(by_key[secret.key_id], "tried"):
            by_key[secret.key_id].tried = event_texts.tries_of_key(secret)
    return [event_texts.tries(secret, name=secret.key_name) for secret in others[:TRIED_SHOWN]]


class FirstCallView(OneKeyMixin, View):
    """Say if the current secret of a key has been used. The page with the secret asks."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"used": self.key.secret_last_used_at is not None})
