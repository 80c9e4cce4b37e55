"""What keeps a view inside the scope of the key that calls it (rules S3, S4 and S7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import Http404
from rest_framework.routers import APIRootView

from finta_keys.models import ApiKey

Marked = TypeVar("Marked", bound=Callable[..., Any])


def visible(request: Any, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
    """Return what of ``queryset`` the caller of a request of Django REST framework may see.

    With a key: what the key may. Let in by another authentication class: all of it, for the view to limit. Nobody's
    request, or None: nothing. ``path`` leads to the account, as in ``key.narrow()``, which raises
    ``ImproperlyConfigured`` for one that does not.
    """
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        request.was_narrowed = True
        return key.narrow(queryset, path)
    return queryset if getattr(request, "successful_authenticator", None) else queryset.none()


class AccountScopeMixin:
    """For a DRF view or viewset: what it shows cannot contain what the key may not see.

    ``account_path`` leads from the view's model to the account, such as ``"account"``; empty for the account model
    itself. What is hidden is simply not found, in the same words as what never existed.

    ``get_queryset()`` may be overridden freely, with ``super()`` or without: what the outermost one returns is
    narrowed. A view without it calls ``self.narrow(queryset)`` for what it shows or changes. One that does neither and
    answers a key all the same raises ``ImproperlyConfigured``, unless its handler is marked ``@unscoped("reason")``: in
    ``get_object()`` before anything is done, else with the answer. Only a POST to a path without arguments may do so.
    Nothing is seen without a key, unless another authentication class has let the request in; then the view's own
    queryset decides.
    """

    account_path = ""
    request: Any  # The views that carry it say more.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, guarded in _GUARDS.items():
            # The method that attribute look-up finds, wherever the mixin stands among the bases.
            found = getattr(cls, name, None)
            if found is not None and not hasattr(found, "guards_scope"):
                guard = guarded(found)
                guard.guards_scope = True  # type: ignore[attr-defined]  # a mark for the subclasses
                setattr(cls, name, guard)

    def narrow(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return what of ``queryset`` the caller may see."""
        return visible(self.request, queryset, self.account_path)


def _narrowed(get_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Narrow what ``get_queryset`` returns, once: not again in the calls that it makes to ``super()``."""

    @wraps(get_queryset)
    def narrowed(view: Any) -> Any:
        if getattr(view, "_narrowing", False):
            return get_queryset(view)
        view._narrowing = True
        try:
            queryset = get_queryset(view)
        finally:
            view._narrowing = False
        return view.narrow(queryset)

    return narrowed


def _not_counted(check_permissions: Callable[..., None]) -> Callable[..., None]:
    """Permissions ask ``get_queryset()`` for its model: that narrows nothing of what is shown."""

    @wraps(check_permissions)
    def not_counted(view: Any, request: Any) -> None:
        before = vars(request).get("was_narrowed", False)
        check_permissions(view, request)
        request.was_narrowed = before

    return not_counted


def _same_404(handle_exception: Callable[..., Any]) -> Callable[..., Any]:
    """Django's message names the model where a row is missing and not where its id is malformed (rule S4)."""

    @wraps(handle_exception)
    def same_404(view: Any, exc: Exception) -> Any:
        return handle_exception(view, Http404() if isinstance(exc, Http404) else exc)

    return same_404


def _vouched(finalize_response: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse an answer that shows a key, or did to, what nobody narrowed to its scope (rule S7)."""

    @wraps(finalize_response)
    def vouched(view: Any, *args: Any, **kwargs: Any) -> Any:
        response = finalize_response(view, *args, **kwargs)
        if 200 <= response.status_code < 300 and _is_about_rows(view):
            _require_narrowing(view)
        return response

    return vouched


def _vouched_object(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a row that nobody narrowed before anything is done to it."""

    @wraps(get_object)
    def vouched_object(view: Any, *args: Any, **kwargs: Any) -> Any:
        found = get_object(view, *args, **kwargs)
        _require_narrowing(view)
        return found

    return vouched_object


def _is_about_rows(view: Any) -> bool:
    """Tell whether a request is about what is there. A POST creates, but for one to a row or below it."""
    method = view.request.method
    is_below = method == "POST" and not view.kwargs.keys() <= {"format", "version"}
    return is_below or method in ("GET", "HEAD", "PUT", "PATCH", "DELETE")


def _require_narrowing(view: Any) -> None:
    """Raise ``ImproperlyConfigured`` where a key has called and nobody has looked at its scope."""
    request = vars(view.request)
    # Not request.auth: where a view has put off authentication, it would begin here, and the answer is nobody's.
    if request.get("was_narrowed") or not isinstance(request.get("_auth"), ApiKey):
        return
    handler = getattr(view, view.request.method.lower(), None)
    if "unscoped_reason" not in vars(type(view)) and not hasattr(handler, "unscoped_reason"):
        raise ImproperlyConfigured(
            f"{type(view).__module__}.{type(view).__name__} answers a {view.request.method} of a key without "
            "narrowing anything to its scope. Use what self.narrow(queryset) or self.get_queryset() returns, or mark "
            'the handler @unscoped("why it is about nothing of any account").'
        )


_GUARDS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "get_queryset": _narrowed,
    "get_object": _vouched_object,
    "check_permissions": _not_counted,
    "handle_exception": _same_404,
    "finalize_response": _vouched,
}


def unscoped(reason: str) -> Callable[[Marked], Marked]:
    """Mark what authenticates by key and shows nothing of any account, with the reason why that is so.

    It goes on a view class, above ``@api_view``, or on one handler or action of a view that has the mixin. The mark of
    a class is not inherited: a subclass must say so itself.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError('@unscoped takes the reason: @unscoped("shows nothing of any account").')

    def mark(view: Marked) -> Marked:
        target: Any = view if isinstance(view, type) or _is_method(view) else getattr(view, "cls", None)
        if target is None:
            raise TypeError("@unscoped marks a view class or a handler of one, or stands above @api_view.")
        target.unscoped_reason = reason
        return view

    return mark


def _is_method(view: Any) -> bool:
    """Tell whether a function is written in a class. One that is not would lose its mark in ``@api_view``."""
    outer = getattr(view, "__qualname__", "").rpartition(".")[0]
    return not hasattr(view, "cls") and outer != "" and not outer.endswith("<locals>")


def is_scoped(view: type) -> bool:
    """Tell whether a view class carries the mixin, or a mark of its own that it needs none, or is the page of a router
    of Django REST framework that lists paths."""
    return issubclass(view, AccountScopeMixin) or "unscoped_reason" in vars(view) or view is APIRootView


def require_scope(view: type) -> None:
    """Raise ``ImproperlyConfigured`` for a view class that could answer a key with anybody's rows (rule S7)."""
    if not is_scoped(view):
        raise ImproperlyConfigured(
            f"{view.__module__}.{view.__name__} authenticates by API key but is not limited to the key's scope. "
            'Add AccountScopeMixin to its bases, or mark it @unscoped("why it shows nothing of any account").'
        )
