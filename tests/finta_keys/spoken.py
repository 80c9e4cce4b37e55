"""Every page of this app in every state, and the texts that users read or hear."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import time_machine
from django.test import Client
from django.utils import timezone

from accounts_app.models import Account, User
from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import create, hidden_fields, submit, url

Pages = Iterator[tuple[str, Any]]

SPOKEN = ("aria-label", "title", "placeholder", "data-label", "data-mark", "data-account-word", "data-account-words")
INVALID_NAMES = {
    "none": " ",
    "a text direction mark": "xx\u202e",
    "a secret": secret.generate(),
    "101 characters": "x" * 101,
    "long ligatures": "\ufdfa" * 30,
    "taken": "XX-one",
}


class Spoken(HTMLParser):
    """The texts of a page, and their parts outside the marks ⟦ and ⟧."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.unmarked: list[str] = []
        self.depth = 0
        self.silent = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent = tag in ("script", "style")
        values = dict(attrs)
        is_button = tag == "input" and values.get("type") in ("submit", "button", "reset")
        for name in (*SPOKEN, *(["value"] if is_button else [])):
            if values.get(name):
                self.hear(str(values[name]), 0)

    def handle_endtag(self, tag: str) -> None:
        self.silent = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.depth = self.hear(data, self.depth)

    def hear(self, text: str, depth: int) -> int:
        """Record a text. ``depth`` is the nesting of marks at its start; return that at its end."""
        self.texts.append(" ".join(text.split()))
        outside = ""
        for character in text:
            depth += (character == "⟦") - (character == "⟧")
            outside += character if depth == 0 and character != "⟧" else ""
        self.unmarked.append(" ".join(outside.split()))
        return depth


def owners_pages(owner: User, browser: Client) -> Pages:
    """Yield the pages of an owner who starts without accounts and keys."""
    yield "list of none", browser.get(url("list"))
    yield "create without accounts", browser.get(url("create"))
    accounts = [_account(owner, number) for number in range(3)]
    yield "secret", create(browser, "xx-one", accounts=[accounts[0].pk])
    key = ApiKey.objects.get(owner=owner)
    yield "list of one", browser.get(url("list"))
    yield from _invalid(browser, url("create"), accounts)
    yield "create after an hour", _after_an_hour(browser)
    yield from _one_key(browser, key, accounts)
    yield from _stale_scope(browser, key, accounts)
    yield from _already_done(browser, key)
    yield from _many(owner, browser, accounts)


def _account(owner: User, number: int) -> Account:
    return AccountFactory(owner=owner, institution_name="xxbank" if number % 2 else "", name=f"xx-{number}")


def _invalid(browser: Client, address: str, accounts: list[Account]) -> Pages:
    selected = [accounts[0].pk]
    for problem, name in INVALID_NAMES.items():
        yield f"a name: {problem}", submit(browser, address, name=name, accounts=selected)
    yield "no account", submit(browser, address, name="xx-two")
    foreign = AccountFactory(owner=UserFactory())
    yield "account of another user", submit(browser, address, name="xx-two", accounts=[foreign.pk])


def _after_an_hour(browser: Client) -> Any:
    with time_machine.travel(timezone.now() - dt.timedelta(hours=2)):
        fields = hidden_fields(browser.get(url("create")))
    return browser.post(url("create"), {**fields, "name": "xx-late", "share_all_accounts": "on"})


def _one_key(browser: Client, key: ApiKey, accounts: list[Account]) -> Pages:
    actions = ("rename", "edit_scope", "rotate", "delete")
    for action in actions:
        yield f"{action}, of one account", browser.get(url(action, key))
    for name in ("report", "narrow"):
        yield name, browser.get(url(name, key))
    yield "deleted keys", browser.get(url("deleted_keys"))
    yield "rename, refused", submit(browser, url("rename", key), name="")
    yield "edit scope, refused", submit(browser, url("edit_scope", key))
    for action in ("edit_scope", "rotate", "delete"):
        yield f"{action}, incomplete", browser.post(url(action, key))
    key.restrict_to(accounts)
    yield "edit scope, nothing to gain", browser.get(url("edit_scope", key))
    key.share_all()
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now() - dt.timedelta(days=99))
    for action in actions:
        yield f"{action}, of all accounts", browser.get(url(action, key))
    yield "secret, rotated", submit(browser, url("rotate", key))
    for action, data in {"rename": {"name": "xx-one"}, "edit_scope": {"share_all_accounts": "on"}}.items():
        yield f"{action}, done", browser.get(submit(browser, url(action, key), **data).url)


def _stale_scope(browser: Client, key: ApiKey, accounts: list[Account]) -> Pages:
    address = url("edit_scope", key)
    fields = hidden_fields(browser.get(address))
    key.restrict_to(accounts[:1])
    yield "edit scope, stale and wider", browser.post(address, {**fields, "share_all_accounts": "on"})
    key.share_all()
    yield "edit scope, stale and narrower", browser.post(address, {**fields, "accounts": [accounts[0].pk]})


def _already_done(browser: Client, key: ApiKey) -> Pages:
    fields = hidden_fields(browser.get(url("create")))
    data = {**fields, "name": "xx-twice", "share_all_accounts": "on"}
    browser.post(url("create"), data)
    yield "created already", browser.post(url("create"), data)
    twice = ApiKey.objects.get(name="xx-twice")
    for action in ("rotate", "delete"):
        yield f"{action}, done already", browser.post(url(action, key), {"rotation": 0})
    yield "deleted", browser.get(submit(browser, url("delete", twice)).url)
    yield "created already and deleted", browser.post(url("create"), data)
    yield "not found", browser.get(url("rename", twice))


def _many(owner: User, browser: Client, accounts: list[Account]) -> Pages:
    others = [_account(owner, number) for number in range(3, 110)]
    for number, scope in enumerate((accounts[:2], accounts + others[:1], others, None, None)):
        make_key(owner, f"xx-many-{number}", scope)
    gone, _ = make_key(owner, "xx-of-nothing", [AccountFactory(owner=owner, name="xx-gone")])
    Account.objects.get(name="xx-gone").delete()
    yield "list of many", browser.get(url("list"))
    for action in ("edit_scope", "rotate", "delete"):
        yield f"{action}, of accounts that are gone", browser.get(url(action, gone))
        yield f"{action}, of many accounts", browser.get(url(action, ApiKey.objects.get(name="xx-many-2")))
    yield "create with many accounts", browser.get(url("create"))
    yield "list of matches", browser.get(url("list") + "?q=many")
    yield "list without matches", browser.get(url("list") + "?q=nothing+of+this+name")
    Account.objects.filter(owner=owner).delete()
    shares_all = ApiKey.objects.get(name="xx-many-3")
    for action in ("rotate", "delete"):
        yield f"{action}, of all accounts without accounts", browser.get(url(action, shares_all))
    yield "list without accounts", browser.get(url("list"))


def admins_pages(owner: User) -> Pages:
    """Yield the pages of an operator with all permissions on keys and no others."""
    browser, page = admin_pages.operator("view", "add", "change", "delete"), admin_pages.url
    User.objects.filter(is_staff=True).update(email="xx.operator@example.com")
    form = page("create", owner.pk)
    yield "no keys", browser.get(page("changelist"))
    yield "choose owner", browser.get(page("add"))
    for name in ("", "xx-nobody"):
        yield "unknown owner", browser.post(page("add"), {"owner": name})
    accounts = [_account(owner, number) for number in range(2)]
    yield "create", browser.get(form)
    yield "secret", submit(browser, form, name="xx-one", accounts=[accounts[0].pk])
    yield from _invalid(browser, form, accounts)
    key = ApiKey.objects.get(owner=owner)
    data = {**hidden_fields(browser.get(form)), "name": "xx-twice", "share_all_accounts": "on"}
    browser.post(form, data)
    yield "created already", browser.post(form, data)
    ApiKey.objects.get(name="xx-twice").delete()
    yield "created already and deleted", browser.post(form, data)
    yield "no such user", browser.get(page("create", "no-such-user"))
    for action in ("change", "rename", "edit_scope", "rotate", "delete"):
        yield action, browser.get(page(action, key.pk))
    for action in ("rotate", "delete"):
        yield f"{action}, incomplete", browser.post(page(action, key.pk))
    yield "secret, rotated", submit(browser, page("rotate", key.pk))
    for action in ("rotate", "delete"):
        yield f"{action}, done already", browser.post(page(action, key.pk), {"rotation": 0})
    stale = hidden_fields(browser.get(page("edit_scope", key.pk)))
    key.restrict_to([accounts[0]])
    yield "edit scope, stale", browser.post(page("edit_scope", key.pk), {**stale, "share_all_accounts": "on"})
    for data in ({"accounts": [accounts[1].pk]}, {"share_all_accounts": "on"}):
        yield "edited scope", browser.get(submit(browser, page("edit_scope", key.pk), **data).url)
        yield "list", browser.get(page("changelist"))
    yield "renamed", browser.get(submit(browser, page("rename", key.pk), name="xx-renamed").url)
    Account.objects.filter(owner=owner).delete()
    for action in ("change", "rotate", "edit_scope"):
        yield f"{action} without accounts", browser.get(page(action, key.pk))
    yield "history", browser.get(page("history", key.pk))
    yield "deleted", browser.get(submit(browser, page("delete", key.pk)).url)
    yield "not found", browser.get(page("rotate", key.pk))
    User.objects.filter(pk=owner.pk).update(is_active=False)
    yield "a deactivated owner", submit(browser, form, name="xx-two", share_all_accounts="on")


def letters(text: str) -> str:
    """Return a text without test data, numbers and code; empty if no letters remain."""
    data = r"xx[\w.@-]*|finta_\S+|\bUTC\b|Authorization: Bearer( \$API_KEY)?|API_KEY="
    rest = re.sub(data, "", text, flags=re.IGNORECASE)
    return rest if re.search(r"[^\W\d_]", rest) else ""
