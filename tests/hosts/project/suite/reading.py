"""Helpers that read pages and call the API."""

import html
import re
from typing import Any
from urllib.parse import quote

from django.test import Client
from django.urls import reverse

from finta_keys.secret import pattern
from finta_keys.testing import key_client


def url(verb: str, *args: Any) -> str:
    return reverse(f"finta_keys:{verb}", args=args)


def admin_url(page: str, *args: Any) -> str:
    return reverse(f"admin:finta_keys_apikey_{page}", args=args)


def secret_in(response: Any) -> str:
    secrets = set(re.findall(pattern("shop_"), response.content.decode()))
    assert len(secrets) == 1, (response.status_code, len(secrets))
    return secrets.pop()


def submit(browser: Client, address: str, **data: Any) -> Any:
    """Open a page and submit its form with ``data`` and its hidden fields."""
    page = browser.get(address)
    assert page.status_code == 200, (address, page.status_code)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    return browser.post(address, {**{name: html.unescape(value) for name, value in hidden}, **data})


def ticked(page: Any) -> set[str]:
    """Return the selected accounts."""
    boxes = re.findall(r'<input type="checkbox" name="accounts" value="([^"]*)"([^>]*)>', page.content.decode())
    return {html.unescape(value) for value, attributes in boxes if " checked" in attributes}


def api(name: str, *keys: Any) -> str:
    """Return the path of a list or a row."""
    return "/api/" + "".join(f"{part}/" for part in (name, *(quote(str(key), safe="") for key in keys)))


def seen(secret: str, name: str = "shops") -> list[str]:
    """Return the ids of the listed rows for a secret."""
    response = key_client(secret).get(api(name))
    assert response.status_code == 200, response.content
    return [str(row["id"]) for row in response.json()]


def keys_of(rows: Any) -> list[str]:
    return [str(row.pk) for row in rows]
