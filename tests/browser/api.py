"""The API as an integration calls it: over HTTP, with nothing but a secret."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from accounts_app.models import Account


class Api:
    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc

    def get(self, path: str, secret: str) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        connection = HTTPConnection(self.host, timeout=10)
        try:
            connection.request("GET", f"/v2{path}", headers={"Authorization": f"Bearer {secret}"})
            answer = connection.getresponse()
            return answer.status, json.load(answer)
        finally:
            connection.close()

    def accepts(self, secret: str) -> bool:
        """Tell whether a secret is good: 200 if so, 401 if not. Any other answer is an ``AssertionError``."""
        status, _ = self.get("/me", secret)
        assert status in (200, 401)
        return status == 200

    def accounts(self, secret: str) -> set[str]:
        """Return the names of the accounts that a secret opens."""
        status, body = self.get("/accounts?status=all", secret)
        assert status == 200
        return {account["name"] for account in body["accounts"]}

    def hides(self, account: Account, secret: str) -> bool:
        """Tell whether an account is not there for a secret."""
        status, body = self.get(f"/accounts/{account.pk}", secret)
        assert status in (200, 404)
        return status == 404 and body["error"]["code"] == "NOT_FOUND"
