"""A view that describes the calling key."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finta_keys import expiry
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.models import ApiKey
from finta_keys.scoping import unscoped


@unscoped("describes the calling key, no accounts")
class CurrentKeyView(APIView):
    """The calling key: its name, permission, expiry date and whether it can access all accounts.
    Nothing about others.

    Add it to ``urls.py`` with ``path("key", CurrentKeyView.as_view())``.
    """

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        if not isinstance(request.auth, ApiKey):  # such as a session, in a subclass
            raise NotAuthenticated
        return Response(describe(request.auth))


def describe(key: ApiKey) -> dict[str, Any]:
    """Return the JSON object that describes a key. ``expiresAt`` is in UTC, or None."""
    return {
        "id": key.pk,
        "name": key.name,
        "hint": key.hint,
        "permission": key.permission,
        "expiresAt": expiry.json_or_none(key.expires_at),
        "shareAllAccounts": key.share_all_accounts,
    }
