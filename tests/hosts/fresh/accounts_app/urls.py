"""A small API with the paths that the tests of the app call, and the pages of the app below ``settings/api/``."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path
from rest_framework import permissions, serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.models import Account, Transaction
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin, unscoped


class KeyView:
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [permissions.IsAuthenticated]


class AccountSerializer(serializers.ModelSerializer):
    class Meta:
        model = Account
        fields = ["id", "name"]


class TransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Transaction
        fields = ["id", "summary"]


class Accounts(AccountScopeMixin, KeyView, ListAPIView):
    queryset = Account.objects.all()
    serializer_class = AccountSerializer

    def list(self, *args, **kwargs):
        return Response({"accounts": super().list(*args, **kwargs).data})


class OneAccount(AccountScopeMixin, KeyView, RetrieveAPIView):
    queryset = Account.objects.all()
    serializer_class = AccountSerializer


class Transactions(AccountScopeMixin, KeyView, ListAPIView):
    queryset = Transaction.objects.all()
    serializer_class = TransactionSerializer
    account_path = "account"

    def list(self, *args, **kwargs):
        return Response({"transactions": super().list(*args, **kwargs).data})


@unscoped("says who calls")
class Me(KeyView, APIView):
    def get(self, request):
        return Response({"username": request.user.get_username()})


urlpatterns = [
    path("v2/me", Me.as_view()),
    path("v2/accounts", Accounts.as_view()),
    path("v2/accounts/<str:pk>", OneAccount.as_view()),
    path("v2/transactions", Transactions.as_view()),
    path("settings/api/", include("finta_keys.slash_urls")),
    path("login", LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("admin/", admin.site.urls),
]
