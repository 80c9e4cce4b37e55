"""System checks of the views that authenticate by key (rules S3 and S7).

They walk the URLs and see what is written down in classes. What only a request decides is stopped at the first call.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.urls import URLResolver, get_resolver
from rest_framework import permissions

from finta_keys import conf, paths
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.checks.settings import Messages
from finta_keys.scoping import AccountScopeMixin, is_scoped, scope_problem

Detail = TypeVar("Detail")

STAFF_PERMISSIONS = (permissions.IsAdminUser, permissions.DjangoModelPermissions)
STAFF_NAMES = frozenset(
    {
        *("is_staff", "is_superuser", "has_perm", "has_perms", "has_module_perms"),
        *("IsAdminUser", "DjangoModelPermissions", "DjangoModelPermissionsOrAnonReadOnly", "DjangoObjectPermissions"),
    }
)


# --- what the URLs lead to -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RoutedView:
    """A view of Django REST framework at one path, with what ``as_view()`` was given for it."""

    path: str
    cls: Any
    initkwargs: Mapping[str, Any]
    actions: Mapping[str, str] | None  # of a viewset: which method leads to which action

    def __str__(self) -> str:
        return f"{self.cls.__module__}.{self.cls.__name__} at {self.path!r}"

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute as the view has it here: what ``as_view()`` or ``@action`` was given goes first."""
        return self.initkwargs.get(name, getattr(self.cls, name, default))

    def instance(self) -> Any:
        return self.cls(**self.initkwargs)

    @property
    def model(self) -> type[models.Model] | None:
        """Its model where ``queryset`` tells."""
        model: type[models.Model] | None = getattr(self.get("queryset"), "model", None)
        return model

    @property
    def writing(self) -> dict[str, str]:
        """The methods that take a body, and the action of each: in what is no viewset, the method itself."""
        actions = self.actions or {method: method for method in self.cls.http_method_names if hasattr(self.cls, method)}
        return {method: action for method, action in actions.items() if method in ("post", "put", "patch")}

    @property
    def takes_keys(self) -> bool:
        try:
            found = self.instance().get_authenticators()
        except Exception:  # the host's own code, which may need a request
            classes = self.get("authentication_classes", ())
            return any(isinstance(each, type) and issubclass(each, ApiKeyAuthentication) for each in classes)
        return any(isinstance(each, ApiKeyAuthentication) for each in found)


def views_that_take_keys(resolver: URLResolver) -> Iterator[tuple[str, RoutedView]]:
    """Yield the path and the view of every entry below a resolver that authenticates by key."""
    for path, callback in callbacks(resolver):
        for found in _drf_callbacks(callback):
            actions = getattr(found, "actions", None)
            view = RoutedView(path, found.cls, getattr(found, "initkwargs", None) or {}, actions)
            if view.takes_keys:
                yield path, view


def callbacks(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the callback of every entry below a resolver."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from callbacks(entry, path)
        else:
            yield path, entry.callback


def _drf_callbacks(callback: Any) -> Iterator[Any]:
    """Yield what ``as_view()`` or ``@api_view`` made, found through whatever decorators stand before it."""
    seen, pending = set(), [callback]
    while pending:
        each = pending.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        if callable(each) and isinstance(getattr(each, "cls", None), type):
            yield each
        else:
            pending += _inside(each)


def _inside(found: Any) -> Iterator[Any]:
    """Yield what a decorated function, or another callable, may call: it need not have been made with
    ``functools.wraps``, and may keep several views in a table."""
    if isinstance(found, dict):
        yield from found.values()
    elif isinstance(found, list | tuple):
        yield from found
    elif callable(found):
        yield from getattr(found, "__dict__", {}).values()
        if isinstance(found, functools.partial):
            yield from (found.func, found.args, found.keywords)
        yield from _closure(found)


def _closure(function: Any) -> Iterator[Any]:
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # not yet filled


# --- the checks ------------------------------------------------------------------------------------------------------


@checks.register(checks.Tags.security)
def check_views_are_scoped(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the views that authenticate by key and carry neither the mixin nor a mark (rule S7)."""
    return unscoped_views(get_resolver()) if _has_urls() else []


def unscoped_views(resolver: URLResolver) -> Messages:
    """Return an error for each view below a resolver that takes keys and does not keep to their scope."""
    found = (view for _, view in views_that_take_keys(resolver) if not is_scoped(view.cls))
    return [
        checks.Error(f"{view} {what}", hint=hint, id="finta_keys.E006")
        for view, (what, hint) in once((view, scope_problem(view.cls)) for view in found)
    ]


@checks.register(checks.Tags.security)
def check_account_paths(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the scoped views whose ``account_path`` does not lead from their model to the account."""
    return [
        checks.Error(f"{view} cannot be limited to a key's scope. {problem}", id="finta_keys.E016")
        for view, problem in once((view, _path_problem(view)) for view in scoped_views())
        if problem
    ]


@checks.register(checks.Tags.security)
def check_staff_is_not_asked(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Messages:
    """Find the views that look at what the owner may do in the admin (rule S3)."""
    found = views_that_take_keys(get_resolver()) if _has_urls() else ()
    return [
        checks.Warning(
            f"{view} authenticates by API key and grants by {reason}.",
            hint="Being staff or superuser never widens a key: it acts for its owner, within its scope. Decide by what "
            "the key may see, or serve this to people who are signed in. Where it is meant, add finta_keys.W015 to "
            "SILENCED_SYSTEM_CHECKS.",
            id="finta_keys.W015",
        )
        for view, reason in once((view, reason) for _, view in found for reason in _staff_reasons(view))
    ]


def scoped_views() -> Iterator[RoutedView]:
    """Yield the views that take keys and carry the mixin, at each of their paths."""
    try:
        conf.account_model()
    except ImproperlyConfigured:
        return  # That is to be put right first.
    if _has_urls():
        found = (view for _, view in views_that_take_keys(get_resolver()))
        yield from (view for view in found if issubclass(view.cls, AccountScopeMixin))


def once(found: Iterable[tuple[RoutedView, Detail]]) -> list[tuple[RoutedView, Detail]]:
    """Keep the first of what is the same but for the path: a viewset has many."""
    kept: dict[Any, tuple[RoutedView, Detail]] = {}
    for view, detail in found:
        kept.setdefault((view.cls, detail), (view, detail))
    return list(kept.values())


def _has_urls() -> bool:
    return bool(getattr(settings, "ROOT_URLCONF", None))


def _path_problem(view: RoutedView) -> str:
    path = view.get("account_path")
    if view.model is None or not isinstance(path, str):
        return ""  # get_queryset(), or a property, is asked at the first call.
    try:
        paths.lookups(view.model, path)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


# --- staff -----------------------------------------------------------------------------------------------------------


def _staff_reasons(view: RoutedView) -> Iterator[str]:
    for each in _plain_permissions(view.get("permission_classes", ())):
        if issubclass(each, STAFF_PERMISSIONS) or _names_staff(each):
            yield each.__name__
    for name in _names_staff(view.cls):
        yield f"{name} in its own code"


def _plain_permissions(classes: Iterable[Any]) -> Iterator[type]:
    """Yield the classes of which permissions are composed with ``&``, ``|`` and ``~``."""
    for each in classes:
        if isinstance(each, type):
            yield each
        else:
            yield from _plain_permissions(
                operand for name in ("op1_class", "op2_class") if (operand := getattr(each, name, None))
            )


def _names_staff(cls: type) -> list[str]:
    """Return the names of rights that the host's own code of a class names."""
    hosts = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("rest_framework", "django")]
    codes = [code for base in hosts for member in vars(base).values() for code in _codes(member)]
    return sorted({name for code in codes for name in (*code.co_names, *code.co_consts) if _is_staff_name(name)})


def _is_staff_name(name: Any) -> bool:
    return isinstance(name, str) and name in STAFF_NAMES


def _codes(member: Any) -> Iterator[CodeType]:
    """Yield the code of a method, function or property, and all that is written inside of it."""
    pending, seen = [member], set()
    while pending:
        each = pending.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        if isinstance(each, CodeType):
            yield each
            pending += [const for const in each.co_consts if isinstance(const, CodeType)]
        elif isinstance(each, property):
            pending.append(each.fget)
        else:
            pending += [getattr(each, name, None) for name in ("__func__", "__wrapped__", "func", "__code__")]
            pending += [inner for inner in _closure(each) if callable(inner)]
