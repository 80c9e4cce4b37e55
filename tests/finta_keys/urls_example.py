"""The API of an example project: scoped views, ``@unscoped`` views, and views that forgot either."""

from django.urls import path
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts_app.models import Account
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin, unscoped


class BearerTokens(TokenAuthentication):
    """Another authentication class for Bearer tokens, which accepts the local part of an e-mail."""

    keyword = "Bearer"

    def authenticate_credentials(self, key):
        from accounts_app.models import User

        return User.objects.get(email=f"{key}@example.com"), key


class AccountSerializer(ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name"]


class KeyOnly:
    queryset = Account.objects.order_by("name")
    serializer_class = AccountSerializer
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]


class Accounts(AccountScopeMixin, KeyOnly, ListAPIView):
    pass


class OneAccount(AccountScopeMixin, KeyOnly, RetrieveAPIView):
    pass


class AccountViewSet(AccountScopeMixin, KeyOnly, ReadOnlyModelViewSet):
    pass


class Neither(KeyOnly, ListAPIView):
    """Forgot both: it is neither scoped nor marked."""


class BesideSession(AccountScopeMixin, KeyOnly, ListAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication, BearerTokens, BasicAuthentication]


class OpenToAll(AccountScopeMixin, KeyOnly, ListAPIView):
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [AllowAny]


@unscoped("says who calls")
class WhoCalls(APIView):
    authentication_classes = [ApiKeyAuthentication]

    def get(self, request):
        return Response({"email": getattr(request.user, "email", None), "key": request.auth and request.auth.name})


class WhoCallsInherited(WhoCalls):
    pass


class Refuses(Accounts):
    def get(self, request):
        raise PermissionDenied


class NoRequestLeft(BaseThrottle):
    def allow_request(self, request, view):
        return False


class Throttled(Accounts):
    throttle_classes = [NoRequestLeft]


@unscoped("says who calls")
@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication])
def marked_function(request):
    return Response({"email": request.user.email})


@api_view(["GET"])
@authentication_classes([ApiKeyAuthentication])
@permission_classes([AllowAny])
@throttle_classes([])
def unmarked_function(request):
    return Response({})


urlpatterns = [
    path("accounts", Accounts.as_view()),
    path("accounts/<uuid:pk>", OneAccount.as_view()),
    path("viewset", AccountViewSet.as_view({"get": "list"})),
    path("viewset/<uuid:pk>", AccountViewSet.as_view({"get": "retrieve"})),
    path("neither", Neither.as_view()),
    path("beside-session", BesideSession.as_view()),
    path("open-to-all", OpenToAll.as_view()),
    path("who-calls", WhoCalls.as_view()),
    path("who-calls-inherited", WhoCallsInherited.as_view()),
    path("refuses", Refuses.as_view()),
    path("throttled", Throttled.as_view()),
    path("marked-function", marked_function),
    path("unmarked-function", unmarked_function),
]
