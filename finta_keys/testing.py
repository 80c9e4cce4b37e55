"""For the tests of a project that uses this app: keys, clients that present them, and assertions about its endpoints.

They need no test framework but Django's, and raise ``AssertionError``.
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
from django.urls import Resolver404, get_resolver, resolve

from finta_keys.checks.routes import routed_views
from finta_keys.checks.views import closed_views
from finta_keys.models import ApiKey
from finta_keys.secret import Secret

# Those that are served, those that hardly ever are, and one that nobody knows.
EVERY_METHOD = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW")
# Headers that differ from one answer to the next whatever was asked for.
NOT_COMPARED = frozenset({"date", "x-request-id"})

_numbers = count(1)


def make_key(
    owner: AbstractBaseUser, name: str | None = None, accounts: Iterable[Any] | None = None
) -> tuple[ApiKey, Secret]:
    """Create a key and return it with its secret.

    ``name`` is "Test key 1", "Test key 2" and so on where it is not given; ``accounts`` are accounts of the owner or
    their primary keys, None for all. Raises what ``ApiKey.objects.create_key()`` raises.
    """
    return ApiKey.objects.create_key(owner=owner, name=name or f"Test key {next(_numbers)}", accounts=accounts)


def key_client(secret: str, **options: Any) -> Client:
    """Return a test client that presents ``secret`` with every request. ``options`` are those of ``Client``."""
    return Client(headers={"authorization": f"Bearer {secret}"}, **options)


def assert_indistinguishable(
    client: Client,
    hidden: str | tuple[str, Any],
    missing: str | tuple[str, Any],
    *more: str | tuple[str, Any],
    methods: Iterable[str] = EVERY_METHOD,
    same_queries: bool = True,
    **request: Any,
) -> None:
    """Assert that a caller cannot tell what is hidden from what never existed (rule S4).

    ``client`` presents the key from which ``hidden`` is hidden. Each is a URL, or where the body names what is hidden,
    a URL and what is sent to it as JSON. For each method the answers must have the same status, body and headers (all
    but ``Date`` and ``X-Request-Id``), change the same number of rows, and cost the same number of queries, unless
    ``same_queries`` is false, as for an id that is not even well formed. ``request`` goes to ``client.generic()``, such
    as ``data`` and ``content_type``.

    It also fails where nothing is compared: where ``hidden`` leads to no view, or where the client is not let in, runs
    into an error, or is refused with every method, as it is where the view does not read JSON.
    """
    requests = [{**request, **_request(each)} for each in (hidden, missing, *more)]
    if any(each in requests[:place] for place, each in enumerate(requests)):
        raise AssertionError("The same is given twice: each has to ask for something else.")
    _assert_leads_to_a_view(requests[0]["path"])
    _ask(client, "GET", {"path": requests[0]["path"]})  # What is written once a minute and key is written now.
    let_in = False
    for method in methods:
        first, *others = [_ask(client, method, each) for each in requests]
        let_in |= _is_let_in(method, requests[0]["path"], first.told[0]) and not first.is_nobodys
        for each, answer in zip(requests[1:], others, strict=True):
            for part, expected, found in zip(("status", "body", "headers"), first.told, answer.told, strict=True):
                if found != expected:
                    raise AssertionError(f"{method} {each['path']} differs in its {part}: {found!r}, not {expected!r}")
            if same_queries and answer.queries != first.queries:
                raise AssertionError(f"{method} {each['path']} takes {answer.queries} queries, not {first.queries}")
            if answer.changed != first.changed:
                raise AssertionError(f"{method} {each['path']} changes {answer.changed} rows, not {first.changed}")
    if not let_in:
        raise AssertionError(
            f"{requests[0]['path']} refuses each of these methods, or asks for no key: nothing is compared. "
            "Does the client send a key, and a body that is understood?"
        )


def assert_scope_covers(urlconf: Any = None) -> list[str]:
    """Assert that every view which authenticates by key keeps to the key's scope, or is marked ``@unscoped`` (rule S7).

    ``urlconf`` is a module, its dotted path or a list of patterns; ``ROOT_URLCONF`` by default. Returns the paths at
    which keys are taken. Fails also where there is none: then the test looks at the wrong URLs.
    """
    patterns: Any = tuple(urlconf) if isinstance(urlconf, list) else urlconf
    views = [view for view in routed_views(get_resolver(patterns)) if view.takes_keys]
    problems = [f"{message.msg} {message.hint}" for message in closed_views(views)]
    if problems:
        raise AssertionError("\n".join(problems))
    open_paths = [view.path for view in views if view.opens_to_keys]
    if not open_paths:
        raise AssertionError("No view of these URLs opens to API keys.")
    return open_paths


def answer_of(response: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return what of an answer a caller can compare with another: status, body, headers, cookies among them."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    # The token against forged requests is random.
    cookies = {f"set-cookie {name}": each.OutputString() for name, each in response.cookies.items()}
    cookies.pop(f"set-cookie {settings.CSRF_COOKIE_NAME}", None)
    body = response.getvalue() if response.streaming else response.content
    told = {name: value for name, value in {**headers, **cookies}.items() if name not in NOT_COMPARED}
    return response.status_code, body, told


def _request(asked: str | tuple[str, Any]) -> dict[str, Any]:
    if isinstance(asked, str):
        return {"path": asked}
    path, data = asked
    return {"path": path, "data": json.dumps(data, cls=DjangoJSONEncoder), "content_type": "application/json"}


@dataclass(frozen=True)
class _Answer:
    told: tuple[int, bytes, dict[str, str]]  # what a caller can compare
    queries: int
    changed: int  # how many rows were
    is_nobodys: bool


def _ask(client: Client, method: str, request: dict[str, Any]) -> _Answer:
    """Return what can be compared. The client is left as it was."""
    cookies = deepcopy(client.cookies)
    with _queries() as changes:
        response = client.generic(method, **request)
    told = answer_of(response)
    client.cookies = cookies
    return _Answer(told, len(changes), sum(changes), _is_nobodys(response))


@contextmanager
def _queries() -> Iterator[list[int]]:
    """Gather how many rows each query changed, of all databases. A project may read from others than that of the
    keys."""
    changes: list[int] = []

    def ask(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        changes.append(0)  # before it may fail
        result = execute(sql, params, many, context)
        if str(sql).startswith(("INSERT", "UPDATE", "DELETE")):
            changes[-1] = context["cursor"].rowcount
        return result

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(ask))
        yield changes


def _is_nobodys(response: Any) -> bool:
    """Tell whether Django REST framework answered without a caller: nobody is let in, or nobody was asked for a key."""
    request = (getattr(response, "renderer_context", None) or {}).get("request")
    return request is not None and not vars(request).get("_authenticator")


def _assert_leads_to_a_view(path: str) -> None:
    try:
        resolve(unquote(urlsplit(path).path))
    except Resolver404:
        raise AssertionError(f"{path} leads to no view, so nothing is compared. Is it written right?") from None


def _is_let_in(method: str, path: str, status: int) -> bool:
    """Tell whether an answer says something. Raises ``AssertionError`` for one that no answer about rows can be."""
    moved, refused = 300 <= status < 400, status in (403, 405, 406, 413, 415, 429)
    if method == "GET" and moved:
        raise AssertionError(f"GET {path} answers {status}: nothing is compared. Give the address to which it leads.")
    if status == 401 or status >= 500 or (method == "GET" and status in (403, 429)):
        raise AssertionError(f"{method} {path} answers {status}: nothing is compared. Does the client send a good key?")
    return method != "OPTIONS" and not moved and not refused
