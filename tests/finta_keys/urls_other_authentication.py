"""An API like those of other projects: all of DRF, other authentication classes and other packages."""

from django.urls import include, path
from django_filters import FilterSet, ModelChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.generics import ListAPIView, ListCreateAPIView
from rest_framework.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet, ViewSet
from rest_framework_nested.routers import NestedSimpleRouter
from rest_framework_nested.viewsets import NestedViewSetMixin
from rest_framework_simplejwt.authentication import JWTAuthentication

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.fields import AccountRelatedField
from finta_keys.scoping import AccountScopeMixin, scoped, scoped_view, unscoped
from tests.finta_keys.urls_example import BearerTokens

KEYS_FIRST = [ApiKeyAuthentication, SessionAuthentication, JWTAuthentication, BasicAuthentication]


class AccountSerializer(ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name"]


class TransactionSerializer(ModelSerializer):
    account = AccountRelatedField()

    class Meta:
        model = Transaction
        fields = ["id", "account", "provider", "provider_id", "summary", "amount", "currency", "status"]


class AnyAccountSerializer(ModelSerializer):
    """The mistake: its ``account`` is any account."""

    class Meta(TransactionSerializer.Meta):
        pass


class ByKey(AccountScopeMixin):
    authentication_classes = KEYS_FIRST
    permission_classes = [IsAuthenticated]


class AccountViewSet(ByKey, ModelViewSet):
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    filter_backends = [SearchFilter, OrderingFilter]
    search_fields = ["name"]
    ordering_fields = ["name"]

    @action(detail=False)
    def forgetful(self, request):
        return Response([account.name for account in Account.objects.all()])

    @unscoped("counts nothing of any account")
    @action(detail=False)
    def marked(self, request):
        return Response({"one": 1})


class TransactionViewSet(ByKey, ModelViewSet):
    queryset = Transaction.objects.order_by("summary")
    serializer_class = TransactionSerializer
    account_path = "account"
    filter_backends = []


class NestedTransactions(ByKey, NestedViewSetMixin, ModelViewSet):
    queryset = Transaction.objects.order_by("summary")
    serializer_class = TransactionSerializer
    account_path = "account"
    parent_lookup_kwargs = {"account_pk": "account__pk"}
    scoped_kwargs = {"account_pk": Account}


class AnyAccount(TransactionViewSet):
    """The mistake."""

    serializer_class = AnyAccountSerializer
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["account"]


class TransactionFilter(FilterSet):
    account = ModelChoiceFilter(queryset=lambda request: scoped(request, Account.objects.all()))

    class Meta:
        model = Transaction
        fields = ["account"]


class Filtered(TransactionViewSet):
    filter_backends = [DjangoFilterBackend]
    filterset_class = TransactionFilter


class ByPage(PageNumberPagination):
    page_size = 2


class ByCursor(CursorPagination):
    page_size = 2
    ordering = "name"


class ByOffset(LimitOffsetPagination):
    default_limit = 2


class PlainNames(ByKey, APIView):
    scoped_kwargs = {"pk": None}

    def get(self, request, pk=None, format=None):
        return Response([account.name for account in self.scoped(Account.objects.order_by("name"))])


class NamesViewSet(ByKey, ViewSet):
    def list(self, request):
        return Response([account.name for account in scoped(request, Account.objects.order_by("name"))])


@scoped_view()
@api_view(["GET"])
@authentication_classes(KEYS_FIRST)
def function_names(request):
    return Response([account.name for account in scoped(request, Account.objects.order_by("name"))])


@unscoped("says who calls")
@api_view(["GET", "POST"])
@authentication_classes(KEYS_FIRST)
def who_calls(request):
    return Response({"email": request.user.email})


class ReadOnly(ByKey, ReadOnlyModelViewSet):
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer


class AccountList(ListAPIView, ByKey):
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    authentication_classes = KEYS_FIRST


class TransactionList(ByKey, ListCreateAPIView):
    queryset = Transaction.objects.order_by("summary")
    serializer_class = TransactionSerializer
    account_path = "account"


router = DefaultRouter()
router.register("accounts", AccountViewSet)
router.register("read-only", ReadOnly, "read-only")
router.register("transactions", TransactionViewSet)
router.register("any-account", AnyAccount, "any-account")
router.register("filtered", Filtered, "filtered")
nested = NestedSimpleRouter(router, "accounts", lookup="account")
nested.register("transactions", NestedTransactions, "nested-transactions")


def in_order(*classes):
    return AccountViewSet.as_view({"get": "list"}, authentication_classes=classes)


urlpatterns = [
    path("", include(router.urls)),
    path("", include(nested.urls)),
    *format_suffix_patterns([path("names", PlainNames.as_view()), path("names/<str:pk>", PlainNames.as_view())]),
    path("names-of-a-viewset", NamesViewSet.as_view({"get": "list"})),
    path("function-names", function_names),
    path("who-calls", who_calls),
    path("pages", AccountViewSet.as_view({"get": "list"}, pagination_class=ByPage)),
    path("cursors", AccountViewSet.as_view({"get": "list"}, pagination_class=ByCursor)),
    path("offsets", AccountViewSet.as_view({"get": "list"}, pagination_class=ByOffset)),
    path("session-first", in_order(SessionAuthentication, ApiKeyAuthentication)),
    path("basic-first", in_order(BasicAuthentication, ApiKeyAuthentication)),
    path("jwt-first", in_order(JWTAuthentication, ApiKeyAuthentication)),
    path("tokens-first", in_order(BearerTokens, ApiKeyAuthentication)),
    path("tokens-last", in_order(ApiKeyAuthentication, BearerTokens)),
    path("list", AccountList.as_view()),
    path("list-create", TransactionList.as_view()),
]
