"""Authenticate an HTTP request by an API key."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from finta_keys import callers, usage
from finta_keys.key_headers import hide_headers, presented_secrets
from finta_keys.marks import declares_scope
from finta_keys.models import ApiKey
from finta_keys.request_state import RequestState, http_request, state_of

logger = logging.getLogger("finta_keys.scope")
_logged: set[type] = set()


class InvalidKey(AuthenticationFailed):
    """A 401 that asks for a Bearer token, whichever authentication class the view lists first.

    Django REST framework assigns both attributes: the header of the first class, or status 403 if
    that class has no header. The setters ignore this.
    """

    status_code = property(lambda self: 401, lambda self, value: None)
    auth_header = property(lambda self: "Bearer", lambda self, value: None)


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer finta_…`` sets ``request.user`` to the owner and ``request.auth`` to
    the key.

    Keys open only views that have ``AccountScopeMixin``, ``@scoped_view`` or ``@unscoped``. At any
    other view the header is removed, so that the view responds as it does without a key.
    """

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        """Return ``(owner, key)``, or None if the request presents no key or the view does not open
        to keys.

        Raises ``InvalidKey`` (401) for anything that starts like a secret of ours and does not
        authenticate.
        """
        if isinstance(request, HttpRequest):
            raise ImproperlyConfigured(
                "ApiKeyAuthentication works in views of Django REST framework. Elsewhere, call "
                "finta_keys.authentication.get_key(request)."
            )
        state = state_of(request)
        view = (request.parser_context or {}).get("view")
        if state.open_view is None or state.open_view is not view:
            if presented_secrets(request):
                hide_headers(request)
                _log_ignored_key(type(view))
            return None
        if not state.secrets:
            return None
        key = _find_key(request, state)
        if key is None:
            raise InvalidKey
        return key.owner, key

    def authenticate_header(self, request: Request) -> str | None:
        """Return the ``WWW-Authenticate`` header for a request without credentials.

        Next to other authentication classes it is theirs, so that adding ours changes no status.
        """
        others = (other for other in request.authenticators or () if not isinstance(other, ApiKeyAuthentication))
        first: Any = next(others, None)
        return first.authenticate_header(request) if first else self.keyword


def get_key(request: Any, *, only_reads: bool = False) -> ApiKey | None:
    """Return the API key that a request presents, or None.

    ``request`` is Django's ``HttpRequest``, in a middleware or a plain view, or a request of Django
    REST framework. The use of the key is recorded after the response. ``request.user`` stays as it
    is: limit rows by ``key.scoped(queryset)`` or ``scoped(request, queryset)``. Calling it again
    costs no query.

    A read-only key is None for methods that are not safe. ``only_reads=True`` says that a POST only
    reads.
    """
    state = state_of(request)
    key = _find_key(request, state)
    if not callers.may_use_method(key, request, only_reads=only_reads):
        state.status = 403  # if there is a key, it was rejected
        return None
    state.only_reads = only_reads
    return key


def _find_key(request: Any, state: RequestState) -> ApiKey | None:
    if not state.is_key_final:
        secrets = presented_secrets(request) if state.secrets is None else state.secrets
        key, retired_digest = ApiKey.objects.match(next(iter(secrets))) if len(secrets) == 1 else (None, None)
        if key is not None:
            usage.record_after_response(key, http_request(request))
        elif retired_digest is not None:
            usage.count_try_after_response(retired_digest, http_request(request))
        state.key, state.is_key_final = key, True
        if key is not None and settings.DEBUG:
            from finta_keys.watch_patches import watch_request

            watch_request(http_request(request))
    return state.key


def _log_ignored_key(view: type) -> None:
    """Log once per view that a key was presented where keys are not accepted."""
    if view in _logged:
        return
    _logged.add(view)
    name = f"{view.__module__}.{view.__qualname__}"
    if declares_scope(view):
        logger.warning(
            "%s authenticated a request before initial(), so its API key was ignored. Read request.user and "
            "request.auth in initial() or later, not in initialize_request() or dispatch().",
            name,
        )
    else:
        logger.warning(
            "%s does not open to API keys, so the key of a request was ignored. To open it, add AccountScopeMixin "
            'or mark it @unscoped("reason").',
            name,
        )
