"""Helpers that read and submit the pages of API settings."""

import html
import re
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from django.urls import reverse

from finta_keys.secret import pattern


def url(name: str, key: Any = None) -> str:
    return reverse(f"finta_keys:{name}", args=[key.pk] if key else [])


def read(response: Any) -> str:
    """Return the text of a response without tags, in single spaces."""
    source = response.content.decode().replace("><", "> <")
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", source)).split())


def shown_secret(response: Any) -> str:
    """Return the only secret in a response."""
    secrets = set(re.findall(pattern(), response.content.decode()))
    assert len(secrets) == 1, f"{len(secrets)} secrets in the response"
    return secrets.pop()


def hidden_fields(response: Any) -> dict[str, str]:
    """Return the hidden fields of a form, such as the nonce or the rotation."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    return {name: html.unescape(value) for name, value in inputs if name != "csrfmiddlewaretoken"}


class FormParser(HTMLParser):
    """The fields that a browser sends for a page: hidden fields, texts, and boxes that are checked."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_off = values.get("type") in ("checkbox", "radio", "submit") and "checked" not in values
        if tag == "input" and values.get("name") and not is_off:
            self.fields.setdefault(str(values["name"]), []).append(
                values.get("value") or ("on" if "checked" in values else "")
            )


def fields(response: Any) -> dict[str, list[str]]:
    """Return the fields that a browser sends for a form."""
    return FormParser(response.content.decode()).fields


def submit(browser: Client, address: str, **data: Any) -> Any:
    """Open a page and submit its form with ``data``."""
    return browser.post(address, {**hidden_fields(browser.get(address)), **data})


def create(browser: Client, name: str = "Production", **data: Any) -> Any:
    return submit(browser, url("create"), name=name, **(data or {"share_all_accounts": "on"}))
