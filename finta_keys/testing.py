"""Helpers for the tests of a project: keys, clients that send them, and assertions about endpoints.

They work with any test runner, and raise ``AssertionError``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.test import Client
from django.test.utils import override_settings
from django.urls import Resolver404, get_resolver, resolve

from finta_keys import usage_counts
from finta_keys.checks.routes import routed_views
from finta_keys.checks.views import closed_view_errors
from finta_keys.models import ApiKey
from finta_keys.secret import Secret
from finta_keys.watch import ScopeLeak
from finta_keys.watch_patches import watch_scope

__all__ = [
    "ScopeLeak",
    "assert_indistinguishable",
    "assert_scope_covers",
    "comparable_parts",
    "count_usage",
    "key_client",
    "make_key",
    "watch_scope",
]

DAY = 86_400  # seconds
# Common methods, rare ones, and one that does not exist.
EVERY_METHOD = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW")
# Headers that differ between any two responses.
NOT_COMPARED = frozenset({"date", "x-request-id"})

_numbers = count(1)


def make_key(
    owner: AbstractBaseUser, name: str | None = None, accounts: Iterable[Any] | None = None, **options: Any
) -> tuple[ApiKey, Secret]:
    """Create a key and return it with its secret.

    ``name`` is "Test key 1", "Test key 2" and so on by default. ``accounts`` are accounts of the
    owner or their primary keys; None means all. ``options`` are ``read_only`` and ``expires_at``.
    Raise the errors of ``ApiKey.objects.create_key()``.
    """
    name = name or f"Test key {next(_numbers)}"
    return ApiKey.objects.create_key(owner=owner, name=name, accounts=accounts, **options)


def key_client(secret: str, **options: Any) -> Client:
    """Return a test client that presents ``secret`` with every request. ``options`` are those of
    ``Client``."""
    return Client(headers={"authorization": f"Bearer {secret}"}, **options)


@contextmanager
def count_usage() -> Iterator[None]:
    """Count the use of keys while the block runs, and save the counts when it ends.

    In tests, nothing is counted otherwise.
    """
    usage_counts.is_counting_in_tests = True
    try:
        yield
        usage_counts.save()
    finally:
        usage_counts.is_counting_in_tests = False
        usage_counts.discard()


def assert_indistinguishable(
    client: Client,
    hidden: str | tuple[str, Any],
    missing: str | tuple[str, Any],
    *more: str | tuple[str, Any],
    methods: Iterable[str] = EVERY_METHOD,
    same_queries: bool = True,
    ignore_headers: Iterable[str] = (),
    **request: Any,
) -> None:
    """Assert that the responses for a hidden row and for a missing row are the same (rule S4).

    ``client`` presents a key that cannot access ``hidden``. ``hidden``, ``missing`` and ``more``
    are URLs, or pairs of a URL and the JSON data that names the row. Each method is sent to all of
    them, in ``watch_scope()``. ``request`` is passed to ``client.generic()``. For malformed ids,
    pass ``same_queries=False``. ``ignore_headers`` are headers that differ between any two
    responses, next to ``Date`` and ``X-Request-Id``.

    Raise ``AssertionError`` if the responses differ in status, body or headers, or in the numbers
    of queries and changed rows; or if nothing was compared, because ``hidden`` leads to no view or
    the client is rejected with every method. Raise ``ScopeLeak`` if a view reads or changes the
    hidden row.
    """
    requests = [{**request, **_request(target)} for target in (hidden, missing, *more)]
    if any(target in requests[:place] for place, target in enumerate(requests)):
        raise AssertionError("Two of the requests are the same. Each must be about another row.")
    _assert_leads_to_a_view(requests[0]["path"])
    with watch_scope(), override_settings(FINTA_KEYS_LAST_USED_INTERVAL=DAY):
        _compare(client, requests, methods, same_queries, {name.lower() for name in ignore_headers})


def _compare(
    client: Client, requests: list[dict[str, Any]], methods: Iterable[str], same_queries: bool, ignored: set[str]
) -> None:
    # Writes last_used_at, so that the compared requests do not.
    _send(client, "GET", {"path": requests[0]["path"]}, ignored)
    is_authenticated = False
    for method in methods:
        first, *others = [_send(client, method, target, ignored) for target in requests]
        is_authenticated |= _is_comparable(method, requests[0]["path"], first.comparable[0]) and not first.is_anonymous
        for target, other in zip(requests[1:], others, strict=True):
            for part, expected, actual in zip(
                ("status", "body", "headers"), first.comparable, other.comparable, strict=True
            ):
                if actual != expected:
                    raise AssertionError(
                        f"{method} {target['path']} differs in its {part}: {actual!r}, not {expected!r}"
                    )
            if same_queries and other.queries != first.queries:
                raise AssertionError(
                    f"{method} {target['path']} takes {other.queries} queries, not {first.queries}. "
                    "If it names a malformed id, pass same_queries=False."
                )
            if other.changed != first.changed:
                raise AssertionError(f"{method} {target['path']} changes {other.changed} rows, not {first.changed}")
    if not is_authenticated:
        raise AssertionError(
            f"{requests[0]['path']} rejects each of these methods, or does not authenticate: nothing was compared. "
            "Check that the client sends a key, and a body that the view can parse."
        )


def assert_scope_covers(urlconf: Any = None) -> list[str]:
    """Assert that every view that names ``ApiKeyAuthentication`` is scoped or marked (rule S7).

    ``urlconf`` is a module, its dotted path or a list of patterns; ``ROOT_URLCONF`` by default.
    Return the paths of the views that accept keys. Raise ``AssertionError`` if there is none,
    because the URLs are probably wrong.
    """
    patterns: Any = tuple(urlconf) if isinstance(urlconf, list) else urlconf
    views = [view for view in routed_views(get_resolver(patterns)) if view.uses_key_authentication]
    problems = [f"{message.msg} {message.hint}" for message in closed_view_errors(views)]
    if problems:
        raise AssertionError("\n".join(problems))
    open_paths = [view.path for view in views if view.opens_to_keys]
    if not open_paths:
        raise AssertionError("No view of these URLs opens to API keys.")
    return open_paths


def comparable_parts(response: Any, ignored: Iterable[str] = ()) -> tuple[int, bytes, dict[str, str]]:
    """Return the parts of a response that a caller can compare: status, body, headers and
    cookies."""
    not_compared = NOT_COMPARED.union(ignored)
    headers = {name.lower(): value for name, value in response.headers.items()}
    # The CSRF token is random.
    cookies = {f"set-cookie {name}": cookie.OutputString() for name, cookie in response.cookies.items()}
    cookies.pop(f"set-cookie {settings.CSRF_COOKIE_NAME}", None)
    body = response.getvalue() if response.streaming else response.content
    comparable = {name: value for name, value in {**headers, **cookies}.items() if name not in not_compared}
    return response.status_code, body, comparable


def _request(target: str | tuple[str, Any]) -> dict[str, Any]:
    if isinstance(target, str):
        return {"path": target}
    path, data = target
    return {"path": path, "data": json.dumps(data, cls=DjangoJSONEncoder), "content_type": "application/json"}


@dataclass(frozen=True)
class _Response:
    comparable: tuple[int, bytes, dict[str, str]]
    queries: int
    changed: int  # rows
    is_anonymous: bool


def _send(client: Client, method: str, request: dict[str, Any], ignored: set[str]) -> _Response:
    """Send a request and return its response. The cookies of the client stay the same."""
    cookies = deepcopy(client.cookies)
    with _queries() as changes:
        response = client.generic(method, **request)
    comparable = comparable_parts(response, ignored)
    client.cookies = cookies
    return _Response(comparable, len(changes), sum(changes), _is_anonymous(response))


@contextmanager
def _queries() -> Iterator[list[int]]:
    """Collect the number of rows that each query changes, in all databases."""
    changes: list[int] = []

    def count_changes(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        changes.append(0)  # before it may fail
        result = execute(sql, params, many, context)
        if str(sql).startswith(("INSERT", "UPDATE", "DELETE")):
            changes[-1] = context["cursor"].rowcount
        return result

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(count_changes))
        yield changes


def _is_anonymous(response: Any) -> bool:
    """Return True if Django REST framework has authenticated no caller for this response."""
    request = (getattr(response, "renderer_context", None) or {}).get("request")
    return request is not None and not vars(request).get("_authenticator")


def _assert_leads_to_a_view(path: str) -> None:
    try:
        resolve(unquote(urlsplit(path).path))
    except Resolver404:
        raise AssertionError(f"{path} leads to no view, so nothing was compared. Check the path.") from None


def _is_comparable(method: str, path: str, status: int) -> bool:
    """Return True if a response can be about a row. Raise ``AssertionError`` for a response that
    cannot be compared."""
    is_redirect, is_rejected = 300 <= status < 400, status in (403, 405, 406, 413, 415, 429)
    if method == "GET" and is_redirect:
        raise AssertionError(f"GET {path} responds {status}: nothing was compared. Use the URL of the redirect.")
    if status == 401 or status >= 500 or (method == "GET" and status in (403, 429)):
        raise AssertionError(
            f"{method} {path} responds {status}: nothing was compared. Check that the client sends a valid key."
        )
    return method != "OPTIONS" and not is_redirect and not is_rejected
