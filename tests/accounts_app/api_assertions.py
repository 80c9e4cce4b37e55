"""Helpers for tests of the API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

UNAUTHORIZED = {"error": "Missing or invalid Authorization header"}


def count_queries(client: Any, method: str, url: str, **request: Any) -> tuple[Any, int]:
    """Return the response and the number of queries."""
    with CaptureQueriesContext(connection) as queries:
        response = client.generic(method, url, **request)
    return response, len(queries)


def assert_error(response: Any, status: int, code: str, about: str = "") -> None:
    """Check status, code and the start of the message, which names the field."""
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
    """Return the smallest body that creates an account, with these fields added."""
    return {"name": "Wallet", "type": "cash", "currency": "EUR", "currentBalance": 12.5, **fields}


def account_url(pk: Any = None) -> str:
    """Return the URL of an account, by default of a missing one."""
    return f"/v2/accounts/{pk or uuid4()}"
