"""Keep API keys out of the admin of this app (rule K6)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from finta_keys.key_headers import carries_key


class DenyKeysMixin:
    """Deny every permission to a request that carries an API key, even if a middleware set
    ``request.user``."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return not carries_key(request) and super().has_module_permission(request)  # type: ignore[misc]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not carries_key(request) and super().has_view_permission(request, obj)  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not carries_key(request) and super().has_add_permission(request)  # type: ignore[misc]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not carries_key(request) and super().has_change_permission(request, obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not carries_key(request) and super().has_delete_permission(request, obj)  # type: ignore[misc]
