"""The floor's view with the authentication of each design, as its documentation recommends."""

from __future__ import annotations

from typing import Any

from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts_app.models import Account
from benchmarks.floor import Floor
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.scoping import AccountScopeMixin


class Finta(AccountScopeMixin, GenericAPIView[Any]):
    """Looks up the account like the site's own views, by ``get_object()``."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes: list[Any] = []
    renderer_classes = [JSONRenderer]
    queryset = Account.objects.all()

    def get(self, request: Request, pk: str) -> Response:
        account = self.get_object()
        return Response({"id": account.pk, "name": account.name})


def token() -> type[Floor]:
    from rest_framework.authentication import TokenAuthentication

    return _authenticated(TokenAuthentication)


def knox() -> type[Floor]:
    from knox.auth import TokenAuthentication

    return _authenticated(TokenAuthentication)


def simple() -> type[Floor]:
    from drf_simple_apikey.backends import APIKeyAuthentication

    return _authenticated(APIKeyAuthentication)


def apikey() -> type[Floor]:
    from rest_framework_api_key.permissions import HasAPIKey

    return type("Apikey", (Floor,), {"permission_classes": [HasAPIKey]})


def view_of(design: str) -> Any:
    """Return the view function of a design. It takes a request and ``pk``."""
    build = {"floor": lambda: Floor, "finta": lambda: Finta}.get(design) or globals()[design]
    return build().as_view()


def _authenticated(authentication: type) -> type[Floor]:
    attributes = {"authentication_classes": [authentication], "permission_classes": [IsAuthenticated]}
    return type("Peer", (Floor,), attributes)
