"""The project's API, on the default settings of Django REST framework."""

from typing import Any

from django.db.models import Count
from django.urls import path
from host.variant import KEYS
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.models import ApiKey
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view, unscoped
from shops.models import Order, OrderLine, Shop


class ShopSerializer(serializers.ModelSerializer):
    class Meta:
        model = Shop
        fields = ["id", "name", "town"]
        read_only_fields = [] if KEYS == "text" else ["id"]


class OrderSerializer(serializers.ModelSerializer):
    shop = AccountRelatedField()

    class Meta:
        model = Order
        fields = ["id", "number", "shop"]
        read_only_fields = [] if KEYS == "text" else ["id"]


class OrderLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = OrderLine
        fields = ["id", "article"]


class ByKey:
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]
    lookup_value_regex = ".+"  # A text may have slashes and points.


class ShopViewSet(ByKey, AccountScopeMixin, ModelViewSet):
    queryset = Shop.objects.all()
    serializer_class = ShopSerializer

    def perform_create(self, serializer: Any) -> None:
        key = self.request.auth
        if not isinstance(key, ApiKey):
            serializer.save(merchant=self.request.user)
            return
        with key.locked() as key:
            key.add_to_scope(serializer.save(merchant=key.owner))


class OrderViewSet(ByKey, AccountScopeMixin, ModelViewSet):
    account_path = "shop"
    queryset = Order.objects.all()
    serializer_class = OrderSerializer


class OrderLineViewSet(ByKey, AccountScopeMixin, ModelViewSet):
    account_path = "order__shop"
    queryset = OrderLine.objects.all()
    serializer_class = OrderLineSerializer


class OrderLineList(ByKey, AccountScopeMixin, ListAPIView):
    account_path = "order__shop"
    queryset = OrderLine.objects.all()
    serializer_class = OrderLineSerializer


class OrderCount(ByKey, AccountScopeMixin, APIView):
    account_path = "shop"

    def get(self, request: Request) -> Response:
        return Response(self.scoped(Order.objects.order_by()).aggregate(orders=Count("pk")))


class OrdersOfShop(ByKey, AccountScopeMixin, APIView):
    """The orders below the shop in the path. The guard looks up the shop."""

    account_path = "shop"
    scoped_kwargs = {"shop_pk": Shop}

    def get(self, request: Request, shop_pk: str) -> Response:
        return Response([order.number for order in self.scoped(Order.objects.filter(shop=shop_pk))])

    def post(self, request: Request, shop_pk: str) -> Response:
        number = request.data["number"]
        order = Order(shop_id=shop_pk, number=number)
        if KEYS == "text":
            order.pk = f"order {number}"
        order.save()
        return Response({"number": number}, status=201)


@unscoped("shows who calls, and nothing of any shop")
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication])
@permission_classes([IsAuthenticated])
def caller(request: Request) -> Response:
    key = request.auth
    assert isinstance(key, ApiKey)
    return Response({"user": request.user.get_username(), "key": key.name})


@scoped_view()
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication, SessionAuthentication])
@permission_classes([IsAuthenticated])
def shop_count(request: Request) -> Response:
    return Response({"shops": scoped(request, Shop.objects.all()).count()})


router = SimpleRouter()
router.register("shops", ShopViewSet)
router.register("orders", OrderViewSet)
router.register("order-lines", OrderLineViewSet)
urlpatterns = [
    *router.urls,
    path("lines", OrderLineList.as_view()),
    path("orders-of/<path:shop_pk>/all", OrdersOfShop.as_view()),
    path("order-count", OrderCount.as_view()),
    path("caller", caller),
    path("shop-count", shop_count),
]
