"""The list of keys, and whether a new secret has been used."""

from __future__ import annotations

from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.views.generic import ListView, View

from finta_keys import daily_use, key_list, owners
from finta_keys.models import ApiKey
from finta_keys.own_keys import OneKeyMixin, OwnKeysMixin

KEYS_PER_PAGE = 25


class KeyListView(OwnKeysMixin, ListView):
    template_name = "finta_keys/list.html"
    context_object_name = "keys"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.list_form.data["q"] != request.GET.get("q", ""):  # the form has removed a secret
            return HttpResponseRedirect(self.list_url)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[ApiKey]:
        return self.list_form.apply(super().get_queryset(), self.request.user.pk)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        owner_pk = self.request.user.pk
        counts = key_list.counts(OwnKeysMixin.get_queryset(self))
        kind = self.list_form.cleaned_data.get("only", "")
        paginator = Paginator(self.object_list, KEYS_PER_PAGE)
        if not self.list_form.cleaned_data.get("q"):
            paginator.count = counts[kind]  # without another query
        page = paginator.get_page(self.list_form.page_number)
        keys = key_list.with_scope(cast(QuerySet[ApiKey], page.object_list), owner_pk)
        daily_use.add_daily_use(keys)
        return super().get_context_data(
            object_list=self.object_list,
            keys=keys,
            page=page,
            previous_query=self.list_form.query_of_page(page.number - 1),
            next_query=self.list_form.query_of_page(page.number + 1),
            key_count=counts[""],
            accounts=owners.accounts_of(owner_pk),
            filters=[
                (label, counts[name], self.list_form.query_of_filter(name), name == kind)
                for name, label in self.list_form.WHICH.items()
            ],
            is_list=True,
            list_form=self.list_form,
            **kwargs,
        )


class FirstCallView(OneKeyMixin, View):
    """Say if the current secret of a key has been used. The page with the secret asks."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"used": self.key.secret_last_used_at is not None})
