"""A project's use of the public names of the app. mypy checks this module; it is never run.

``assert_type()`` fails if a type is lost. Intentional mistakes carry a ``type: ignore``, and mypy reports unused ones.
"""

from __future__ import annotations

from typing import Any, assert_type

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.dispatch import receiver
from django.test import Client, TestCase
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet
from shops.models import Order, Shop

from finta_keys import signals
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.models import AlreadyDone, ApiKey
from finta_keys.scoping import AccountScopeMixin, scoped, unscoped
from finta_keys.testing import assert_indistinguishable, assert_scope_covers, key_client, make_key


def create_key(owner: User, shops: list[Shop]) -> str:
    key, secret = ApiKey.objects.create_key(owner=owner, name="Production", accounts=shops)
    assert_type(key, ApiKey)
    ApiKey.objects.create_key(owner=owner)  # type: ignore[call-arg]
    ApiKey.objects.create_key(owner=owner, name=1)  # type: ignore[arg-type]
    return secret


def change_key(key: ApiKey, shops: list[Shop]) -> str:
    key.rename("Laptop")
    key.rename(None)  # type: ignore[arg-type]
    key.share_all()
    key.restrict_to(shops)
    key.restrict_to([shop.pk for shop in shops])
    with key.locked() as current:
        assert_type(current, ApiKey)
        current.add_to_scope(shops[0])
    try:
        fresh: str = key.rotate(expected=1)
    except AlreadyDone as error:
        assert_type(error.key, ApiKey | None)
        raise
    except ValidationError:
        raise
    assert_type(key.share_all_accounts, bool)
    key.delete()
    key.destroy()  # type: ignore[attr-defined]
    return fresh


def orders(key: ApiKey) -> QuerySet[Any]:
    return key.scoped(Order.objects.all(), "shop")


@receiver(signals.key_created)
def on_create(sender: type[ApiKey], key: ApiKey, **kwargs: Any) -> None: ...


@receiver([signals.key_renamed, signals.key_scope_edited, signals.key_rotated, signals.key_deleted])
def on_change(sender: type[ApiKey], key: ApiKey, **kwargs: Any) -> None: ...


class OrderSerializer(ModelSerializer[Order]):
    shop = AccountRelatedField()

    class Meta:
        model = Order
        fields = ["id", "shop"]


class OrderList(AccountScopeMixin, ListAPIView[Order]):
    account_path = "shop"
    authentication_classes = [ApiKeyAuthentication]
    queryset = Order.objects.all()
    serializer_class = OrderSerializer


class OrderViewSet(AccountScopeMixin, ModelViewSet[Order]):
    account_path = "shop"
    authentication_classes = [ApiKeyAuthentication]
    serializer_class = OrderSerializer

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.filter(number__gt=0)

    def perform_create(self, serializer: BaseSerializer[Order]) -> None:
        serializer.save()

    @unscoped("a constant limit")
    def limits(self, request: Request) -> Response:
        return Response({"orders": 10})


class WrongPath(AccountScopeMixin, ListAPIView[Order]):
    account_path = 1  # type: ignore[assignment]


class OrderCount(AccountScopeMixin, APIView):
    account_path = "shop"
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request: Request) -> Response:
        return Response({"orders": self.scoped(Order.objects.all()).count()})


@unscoped("shows the caller, no shops")
class Caller(APIView):
    authentication_classes = [ApiKeyAuthentication]


@unscoped("counts scoped rows")
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication])
def shop_count(request: Request) -> Response:
    return Response({"shops": scoped(request, Shop.objects.all()).count()})


unscoped(1)  # type: ignore[arg-type]


class ScopeTests(TestCase):
    def test_hidden_orders_are_not_found(self) -> None:
        owner = User.objects.create_user("merchant")
        key, secret = make_key(owner, accounts=[])
        assert_type(key, ApiKey)
        client = key_client(secret)
        assert_type(client, Client)
        assert_indistinguishable(client, "/orders/1", "/orders/2", methods=["GET"])
        assert_indistinguishable(client, 1, 2)  # type: ignore[arg-type]
        assert_type(assert_scope_covers(), list[str])
