"""Limit rows to the caller of a request: a key, a person, or someone unknown (rule S7.3)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from rest_framework.permissions import SAFE_METHODS

from finta_keys import account_paths
from finta_keys.key_headers import carries_key
from finta_keys.models import ApiKey
from finta_keys.request_state import state_of


def scoped(request: Any, queryset: Any, account_path: str = "") -> models.QuerySet[Any]:
    """Return the rows of ``queryset`` that the caller of a request may access.

    A key is limited to its scope. A signed-in user is limited to their own accounts, staff
    included. Everyone else gets nothing, unless the view's ``unlimited_for()`` returns True.
    ``request`` is one of Django REST framework or Django's own; ``account_path`` leads from the
    queryset's model to the account, as in ``key.scoped()``.

    Raises ``ImproperlyConfigured`` if the path does not lead to the account, or if the queryset can
    no longer be filtered.
    """
    rows = limited(request, queryset, account_path)
    state_of(request).scoped_count += 1
    return rows


def limited(request: Any, queryset: Any, account_path: str = "", view: Any = None) -> models.QuerySet[Any]:
    """Like ``scoped()``, but leaves ``scoped_count`` alone. The caller raises it if the rows are
    those of the response. ``view`` is the view whose ``unlimited_for()`` is asked."""
    key = _authenticated_key(request)
    if key is not None:
        return account_paths.limit_to_key(key, queryset, account_path)
    if hasattr(request, "parser_context") and is_unlimited(request, view or (request.parser_context or {}).get("view")):
        return queryset.all()  # type: ignore[no-any-return]
    pk = owner_pk(request)
    if pk is None:
        return queryset.none()  # type: ignore[no-any-return]
    return account_paths.limit_to_owner(queryset, account_path, pk)


def owner_pk(request: Any) -> Any:
    """Return the primary key of the user that the caller of a request acts for, or None."""
    key = _authenticated_key(request)
    if key is not None:
        return key.owner_id
    if not hasattr(request, "parser_context") and carries_key(request):
        return None
    user = getattr(request, "user", None)
    return user.pk if isinstance(user, get_user_model()) else None


def _authenticated_key(request: Any) -> ApiKey | None:
    """Return the key of a request. This authenticates the request, if the view has put it off.

    Outside Django REST framework, a read-only key is None for methods that are not safe.
    """
    state = state_of(request)
    key = state.key
    if key is None:
        attributes = vars(request)
        # Authenticating would replace a user who was assigned by hand.
        is_assigned = "_user" in attributes and "_auth" not in attributes and not carries_key(request)
        auth = None if is_assigned else getattr(request, "auth", None)
        key = state.key or (auth if isinstance(auth, ApiKey) else None)
    return key if may_use_method(key, request) else None


def may_use_method(key: ApiKey | None, request: Any, *, only_reads: bool = False) -> bool:
    """Return True if a key may use the method of a request. ``only_reads`` marks a POST that reads.

    A view behind a gate has checked it, or will after its throttles.
    """
    if key is None or not key.read_only or request.method in SAFE_METHODS:
        return key is not None
    return state_of(request).open_view is not None or (only_reads and request.method == "POST")


def key_of(request: Any) -> ApiKey | None:
    """Return the key that has authenticated a request so far, or None."""
    key = state_of(request).key
    if key is None and isinstance(auth := vars(request).get("_auth"), ApiKey):
        return auth
    return key


def is_unlimited(request: Any, view: Any) -> bool:
    """Return True if a view opens itself to the caller. The view is asked once per request,
    never for a key."""
    if not hasattr(view, "unlimited_for") or key_of(request) is not None:
        return False
    if "_is_unlimited" not in view.__dict__:
        result = view.unlimited_for(request)
        if result and result is not True:
            raise ImproperlyConfigured(
                f"{type(view).__qualname__}.unlimited_for() must return True or False, not {type(result).__name__}."
            )
        view._is_unlimited = bool(result)
    return bool(view._is_unlimited)
