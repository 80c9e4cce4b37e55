"""System checks of the views that open to API keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework.request import Request

from finta_keys import account_paths, url_rows
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks.findings import ViewError, ViewWarning, once_per_view
from finta_keys.checks.routes import RoutedView, project_views, scoped_views
from finta_keys.checks.settings import Messages
from finta_keys.marks import declares_scope


@checks.register(checks.Tags.security)
def check_views_open_to_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report views that use our authentication class and do not open to keys."""
    return closed_view_errors(project_views())


def closed_view_errors(views: Iterable[RoutedView]) -> Messages:
    """Return an error for each view that uses our authentication class and does not open to keys.

    Views that only inherit the class from ``DEFAULT_AUTHENTICATION_CLASSES`` are not reported: they
    respond as they do without a key.
    """
    ours = (view for view in views if view.uses_key_authentication and view.is_meant_for_keys)
    closed = (view for view in ours if not view.opens_to_keys)
    return [
        ViewError(view, problem, hint=hint, id="finta_keys.E006")
        for view, (problem, hint) in once_per_view((view, _closed_because(view)) for view in closed)
    ]


def _closed_because(view: RoutedView) -> tuple[str, str]:
    if declares_scope(view.cls):
        return (
            "does not open to API keys: its initial() is not the one that AccountScopeMixin or @unscoped has wrapped.",
            "A base class has an __init_subclass__() that does not call super().__init_subclass__(**kwargs), or "
            "initial() was replaced after the class was made.",
        )
    return (
        "lists finta_keys.authentication.ApiKeyAuthentication, but does not open to API keys.",
        'Add AccountScopeMixin to its bases, or mark it @unscoped("why it shows rows of no account"). Put @scoped_view '
        "above @api_view. If the view should not accept keys, remove ApiKeyAuthentication.",
    )


@checks.register(checks.Tags.security)
def check_account_paths(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report scoped views whose ``account_path`` does not lead from their model to the account."""
    return [
        ViewError(view, f"cannot be limited to accounts. {problem}", id="finta_keys.E016")
        for view, problem in once_per_view((view, _path_problem(view)) for view in scoped_views())
        if problem
    ]


def _path_problem(view: RoutedView) -> str:
    path = view.get("account_path")
    module = getattr(getattr(view.cls, "get_queryset", None), "__module__", "")
    if view.model is None or module != "rest_framework.generics" or not isinstance(path, str):
        return ""  # The rows depend on the request. An invalid path raises an error at the first request.
    try:
        account_paths.lookups(view.model, path)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


@checks.register(checks.Tags.security)
def check_url_arguments(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report URL arguments of scoped views that are neither looked up nor declared."""
    undeclared = ((view, name) for view in scoped_views() for name in sorted(_undeclared(view)))
    return [
        ViewWarning(
            view,
            f"has the URL argument {name!r}, which is not looked up in the scope.",
            hint=f'Set scoped_kwargs = {{"{name}": Model}} if it names a row, {{"{name}": None}} if it does not.',
            id="finta_keys.W023",
        )
        for view, name in once_per_view(undeclared)
    ]


def _undeclared(view: RoutedView) -> set[str]:
    return url_rows.undeclared_kwargs(view.instance(), set(view.arguments)) if view.arguments else set()


@checks.register(checks.Tags.security)
def check_bearer_classes_come_later(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Report authentication classes for Bearer tokens that are listed before ours."""
    orders = ((view, (first, ours)) for view in project_views() for first, ours in _bearer_before_ours(view))
    first_views = {order: view for view, order in reversed(list(orders))}
    return [
        ViewWarning(
            view,
            f"calls {first.__name__} before {ours.__name__}. If it rejects Bearer tokens that it does not know, it "
            "rejects API keys that would otherwise be accepted or ignored.",
            hint=f"Put {ours.__name__} first, in DEFAULT_AUTHENTICATION_CLASSES or in the view. No status changes for "
            "requests without a key.",
            id="finta_keys.W024",
        )
        for (first, ours), view in first_views.items()
    ]


def _bearer_before_ours(view: RoutedView) -> list[tuple[type, type]]:
    classes = view.authentication_classes
    ours = next((cls for cls in classes if issubclass(cls, ApiKeyAuthentication)), None)
    if ours is None:
        return []
    return [(cls, ours) for cls in classes[: classes.index(ours)] if _asks_for_bearer(cls)]


def _asks_for_bearer(cls: Any) -> bool:
    try:
        header = cls().authenticate_header(Request(HttpRequest()))
    except Exception:  # The project's own code may need a whole request.
        return False
    return str(header or "").lower().startswith("bearer")
