"""The gate of a view: it lets API keys in, and puts the guard around the handler.

The gate runs around ``initial()``. The authentication class accepts a key only while the gate of the called view runs,
so a view without a gate never opens to keys.

``scoped()`` adds one to ``state.scoped_count``. The guard rejects the response of a handler that neither called it nor
saved a row. ``limited()`` filters in the same way without counting.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, wraps
from types import MethodType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.sql.where import AND
from django.http import Http404
from rest_framework.generics import GenericAPIView
from rest_framework.views import APIView

from finta_keys import account_paths, conf, guard, object_checks, scope_rows, url_rows
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.callers import is_unlimited, limited
from finta_keys.request_state import current, http_request, is_declared, presented_secrets, state_of
from finta_keys.responses import RowOutsideScope


def install(cls: type) -> None:
    """Wrap the methods of a view class that the gate needs. A method that the class does not have is left out.

    The wrapped method is the one that attribute look-up finds, so the mixin may stand anywhere among the bases.
    """
    for name, wrap in WRAPPERS.items():
        if name in ("get_queryset", "get_object") and not getattr(cls, "is_scoped", False):
            continue
        method = getattr(cls, name, None)
        if name == "get_object" and url_rows.is_of_drf(method) and method is not GenericAPIView.get_object:
            continue  # It looks up rows in the queryset.
        if method is not None and not _is_wrapped(method):
            wrapped = wraps(method)(wrap(method))
            wrapped.gate_wrapper = wrapped  # type: ignore[attr-defined]  # not True: a decorator's wraps() would copy it
            setattr(cls, name, wrapped)


@cache
def _complete(cls: Any) -> None:
    """Wrap methods that were replaced after the class was created, such as by a decorator on the class."""
    install(cls)


def opens_to_keys(cls: type) -> bool:
    """Return True for a view class that is scoped or marked, and has its gate."""
    return is_declared(cls) and _is_wrapped(getattr(cls, "initial", None))


def _is_wrapped(method: Any) -> bool:
    return method is not None and getattr(method, "gate_wrapper", None) is method


def _gated(initial: Callable[..., None]) -> Callable[..., None]:
    def gated_initial(view: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        # A subclass that overrides initial() has a gate of its own, inside which its super() call gets here.
        if view.__dict__.get("_in_initial") or not is_declared(type(view)):
            initial(view, request, *args, **kwargs)
            return
        state = state_of(request)
        _complete(view.__class__)
        django_request = http_request(request)
        state.gate, state.presented = view, presented_secrets(request)
        state.is_presented = bool(state.presented)
        state.scoped_before = state.scoped_count
        if state.is_presented and len(request.authenticators) > 1:
            _prefer_keys(request)
        _vary(view)
        original_user = {name: vars(django_request)[name] for name in ("user",) if name in vars(django_request)}
        view._in_initial = True
        try:
            with guard.guard_saves(view, request, state):
                initial(view, request, *args, **kwargs)
        finally:
            del view._in_initial
        guard.replace_handler(view, request, state)
        if state.key is not None:  # Django REST framework has made the owner the user of Django's request too.
            vars(django_request).pop("user", None)
            vars(django_request).update(original_user)

    return gated_initial


def _prefer_keys(request: Any) -> None:
    """Ask our authentication class first, wherever the view lists it."""
    request.authenticators = sorted(
        request.authenticators, key=lambda authenticator: not isinstance(authenticator, ApiKeyAuthentication)
    )


def _vary(view: Any) -> None:
    names = (view.headers.get("Vary"), "Authorization", conf.extra_header_name())
    view.headers["Vary"] = ", ".join(filter(None, names))


def _with_plain_404(handle_exception: Callable[..., Any]) -> Callable[..., Any]:
    """For a key. Django's message names the model if a row is missing, and not if its id is malformed."""

    def handle(view: Any, exception: Exception) -> Any:
        is_plain = isinstance(exception, Http404) and state_of(view.request).key is not None
        return handle_exception(view, Http404() if is_plain else exception)

    return handle


def _finalized_for_key(finalize_response: Callable[..., Any]) -> Callable[..., Any]:
    """For a key: require the guard, check the rows that ``finalize_response()`` saves, and forbid caching.

    A ``Cache-Control`` that the view sets stays.
    """

    def finalize(view: Any, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        state = state_of(request)
        if state.key is None or state.gate is not view:
            return finalize_response(view, request, response, *args, **kwargs)
        guard.require_guarded(view, state, response)
        try:
            with guard.guard_saves(view, request, state):
                response = finalize_response(view, request, response, *args, **kwargs)
        except RowOutsideScope as error:
            response = APIView.finalize_response(view, request, view.handle_exception(error), *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return finalize


def _uncounted(method: Callable[..., Any]) -> Callable[..., Any]:
    """Rows that permissions, throttles and filters limit do not count as scoping the response."""

    def uncounted(view: Any, *args: Any, **kwargs: Any) -> Any:
        state = current.get()
        if state is None:  # Neither initial() nor a handler of a key is running.
            return method(view, *args, **kwargs)
        count = state.scoped_count
        try:
            return method(view, *args, **kwargs)
        finally:
            state.scoped_count = count

    return uncounted


def _denied_after_404(check_permissions: Callable[..., Any]) -> Callable[..., Any]:
    """If a permission denies a key, look up the rows in the URL before it is a 403.

    A permission may query by the URL. Then it denies a missing row, and lets a hidden row of the owner pass:
    one would be a 403, the other a 404.
    """
    uncounted = _uncounted(check_permissions)

    def checked(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return uncounted(view, request, *args, **kwargs)
        except Exception:
            # Forms of the browsable API ask again later, and expect the denial.
            if view.__dict__.get("_in_initial") and state_of(request).key is not None:
                url_rows.check_denied(view, request)
            raise

    return checked


def _scoped_queryset(get_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Filter the result of the outermost ``get_queryset()``. Limit its calls to ``super()`` by a subquery."""

    def scoped_queryset(view: Any, *args: Any, **kwargs: Any) -> Any:
        request = getattr(view, "request", None)
        if request is None:
            return get_queryset(view, *args, **kwargs)
        if view.__dict__.get("_in_get_queryset"):
            return _limit_inner_rows(view, get_queryset(view, *args, **kwargs))
        view._in_get_queryset = True
        state = state_of(request)
        count = state.scoped_count
        try:
            rows = get_queryset(view, *args, **kwargs)
        finally:
            view._in_get_queryset = False
        return _limit_rows(view, rows, has_scoped=state.scoped_count > count)

    return scoped_queryset


class InheritedQueryset:
    """Limits the ``get_queryset()`` of the classes after the mixin in the MRO.

    A descriptor, because ``hasattr(view, "get_queryset")``, which Django REST framework asks, must be False if none of
    them has it.
    """

    def __init__(self, mixin: type) -> None:
        self.mixin = mixin

    def __get__(self, view: Any, owner: type) -> Any:
        next_class: Any = super(self.mixin, owner)
        inherited = next_class.get_queryset  # AttributeError if there is none
        return inherited if view is None else MethodType(_scoped_queryset(inherited), view)


def _limit_inner_rows(view: Any, rows: Any) -> Any:
    """Limit by a subquery: a join for each ``super()`` would duplicate rows that an override combines with ``|``."""
    path = view.account_path
    if not account_paths.can_filter(rows) or not account_paths.leads_to_account(rows.model, path):
        return rows
    if is_unlimited(view.request, view):
        return rows
    manager: Any = conf.account_model()._base_manager
    accounts = limited(view.request, manager.all(), view=view)
    return rows.using(accounts.db).filter(**{f"{path or 'pk'}__in": accounts})


def _limit_rows(view: Any, rows: Any, *, has_scoped: bool) -> Any:
    """Return the rows of ``get_queryset()`` that the caller may access.

    If they cannot be filtered along ``account_path``, such as a list, a slice or a model with a many-to-many relation
    to accounts, then ``get_queryset()`` must have used ``scoped()`` itself.
    """
    is_queryset = isinstance(rows, BaseManager) or account_paths.can_filter(rows)
    if has_scoped and not (is_queryset and account_paths.leads_to_account(rows.model, view.account_path)):
        return rows
    return view.scoped(rows)


def _limited_filters(filter_queryset: Callable[..., Any]) -> Callable[..., Any]:
    """Limit the rows again if a filter has replaced the queryset, such as by the hits of a search engine."""
    uncounted = _uncounted(filter_queryset)

    def filtered(view: Any, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        rows = uncounted(view, queryset, *args, **kwargs)
        if not getattr(view, "is_scoped", False) or is_unlimited(view.request, view) or _is_filtered(queryset, rows):
            return rows
        if account_paths.can_filter(rows):
            return limited(view.request, rows, view.account_path, view=view)
        return _only_inside(view, rows)

    return filtered


def _only_inside(view: Any, rows: Any) -> Any:
    """Return a slice, a union or a list of rows, without those that the caller may not access."""
    rows = rows if isinstance(rows, QuerySet) else list(rows)
    for row in rows:
        model = type(row)
        if not (isinstance(row, Model) and account_paths.leads_to_account(model, view.account_path)):
            raise ImproperlyConfigured(
                f"filter_queryset() of {type(view).__qualname__} returned a {model.__name__}, which account_path does "
                "not lead from. Return rows of the queryset that it got."
            )
    pks = scope_rows.pks_by_model(rows)
    limit = partial(limited, view.request, view=view)
    outside = {
        model: scope_rows.outside(limit, model, of_model, (view.account_path,)) for model, of_model in pks.items()
    }
    return [row for row in rows if row.pk not in outside[type(row)]] if any(outside.values()) else rows


def _is_filtered(queryset: Any, rows: Any) -> bool:
    """Return True if ``rows`` can contain no other rows than ``queryset``."""
    if rows is queryset:
        return True
    if isinstance(queryset, list) and isinstance(rows, list):
        known = {id(row) for row in queryset}
        return all(id(row) in known for row in rows)
    if not isinstance(queryset, QuerySet):
        return False
    if not isinstance(rows, QuerySet):
        return False
    queries = rows.query.combined_queries or (rows.query,)
    return all(_has_conditions(query.where, queryset.query.where) for query in queries)


def _has_conditions(where: Any, conditions: Any) -> bool:
    is_narrower = where.connector == AND and not where.negated
    return is_narrower and all(condition in where.children for condition in conditions.children)


WRAPPERS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "initial": _gated,
    "handle_exception": _with_plain_404,
    "finalize_response": _finalized_for_key,
    "check_permissions": _denied_after_404,
    "check_object_permissions": _uncounted,
    "check_throttles": _uncounted,
    "filter_queryset": _limited_filters,
    "get_queryset": _scoped_queryset,
    "get_object": object_checks.wrapped_get_object,
}
