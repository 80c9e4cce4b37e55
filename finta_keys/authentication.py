"""Authentication of an HTTP request by an API key, for Django REST framework."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from finta_keys import conf, usage
from finta_keys.models import ApiKey
from finta_keys.scoping import require_scope

BLANKS = " \t"  # of HTTP. Of Latin-1 there are more, which belong to no header.


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer finta_…``: sets ``request.user`` to the owner and ``request.auth`` to the key.

    Three answers: None where the header is absent or another scheme's, so that other classes may have their turn; an
    ``AuthenticationFailed`` (401), always the same, for anything that starts like a secret of ours and is not good;
    ``(owner, key)``.
    """

    keyword = "Bearer"

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        """Return ``(owner, key)`` or None. Raises ``AuthenticationFailed``, and ``ImproperlyConfigured`` for a view
        without a scope (rule S7)."""
        presented = self.presented(request)
        if presented is None:
            return None
        view = _view(request)
        require_scope(type(view))
        key = ApiKey.objects.authenticate(presented)
        if key is None:
            raise AuthenticationFailed
        usage.record_after_response(key, request._request)
        _vary(view)
        request.key_found_by = self  # type: ignore[attr-defined]  # A subclass may hand on something else.
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        """Return the value of ``WWW-Authenticate`` in a 401."""
        return self.keyword

    @sensitive_variables()
    def presented(self, request: Request) -> str | None:
        """Return what is presented as one of our secrets, or None. It may be malformed: ``authenticate()`` tells.

        The server hands over bytes that are not text as characters of Latin-1, which no secret contains.
        """
        scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").strip(BLANKS).partition(" ")
        credentials = credentials.strip(BLANKS)
        if scheme.lower() != self.keyword.lower() or not credentials.startswith(conf.prefix()):
            return None
        return str(credentials)


def _view(request: Request) -> Any:
    view = (request.parser_context or {}).get("view")
    if view is None:
        raise ImproperlyConfigured("ApiKeyAuthentication works in views of Django REST framework only.")
    return view


def _vary(view: Any) -> None:
    """Let caches keep the answers of keys apart. Django's own does so by itself since a fix within 5.2 only."""
    headers = getattr(view, "headers", {})  # There are none outside of a call.
    headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Authorization")))
