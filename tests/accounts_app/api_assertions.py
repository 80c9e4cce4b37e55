"""What the tests of the API have in common."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

EVERY_METHOD = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW")
NOT_COMPARED = {"date", "x-request-id"}
UNAUTHORIZED = {"error": "Missing or invalid Authorization header"}


def wire(response: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return what of an answer a caller can compare with another."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return response.status_code, response.content, {k: v for k, v in headers.items() if k not in NOT_COMPARED}


def assert_indistinguishable(
    client: Any, *urls: str, methods: tuple[str, ...] = EVERY_METHOD, same_queries: bool = True, **request: Any
) -> None:
    """The answers to these URLs are equal to the byte, method by method, and cost equally many queries."""
    for method in methods:
        seen = [
            (wire(response), count) for response, count in (counted(client, method, url, **request) for url in urls)
        ]
        for url, (answer, count) in zip(urls[1:], seen[1:], strict=True):
            assert answer == seen[0][0], f"{method} {url} differs from {urls[0]}"
            assert count == seen[0][1] or not same_queries, f"{method} {url}: {count} queries, not {seen[0][1]}"


def counted(client: Any, method: str, url: str, **request: Any) -> tuple[Any, int]:
    """Return the answer and the number of queries that it took."""
    with CaptureQueriesContext(connection) as queries:
        response = client.generic(method, url, **request)
    return response, len(queries)


def assert_error(response: Any, status: int, code: str, about: str = "") -> None:
    """The answer is an error with exactly the envelope, and its message begins with the field that it is about."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    assert body["error"]["message"].startswith(about), body
    assert body["error"]["message"][-1] in ".!"


def assert_unauthorized(response: Any) -> None:
    assert response.status_code == 401
    assert response.json() == UNAUTHORIZED
    assert response["WWW-Authenticate"] == "Bearer"


def manual_account(**fields: Any) -> dict[str, Any]:
    """Return the least body that creates an account, and what is added to it."""
    return {"name": "Wallet", "type": "cash", "currency": "EUR", "currentBalance": 12.5, **fields}


def account_url(pk: Any = None) -> str:
    """Return the URL of an account, by default of one that never existed."""
    return f"/v2/accounts/{pk or uuid4()}"
