"""The API as an integration calls it: over HTTP, with a secret."""

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
        """Return the status and the JSON of the response."""
        connection = HTTPConnection(self.host, timeout=10)
        try:
            connection.request("GET", f"/v2{path}", headers={"Authorization": f"Bearer {secret}"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def accepts(self, secret: str) -> bool:
        """Return True if the API accepts a secret. Statuses other than 200 and 401 fail the test."""
        status, _ = self.get("/me", secret)
        assert status in (200, 401)
        return status == 200

    def accounts(self, secret: str) -> set[str]:
        """Return the names of the accounts that a secret can access."""
        status, body = self.get("/accounts?status=all", secret)
        assert status == 200
        return {account["name"] for account in body["accounts"]}

    def hides(self, account: Account, secret: str) -> bool:
        """Return True if the API returns 404 for an account."""
        status, body = self.get(f"/accounts/{account.pk}", secret)
        assert status in (200, 404)
        return status == 404 and body["error"]["code"] == "NOT_FOUND"
