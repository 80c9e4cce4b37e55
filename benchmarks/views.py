"""The floor's view with the authentication of each design, as its documentation recommends."""

from __future__ import annotations

from typing import Any, NoReturn

from django.http import Http404, HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts_app.models import Account
from benchmarks.floor import Floor
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin


def floor() -> Any:
    return Floor


class Finta(AccountScopeMixin, GenericAPIView[Any]):
    """A generic view of a project. It looks up the account by ``get_object()`` of DRF, as the site's own views do."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes: list[Any] = []
    renderer_classes = [JSONRenderer]
    queryset = Account.objects.all()
    lookup_field = "pk"

    def get(self, request: Request, pk: str) -> Response:
        account = self.get_object()
        return Response({"id": account.pk, "name": account.name})


class Handler(Finta):
    def get(self, request: Request, pk: str) -> Response:
        try:
            account = self.get_queryset().get(pk=pk)
        except Account.DoesNotExist:
            raise Http404 from None
        return Response({"id": account.pk, "name": account.name})


def finta() -> Any:
    return Finta


def handler() -> Any:
    return Handler


def token() -> Any:
    from rest_framework.authentication import TokenAuthentication

    return _authenticated(TokenAuthentication)


def knox() -> Any:
    from knox.auth import TokenAuthentication

    return _authenticated(TokenAuthentication)


def simple() -> Any:
    from drf_simple_apikey.backends import APIKeyAuthentication

    return _authenticated(APIKeyAuthentication)


def apikey() -> Any:
    from rest_framework_api_key.permissions import HasAPIKey

    return type("Apikey", (Floor,), {"permission_classes": [HasAPIKey]})


def tenant() -> Any:
    from django_tenant_apikeys.authentication import TenantAPIKeyAuthentication
    from django_tenant_apikeys.permissions import HasAPIKeyScope

    view = _authenticated(TenantAPIKeyAuthentication)
    return type("Tenant", (view,), {"permission_classes": [HasAPIKeyScope], "required_scopes": ["accounts:read"]})


class RaisesAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> NoReturn:
        raise AuthenticationFailed

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def raises() -> Any:
    return _authenticated(RaisesAuthentication)


def ninja() -> Any:
    return _ninja_view(None)


def wagtail() -> Any:
    from wagtail.api.v3.auth import BearerTokenAuth

    return _ninja_view(BearerTokenAuth())


def view_of(design: str) -> Any:
    """Return the view function of a design. It takes a request and ``pk``."""
    view = globals()[design]()
    return view.as_view() if hasattr(view, "as_view") else view


def _authenticated(authentication: type) -> type[Floor]:
    attributes = {"authentication_classes": [authentication], "permission_classes": [IsAuthenticated]}
    return type("Peer", (Floor,), attributes)


def _ninja_view(authentication: Any) -> Any:
    """Return the view function that django-ninja makes of the floor's view."""
    from ninja import NinjaAPI

    api = NinjaAPI(docs_url=None, openapi_url=None)

    @api.get("/accounts/{pk}", auth=authentication, url_name="account")
    def account(request: HttpRequest, pk: str) -> Any:
        try:
            account = Account.objects.get(pk=pk)
        except Account.DoesNotExist:
            raise Http404 from None
        return {"id": account.pk, "name": account.name}

    return next(url.callback for url in api.urls[0] if url.name == "account")
