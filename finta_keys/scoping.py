"""What keeps a view inside the scope of the key that calls it (rules S3, S4 and S7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from types import MethodType
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, models
from django.http import Http404

from finta_keys import conf, paths
from finta_keys.database import key_database
from finta_keys.deprecation import warn_renamed
from finta_keys.models import ApiKey

Marked = TypeVar("Marked", bound=Callable[..., Any])


def scoped(request: Any, queryset: models.QuerySet[Any], account_path: str = "") -> models.QuerySet[Any]:
    """Return what of ``queryset`` the caller of a request of Django REST framework may see.

    With a key: what the key may. Let in by another authentication class: all of it, for the view to limit. Nobody's
    request, or None: nothing. ``account_path`` leads to the account, as in ``key.scoped()``, which raises
    ``ImproperlyConfigured`` for one that does not.
    """
    if isinstance(getattr(request, "auth", None), ApiKey):
        request.was_narrowed = True
    return _limited(request, queryset, account_path)


def visible(request: Any, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
    """Deprecated: use ``scoped()``."""
    warn_renamed("finta_keys.scoping.visible()", "finta_keys.scoping.scoped()")
    return scoped(request, queryset, path)


def _limited(request: Any, queryset: models.QuerySet[Any], path: str = "") -> models.QuerySet[Any]:
    """Return what ``scoped()`` does, for what may be named: that vouches for nothing that is shown."""
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return key.scoped(queryset, path)
    let_in_by = getattr(request, "successful_authenticator", None)
    if let_in_by and vars(request).get("key_found_by") is let_in_by:
        raise ImproperlyConfigured(
            f"{type(let_in_by).__module__}.{type(let_in_by).__name__} lets a key in and does not return it beside the "
            "user, so that nothing can be limited to its scope. Let authenticate() return (user, key)."
        )
    return queryset if let_in_by else queryset.none()


class _Behind:
    """``get_queryset()`` of the classes behind the mixin: to the mixin itself the plain one, to ``super()`` narrowed.

    It is no method, since a view that has none must not seem to have one: Django REST framework asks by ``hasattr()``.
    """

    def __get__(self, view: Any, owner: type) -> Any:
        found = super(AccountScopeMixin, owner).get_queryset  # type: ignore[misc]  # AttributeError: there is none
        return found if view is None else MethodType(_narrowed(found), view)


class AccountScopeMixin:
    """For a DRF view or viewset: what it shows cannot contain what the key may not see.

    ``account_path`` leads from the view's model to the account, such as ``"account"``; empty for the account model
    itself. What is hidden is simply not found, in the same words as what never existed.

    ``get_queryset()`` may be overridden freely, with ``super()`` or without: what the outermost one returns is
    narrowed. So is what ``super()`` gives, where the mixin stands before the view class. A view without it calls
    ``self.scoped(queryset)`` for what it shows or changes. One that does neither and answers a key all the same raises
    ``ImproperlyConfigured``, unless its handler is marked ``@unscoped("reason")``: in ``get_object()`` before anything
    is done, else with the answer. Only a POST that creates may do so, where its answer shows no row that the key does
    not see: one to a path without arguments, and in a viewset by the action ``create``. Nothing is seen without a key,
    unless another authentication class has let the request in; then the view's own queryset decides.
    """

    account_path = ""
    request: Any  # The views that carry it say more.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, guarded in _GUARDS.items():
            # The method that attribute look-up finds, wherever the mixin stands among the bases.
            found = getattr(cls, name, None)
            if found is not None and not _is_guard(found):
                guard = guarded(found)
                guard.guards_scope = guard  # type: ignore[attr-defined]  # itself, since wraps() copies marks
                setattr(cls, name, guard)

    def scoped(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return what of ``queryset`` the caller may see."""
        return scoped(self.request, queryset, self.account_path)

    def narrow(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Deprecated: use ``scoped()``."""
        warn_renamed("AccountScopeMixin.narrow()", "AccountScopeMixin.scoped()")
        return self.scoped(queryset)


AccountScopeMixin.get_queryset = _Behind()  # type: ignore[attr-defined]  # Type checkers see the view's own.


def _is_guard(method: Any) -> bool:
    return getattr(method, "guards_scope", None) is method


def _narrowed(get_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Narrow what ``get_queryset`` returns, and in another way what it gets itself by calls to ``super()``."""

    @wraps(get_queryset)
    def narrowed(view: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(view, "_narrowing", False):
            return _narrowed_within(view, get_queryset(view, *args, **kwargs))
        view._narrowing = True
        try:
            queryset = get_queryset(view, *args, **kwargs)
        finally:
            view._narrowing = False
        return view.scoped(queryset)

    return narrowed


def _narrowed_within(view: Any, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Narrow by a subquery. A second join to the scope rows would double what an override joins by ``|``."""
    if not isinstance(getattr(view.request, "auth", None), ApiKey):
        return _limited(view.request, queryset)
    paths.lookups(queryset.model, view.account_path)
    seen = _limited(view.request, conf.account_model()._base_manager.all())
    return queryset.using(key_database()).filter(**{f"{view.account_path or 'pk'}__in": seen})


def _not_counted(method: Callable[..., Any]) -> Callable[..., Any]:
    """Permissions and throttles ask ``get_queryset()`` for its model, filters narrow what they offer: none of that
    narrows what is shown, not even where it refuses and the handler goes on."""

    @wraps(method)
    def not_counted(view: Any, *args: Any, **kwargs: Any) -> Any:
        request = view.request
        before = vars(request).get("was_narrowed", False)
        try:
            return method(view, *args, **kwargs)
        finally:
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
        if 200 <= response.status_code < 300:
            require = _require_narrowing if _is_about_rows(view) else _require_seen
            require(view, response)
        return response

    return vouched


def _vouched_object(get_object: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a row that nobody narrowed before anything is done to it."""

    @wraps(get_object)
    def vouched_object(view: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = get_object(view, *args, **kwargs)
        except (DataError, OverflowError):  # to a text with a NUL or a number that is too large, instead of no row
            raise Http404 from None
        _require_narrowing(view, found)
        return found

    return vouched_object


def _is_about_rows(view: Any) -> bool:
    """Tell whether a request is about what is there. A POST creates, but for one to a row or below it, and for an
    action of a viewset that has another name."""
    if view.request.method != "POST":
        return bool(view.request.method != "OPTIONS")
    named_by_drf = {view.settings.FORMAT_SUFFIX_KWARG, getattr(view.versioning_class, "version_param", None)}
    is_below = view.args or not view.kwargs.keys() <= named_by_drf
    return bool(is_below) or getattr(view, "action", "create") != "create"


def _is_unwatched(view: Any) -> bool:
    """Tell whether a key has called and nobody has looked at its scope."""
    request = vars(view.request)
    # Not request.auth: where a view has put off authentication, it would begin here, and the answer is nobody's.
    let_in_by = request.get("_authenticator")
    is_of_key = isinstance(request.get("_auth"), ApiKey) or (let_in_by and request.get("key_found_by") is let_in_by)
    if request.get("was_narrowed") or not is_of_key:
        return False
    handler = getattr(view, view.request.method.lower(), None)
    return "unscoped_reason" not in vars(type(view)) and not hasattr(handler, "unscoped_reason")


def _require_narrowing(view: Any, _: object) -> None:
    """Raise ``ImproperlyConfigured`` for what a key is shown, or did, where nobody has looked at its scope."""
    if _is_unwatched(view):
        raise ImproperlyConfigured(
            f"{type(view).__module__}.{type(view).__name__} answers a {view.request.method} of a key without "
            "narrowing anything to its scope. Use what self.scoped(queryset) or self.get_queryset() returns, or mark "
            'the handler @unscoped("why it is about nothing of any account").'
        )


def _require_seen(view: Any, response: Any) -> None:
    """Raise ``ImproperlyConfigured`` where a POST that creates answers with a row that the key does not see: one that
    was there before, or a new account that has not joined its scope."""
    row = getattr(getattr(getattr(response, "data", None), "serializer", None), "instance", None)
    if not isinstance(row, models.Model) or row._state.adding or not _is_unwatched(view):
        return
    path = view.account_path if paths.leads(type(row), view.account_path) else paths.way(type(row))
    if path is None or _limited(view.request, type(row)._base_manager.filter(pk=row.pk), path).exists():
        return
    raise ImproperlyConfigured(
        f"{type(view).__module__}.{type(view).__name__} answers a POST of a key with a row of {row._meta.label} "
        "that the key does not see. Look for what is there already in scoped(request, queryset), and let a new "
        'account join the scope by key.add_to_scope(account); or mark the handler @unscoped("why the key may see it").'
    )


_GUARDS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "get_queryset": _narrowed,
    "get_object": _vouched_object,
    "check_permissions": _not_counted,
    "check_object_permissions": _not_counted,
    "check_throttles": _not_counted,
    "filter_queryset": _not_counted,
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
        if not isinstance(target, type) and target.__module__.partition(".")[0] in ("django", "rest_framework"):
            raise TypeError(
                f"@unscoped would mark {target.__qualname__} of {target.__module__} in every view. Write a handler of "
                "your own that calls it, and mark that."
            )
        target.unscoped_reason = reason
        return view

    return mark


def _is_method(view: Any) -> bool:
    """Tell whether a function is written in a class. One that is not would lose its mark in ``@api_view``."""
    outer = getattr(view, "__qualname__", "").rpartition(".")[0]
    return not hasattr(view, "cls") and outer != "" and not outer.endswith("<locals>")


def is_scoped(view: type) -> bool:
    """Tell whether a view class carries the mixin with all of its guards, or a mark of its own that it needs none, or
    is the page of a router of Django REST framework that lists paths."""
    if "unscoped_reason" in vars(view) or (_has_mixin(view) and not _unguarded(view)):
        return True
    return _lists_paths(view)  # Last, since each call of a key asks here: it imports.


def _lists_paths(view: type) -> bool:
    # Not imported at the top: while the views of Django REST framework are loaded, they ask for the classes of
    # DEFAULT_AUTHENTICATION_CLASSES, and so for this module.
    from rest_framework.routers import APIRootView

    return view is APIRootView


def _has_mixin(view: type) -> bool:
    return issubclass(view, AccountScopeMixin)


@lru_cache(maxsize=256)  # It is asked at each call of a key.
def _unguarded(view: type) -> tuple[str, ...]:
    """Return the names of the methods of a scoped view that lack their guards."""
    methods = ((name, getattr(view, name, None)) for name in _GUARDS)
    return tuple(name for name, method in methods if method is not None and not _is_guard(method))


def scope_problem(view: type) -> tuple[str, str]:
    """Return what is wrong with a view class that is not scoped, and what to do."""
    if not _has_mixin(view):
        return (
            "authenticates by API key but is not limited to the key's scope.",
            'Add AccountScopeMixin to its bases, or mark it @unscoped("why it shows nothing of any account"). '
            "A function has no bases: let it show only what scoped() returns, and mark it.",
        )
    return (
        f"has AccountScopeMixin, which does not guard {', '.join(map('{}()'.format, _unguarded(view)))} of it.",
        "A base class has an __init_subclass__() that does not call super().__init_subclass__(**kwargs), or the method "
        "was replaced or decorated after the class was made, as by @method_decorator above the class. Call it, or "
        "write or decorate the method inside of the class.",
    )


def require_scope(view: type) -> None:
    """Raise ``ImproperlyConfigured`` for a view class that could answer a key with anybody's rows (rule S7)."""
    if not is_scoped(view):
        raise ImproperlyConfigured(f"{view.__module__}.{view.__name__} {' '.join(scope_problem(view))}")
