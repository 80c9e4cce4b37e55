"""How the tests read the pages of API settings."""

import html
import re
from typing import Any

from django.test import Client
from django.urls import reverse

from finta_keys.secret import pattern


def url(verb: str, key: Any = None) -> str:
    return reverse(f"finta_keys:{verb}", args=[key.pk] if key else [])


def read(response: Any) -> str:
    """What a person reads in an answer: its text without tags, in single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", response.content.decode())).split())


def shown_secret(response: Any) -> str:
    """The one secret in an answer."""
    found = set(re.findall(pattern(), response.content.decode()))
    assert len(found) == 1, f"{len(found)} secrets in the answer"
    return found.pop()


def hidden_fields(response: Any) -> dict[str, str]:
    """What a browser sends back unseen: the nonce, the rotation."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    return {name: html.unescape(value) for name, value in inputs if name != "csrfmiddlewaretoken"}


def submit(browser: Client, address: str, **data: Any) -> Any:
    """Open a page and send its form with ``data``."""
    return browser.post(address, {**hidden_fields(browser.get(address)), **data})


def create(browser: Client, name: str = "Production", **data: Any) -> Any:
    return submit(browser, url("create"), name=name, **(data or {"share_all_accounts": "on"}))
