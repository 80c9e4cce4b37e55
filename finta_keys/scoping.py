"""Limit views of Django REST framework to the accounts that the caller may access.

A view opens to API keys if it has ``AccountScopeMixin``, ``@scoped_view`` or ``@unscoped``. The
code around its handlers is in ``gate`` and ``guard``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from django.db import models

from finta_keys import cache_keys, decorators, gate, save_checks, view_querysets
from finta_keys.callers import limited, scoped
from finta_keys.decorators import unscoped
from finta_keys.deprecation import warn_renamed
from finta_keys.request_state import state_of, unscoped_rows
from finta_keys.shown import record_shown

__all__ = ["AccountScopeMixin", "record_shown", "scoped", "scoped_view", "unscoped", "unscoped_rows", "visible"]

View = TypeVar("View", bound=Callable[..., Any])


class AccountScopeMixin:
    """Limit a view or viewset of Django REST framework to the rows that its caller may access.

    The result of ``get_queryset()`` is limited, even if you override it. A row in the URL is looked
    up before the handler runs: a hidden row is missing. Other rows are limited by
    ``self.scoped(queryset)``. A response to a key raises ``ImproperlyConfigured`` if none of these
    limited any rows, nor a save nor ``check_rows()`` checked some, unless the handler is marked
    ``@unscoped("reason")``.
    """

    account_path: str = ""  # foreign keys from the view's model to the account, such as "order__shop"
    # Other URL arguments, such as {"shop_pk": Shop, "slug": (Shop, "slug"), "year": None}. None
    # names no row.
    scoped_kwargs: ClassVar[Mapping[str, Any]] = {}
    is_scoped = True
    request: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        gate.install(cls)

    @classmethod
    def as_view(cls, *args: Any, **kwargs: Any) -> Any:
        gate.install(cls)  # Methods may have been replaced since the class was created.
        return super().as_view(*args, **kwargs)  # type: ignore[misc]

    def scoped(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the rows of ``queryset`` that the caller may access. ``account_path`` must lead
        from its model."""
        state_of(self.request).scoped_count += 1
        return limited(self.request, queryset, self.account_path, view=self)

    def unlimited_for(self, request: Any) -> bool:
        """Return True to show all rows to this caller, such as staff or the holder of a share link.

        It is called once per request, after authentication, and never for a key.
        """
        return False

    def check_rows(self, rows: Iterable[models.Model]) -> None:
        """Raise ``Http404`` if one of these rows, such as of a bulk write, is outside the scope.

        It counts as limiting the response. In a write by a key, the rows are checked again before
        the transaction ends.
        """
        save_checks.check_rows(self, rows)

    def scope_cache_key(self, *parts: Any) -> str:
        """Return a cache key for the caller and ``parts`` that changes when the accounts they
        may access do."""
        return cache_keys.make(self, parts)

    def narrow(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Deprecated: use ``scoped()``."""
        warn_renamed("AccountScopeMixin.narrow()", "AccountScopeMixin.scoped()")
        return self.scoped(queryset)


AccountScopeMixin.get_queryset = view_querysets.InheritedQueryset(AccountScopeMixin)  # type: ignore[attr-defined]


def scoped_view(*, unlimited_for: Callable[[Any], bool] | None = None) -> Callable[[View], View]:
    """Open a function view to API keys. The function limits its rows by ``scoped(request,
    queryset)``.

    It stands above ``@api_view``. ``unlimited_for`` takes the request, as the method of
    ``AccountScopeMixin`` does.
    """
    return decorators.scoped_function(AccountScopeMixin, unlimited_for)


def visible(request: Any, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
    """Deprecated: use ``scoped()``."""
    warn_renamed("finta_keys.scoping.visible()", "finta_keys.scoping.scoped()")
    return scoped(request, queryset, path)
