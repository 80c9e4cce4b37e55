"""The state of a request that may present an API key, and the headers that present it.

The state is kept on Django's ``HttpRequest``. Django REST framework wraps that in a request of its own, which it also
clones without copying attributes.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from finta_keys import conf
from finta_keys.secret import Secret

if TYPE_CHECKING:
    from finta_keys.models import ApiKey

SCHEME = "bearer"
WHITESPACE = " \t"  # as HTTP defines it; str.strip() removes more characters of Latin-1


@dataclass
class RequestState:
    key: ApiKey | None = None  # found by the authentication class or by get_key()
    was_looked_up: bool = False  # whether ``key`` is final
    is_hidden: bool = False  # whether our headers were removed, because the view does not open to keys
    gate: Any = None  # the view that opens to keys, while it runs
    is_presented: bool = False  # whether a header presented a key when the gate was entered
    presented: set[Secret] | None = field(default=None, repr=False)  # these secrets, until they are looked up
    guard: Any = None  # the checks of saved rows, while code of the view runs
    is_guarded: bool = False  # whether the handler ran inside the guard
    scoped_count: int = 0  # how often rows were limited to the caller
    scoped_before: int = 0  # the same when the gate was entered
    watch: Any = None  # of tests and of DEBUG: finds statements outside the scope


# The state of the request whose initial() or, for a key, whose handler is running.
current: ContextVar[RequestState | None] = ContextVar("finta_keys_request", default=None)


# The DRF request that is running in a view that accepts keys.
current_request: ContextVar[Any] = ContextVar("finta_keys_current_request", default=None)


# True while code may read rows outside the scope: inside ``unscoped_rows()``, and if the rows are checked afterwards.
may_read_hidden: ContextVar[bool] = ContextVar("finta_keys_may_read_hidden", default=False)


def count_scoping(key: ApiKey) -> None:
    """Note that rows were limited to the scope of the key whose request is running."""
    state = current.get()
    if state is not None and state.key == key:
        state.scoped_count += 1


def http_request(request: Any) -> Any:
    """Return Django's request for one of Django or of Django REST framework."""
    return request.__dict__.get("_request", request)


def state_of(request: Any) -> RequestState:
    """Return the state of a request, made on first use."""
    attributes = request.__dict__.get("_request", request).__dict__
    state: RequestState | None = attributes.get("_finta_keys")
    if state is None:
        state = attributes["_finta_keys"] = RequestState()
    return state


def presented_secrets(request: Any) -> set[Secret]:
    """Return the different secrets in the headers that start like one of ours. They may be malformed."""
    return set(_secrets_by_header(request).values())


def _secrets_by_header(request: Any) -> dict[str, Secret]:
    # The server decodes bytes that are not ASCII as Latin-1, which no secret contains.
    meta, prefix, extra_header = http_request(request).META, conf.prefix(), conf.extra_header()
    secrets = {"HTTP_AUTHORIZATION": _credentials(meta.get("HTTP_AUTHORIZATION", ""))}
    if extra_header:
        secrets[extra_header] = Secret(meta.get(extra_header, "").strip(WHITESPACE))
    return {name: secret for name, secret in secrets.items() if secret.startswith(prefix)}


def _credentials(header: str) -> Secret:
    scheme, _, credentials = header.strip(WHITESPACE).partition(" ")
    return Secret(credentials.strip(WHITESPACE) if scheme.lower() == SCHEME else "")


def hide_headers(request: Any) -> None:
    """Remove the headers that present a key, so that nothing later in the request reads them."""
    django_request = http_request(request)
    state_of(django_request).is_hidden = True
    names = list(_secrets_by_header(django_request))
    for name in names:
        del django_request.META[name]
    django_request.__dict__.pop("headers", None)  # cached from META
    if scope := getattr(django_request, "scope", None):  # of ASGI
        hidden = {name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in names}
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in hidden]


def carries_key(request: Any) -> bool:
    """Return True if a request presents an API key, valid or not. Such a request is never a signed-in person."""
    state = state_of(request)
    return state.key is not None or state.is_hidden or bool(_secrets_by_header(request))


def is_declared(view: type) -> bool:
    """Return True for a view class that is scoped, or marked itself: a mark is not inherited."""
    return getattr(view, "is_scoped", False) or "unscoped_reason" in vars(view)
