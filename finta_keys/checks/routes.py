"""Find the views of Django REST framework in the URLs of the project."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.urls import URLResolver, get_resolver
from rest_framework.views import APIView

from finta_keys import conf
from finta_keys.authentication import ApiKeyAuthentication
from finta_keys.gate import opens_to_keys


@dataclass(frozen=True)
class RoutedView:
    """A view at one path, with the arguments of its ``as_view()``."""

    path: str
    arguments: frozenset[str]  # the names in the path
    cls: Any
    initkwargs: Mapping[str, Any]
    actions: Mapping[str, str] | None  # of a viewset: HTTP method to action

    def __str__(self) -> str:
        return f"{self.name} at {self.path!r}"

    @property
    def name(self) -> str:
        return f"{self.cls.__module__}.{self.cls.__name__}"

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the view. The arguments of ``as_view()`` and ``@action`` come
        first."""
        return self.initkwargs.get(name, getattr(self.cls, name, default))

    def instance(self) -> Any:
        return self.cls(**self.initkwargs)

    @property
    def model(self) -> type[models.Model] | None:
        """The model of the ``queryset`` attribute, or None."""
        model: type[models.Model] | None = getattr(self.get("queryset"), "model", None)
        return model

    @property
    def row_model(self) -> type[models.Model] | None:
        """The model of the rows, also of a view that has only ``get_queryset()``: the serializer or
        filterset names it.

        None if it depends on the request.
        """
        serializer_meta = getattr(self.get("serializer_class"), "Meta", None)
        filterset_meta = getattr(self.get("filterset_class"), "_meta", None)
        return self.model or getattr(serializer_meta, "model", None) or getattr(filterset_meta, "model", None)

    @property
    def write_actions(self) -> dict[str, str]:
        """The HTTP methods that take a body, each with its action. Outside viewsets, the action is
        the method."""
        actions = self.actions or {method: method for method in self.cls.http_method_names if hasattr(self.cls, method)}
        return {method: action for method, action in actions.items() if method in ("post", "put", "patch")}

    @property
    def authentication_classes(self) -> list[type]:
        """The authentication classes."""
        try:
            return [type(authenticator) for authenticator in self.instance().get_authenticators()]
        except Exception:  # The project's own get_authenticators() may need a request.
            return [cls for cls in self.get("authentication_classes", ()) if isinstance(cls, type)]

    @property
    def uses_key_authentication(self) -> bool:
        return any(issubclass(cls, ApiKeyAuthentication) for cls in self.authentication_classes)

    @property
    def sets_authentication_classes(self) -> bool:
        """True unless the view inherits ``DEFAULT_AUTHENTICATION_CLASSES``, or adds classes to
        them."""
        if self.cls.get_authenticators is not APIView.get_authenticators:
            return True
        default, own = APIView.authentication_classes, self.get("authentication_classes")
        if own is default:
            return False
        # If the default is one class, it may be ours, and a view that lists it does not extend the
        # default.
        return len(default) < 2 or not _contains(list(own), list(default))

    @property
    def is_meant_for_keys(self) -> bool:
        """True if the view sets its authentication classes, or has a handler marked
        ``@unscoped``."""
        members = (member for base in self.cls.__mro__ for member in vars(base).values())
        return self.sets_authentication_classes or any(hasattr(member, "unscoped_reason") for member in members)

    @property
    def opens_to_keys(self) -> bool:
        return opens_to_keys(self.cls)


def _contains(longer: list[Any], shorter: list[Any]) -> bool:
    """Return True if a list contains another one in its order, without gaps."""
    return any(longer[start : start + len(shorter)] == shorter for start in range(len(longer)))


def scoped_views() -> Iterator[RoutedView]:
    """Yield the project's views with ``AccountScopeMixin`` that use our authentication, once per
    path."""
    try:
        conf.account_model()
    except ImproperlyConfigured:
        return  # Another check reports it.
    yield from (view for view in project_views() if view.get("is_scoped") and view.uses_key_authentication)


def project_views() -> Iterator[RoutedView]:
    """Yield the views of Django REST framework below ``ROOT_URLCONF``, once per path."""
    if getattr(settings, "ROOT_URLCONF", None):
        yield from routed_views(get_resolver())


def routed_views(resolver: URLResolver) -> Iterator[RoutedView]:
    """Yield the views of Django REST framework below a resolver, once per path."""
    for path, arguments, callback in entries(resolver):
        for view in _drf_callbacks(callback):
            initkwargs = getattr(view, "initkwargs", None) or {}
            yield RoutedView(path, arguments, view.cls, initkwargs, getattr(view, "actions", None))


def entries(resolver: URLResolver, prefix: str = "", names: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Yield the path, the names of the arguments in it, and the callback of every URL below a
    resolver."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        arguments = names | frozenset(entry.pattern.regex.groupindex)
        if isinstance(entry, URLResolver):
            yield from entries(entry, path, arguments)
        else:
            yield path, arguments, entry.callback


def _drf_callbacks(callback: Any) -> Iterator[Any]:
    """Yield the results of ``as_view()`` and ``@api_view`` behind decorators, partials and
    tables of views."""
    visited, pending = set(), [callback]
    while pending:
        candidate = pending.pop()
        if id(candidate) in visited or isinstance(candidate, type):
            continue
        visited.add(id(candidate))
        if callable(candidate) and isinstance(getattr(candidate, "cls", None), type):
            yield candidate
        else:
            pending += _inside(candidate)


def _inside(candidate: Any) -> Iterator[Any]:
    """Yield the objects inside a callable or container that may be callables. Not only
    ``__wrapped__``, because a decorator may not use ``functools.wraps``."""
    if isinstance(candidate, dict):
        yield from candidate.values()
    elif isinstance(candidate, list | tuple):
        yield from candidate
    elif callable(candidate):
        yield from getattr(candidate, "__dict__", {}).values()
        if isinstance(candidate, functools.partial):
            yield from (candidate.func, candidate.args, candidate.keywords)
        for cell in getattr(candidate, "__closure__", None) or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue  # not yet filled
