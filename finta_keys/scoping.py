"""What keeps a view inside the scope of the key that calls it (rules S3, S4 and S7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import models

from finta_keys.models import ApiKey

Marked = TypeVar("Marked", bound=Callable[..., Any])


class AccountScopeMixin:
    """For a DRF generic view or viewset: its queryset cannot contain what the key may not see.

    ``account_path`` leads from the view's model to the account, such as ``"account"``; empty for the account model
    itself. What is hidden is simply not found: ``get_object()`` raises ``Http404`` for it as for what never existed.

    ``get_queryset()`` may be overridden freely, with ``super()`` or without: what the outermost one returns is
    narrowed. Nothing is seen without a key, unless another authentication class has let the request in; then the
    view's own queryset decides.
    """

    account_path = ""
    request: Any  # The views that carry it say more.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The method that attribute look-up finds, wherever the mixin stands among the bases.
        found = getattr(cls, "get_queryset", None)
        if found is not None and not hasattr(found, "narrows"):
            cls.get_queryset = _narrowed(found)  # type: ignore[attr-defined]  # comes from the generic view

    def narrow(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return what of ``queryset`` the caller may see."""
        key = getattr(self.request, "auth", None)
        if isinstance(key, ApiKey):
            return key.narrow(queryset, self.account_path)
        if getattr(self.request, "successful_authenticator", None):
            return queryset
        return queryset.none()


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

    narrowed.narrows = True  # type: ignore[attr-defined]  # a mark for __init_subclass__
    return narrowed


def unscoped(reason: str) -> Callable[[Marked], Marked]:
    """Mark a view that authenticates by key and shows nothing of any account, with the reason why that is so.

    It goes on the class, or above ``@api_view``. The mark is not inherited: a subclass must say so itself.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise TypeError('@unscoped takes the reason: @unscoped("shows nothing of any account").')

    def mark(view: Marked) -> Marked:
        target: Any = view if isinstance(view, type) else getattr(view, "cls", None)
        if target is None:
            raise TypeError("@unscoped marks a view class, or stands above @api_view.")
        target.unscoped_reason = reason
        return view

    return mark


def is_scoped(view: type) -> bool:
    """Tell whether a view class carries the mixin, or a mark of its own that it needs none."""
    return issubclass(view, AccountScopeMixin) or "unscoped_reason" in vars(view)


def require_scope(view: type) -> None:
    """Raise ``ImproperlyConfigured`` for a view class that could answer a key with anybody's rows (rule S7)."""
    if not is_scoped(view):
        raise ImproperlyConfigured(
            f"{view.__module__}.{view.__name__} authenticates by API key but is not limited to the key's scope. "
            'Add AccountScopeMixin to its bases, or mark it @unscoped("why it shows nothing of any account").'
        )
