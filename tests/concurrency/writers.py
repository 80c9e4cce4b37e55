"""Write through two views with one key: ``python -m tests.concurrency.writers ROUNDS PROCESS``.

Runs in the test project ``tests/hosts/project``, on Django's default settings. Several processes share a database. The
statuses and all failures are printed as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
django.setup()
settings.ROOT_URLCONF = "tests.concurrency.writers"
settings.ALLOWED_HOSTS = ["testserver"]

from django.contrib.auth import get_user_model  # noqa: E402  # after setup()
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from host.urls import urlpatterns as host_urls  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework.viewsets import ModelViewSet  # noqa: E402
from shops.api import ByKey  # noqa: E402
from shops.models import Order, Shop, Town  # noqa: E402

from finta_keys.models import ApiKey  # noqa: E402
from finta_keys.scoping import AccountScopeMixin  # noqa: E402
from finta_keys.serializers import ScopedModelSerializer  # noqa: E402


class OrderSerializer(ScopedModelSerializer):
    class Meta:
        model = Order
        fields = ["id", "number", "shop"]


class OrderViewSet(ByKey, AccountScopeMixin, ModelViewSet):
    account_path = "shop"
    queryset = Order.objects.all()
    serializer_class = OrderSerializer


class Swap(ByKey, AccountScopeMixin, APIView):
    """Saves two orders that it loads by hand. The second may be hidden."""

    account_path = "shop"

    def patch(self, request: Any) -> Response:
        first, second = Order.objects.get(pk=request.data["first"]), Order.objects.get(pk=request.data["second"])
        first.number, second.number = -first.number, -second.number
        first.save()
        second.save()
        return Response({"numbers": [first.number, second.number]})


urlpatterns = [
    *host_urls,
    path("swap", Swap.as_view()),
    path("orders", OrderViewSet.as_view({"post": "create"})),
    path("orders/<int:pk>", OrderViewSet.as_view({"patch": "partial_update"})),
]


class Writer:
    """One process: it writes orders of a visible shop, and tries to write one of a hidden shop."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        owner = get_user_model().objects.create_user(f"owner {process}")
        town = Town.objects.create(name="Town")
        self.shop, self.hidden_shop = (
            Shop.objects.create(merchant=owner, town=town, name=name) for name in ("Visible", "Hidden")
        )
        self.hidden = Order.objects.create(shop=self.hidden_shop, number=self.number(0))
        _, secret = ApiKey.objects.create_key(owner=owner, name="Writer", accounts=[self.shop])
        self.client = Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)

    def number(self, place: int) -> int:
        """Return a number that no other process uses."""
        return 10 * place + self.process + 1

    def send(self, kind: str, method: str, url: str, data: dict[str, Any], *expected: int) -> Any:
        response = self.client.generic(method, url, json.dumps(data), content_type="application/json")
        self.outcomes[f"{kind}: {response.status_code}"] += 1
        if response.status_code not in expected:
            self.failures.append(f"{kind}: {response.status_code} {response.content[:200]!r}")
        return response

    def run_round(self, place: int) -> None:
        number = self.number(place)
        created = self.send("POST", "POST", "/orders", {"number": number, "shop": self.shop.pk}, 201)
        # The other process may insert the same number between validation and the insert.
        both = {"number": 10 * place + 9, "shop": self.shop.pk}
        self.send("POST of one number by both", "POST", "/orders", both, 201, 400)
        self.send("POST to a hidden shop", "POST", "/orders", {"number": 5, "shop": self.hidden_shop.pk}, 400)
        if created.status_code != 201:
            return
        pk = created.json()["id"]
        url = f"/orders/{pk}"
        self.send("PATCH", "PATCH", url, {"number": number + 1_000_000_000, "shop": self.shop.pk}, 200)
        self.send("PATCH that moves to a hidden shop", "PATCH", url, {"shop": self.hidden_shop.pk}, 400)
        self.send("PATCH of a visible and a hidden row", "PATCH", "/swap", {"first": pk, "second": self.hidden.pk}, 404)
        order, hidden = Order.objects.get(pk=pk), Order.objects.get(pk=self.hidden.pk)
        if (order.number, order.shop_id, hidden.number) != (number + 1_000_000_000, self.shop.pk, self.number(0)):
            self.failures.append(f"round {place} left {order.number}, {order.shop_id} and {hidden.number}")


def main(rounds: str, process: str) -> None:
    writer = Writer(int(process))
    for place in range(1, int(rounds) + 1):
        writer.run_round(place)
    print(json.dumps({"outcomes": writer.outcomes, "failures": writer.failures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
