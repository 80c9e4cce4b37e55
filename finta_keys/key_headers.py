"""Read and remove the request headers that present an API key."""

from __future__ import annotations

from typing import Any

from finta_keys import conf
from finta_keys.request_state import http_request, state_of
from finta_keys.secret import Secret

SCHEME = "bearer"
WHITESPACE = " \t"  # as HTTP defines it; str.strip() removes more characters of Latin-1


def presented_secrets(request: Any) -> set[Secret]:
    """Return the distinct values in the headers that start with our prefix. They may be
    malformed."""
    return set(_secrets_by_header(request).values())


def _secrets_by_header(request: Any) -> dict[str, Secret]:
    # The server decodes bytes that are not ASCII as Latin-1, which no secret contains.
    meta, prefix, extra_header = http_request(request).META, conf.prefix(), conf.extra_header()
    secrets = {}
    if (secret := _credentials(meta.get("HTTP_AUTHORIZATION", ""))).startswith(prefix):
        secrets["HTTP_AUTHORIZATION"] = secret
    if extra_header and (secret := Secret(meta.get(extra_header, "").strip(WHITESPACE))).startswith(prefix):
        secrets[extra_header] = secret
    return secrets


def _credentials(header: str) -> Secret:
    scheme, _, credentials = header.strip(WHITESPACE).partition(" ")
    return Secret(credentials.strip(WHITESPACE) if scheme.lower() == SCHEME else "")


def hide_headers(request: Any) -> None:
    """Remove the headers that present a key, so that nothing later in the request reads them."""
    django_request = http_request(request)
    state_of(django_request).headers_removed = True
    names = list(_secrets_by_header(django_request))
    for name in names:
        del django_request.META[name]
    django_request.__dict__.pop("headers", None)  # cached from META
    if scope := getattr(django_request, "scope", None):  # of ASGI
        hidden = {name.removeprefix("HTTP_").replace("_", "-").lower().encode() for name in names}
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in hidden]


def carries_key(request: Any) -> bool:
    """Return True if a request presents an API key, valid or not, or did before it was removed.

    Outside Django REST framework, such a request is no signed-in person, even if it has a ``user``.
    """
    state = state_of(request)
    return state.key is not None or state.headers_removed or bool(_secrets_by_header(request))
