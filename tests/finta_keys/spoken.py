"""Every page of this app in every state, and what a person reads or hears of it."""

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
BAD_NAMES = {
    "none": " ",
    "a text direction mark": "xx\u202e",
    "a secret": secret.generate(),
    "101 characters": "x" * 101,
    "long ligatures": "\ufdfa" * 30,
    "taken": "XX-one",
}


class Spoken(HTMLParser):
    """The texts of a page, and what of them stands outside of the marks ⟦ and ⟧."""

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
        pressed = tag == "input" and values.get("type") in ("submit", "button", "reset")
        for name in (*SPOKEN, *(["value"] if pressed else [])):
            if values.get(name):
                self.hear(str(values[name]), 0)

    def handle_endtag(self, tag: str) -> None:
        self.silent = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.depth = self.hear(data, self.depth)

    def hear(self, text: str, depth: int) -> int:
        """Take in a text that begins so deep within marks, and return how deep it ends."""
        self.texts.append(" ".join(text.split()))
        outside = ""
        for character in text:
            depth += (character == "⟦") - (character == "⟧")
            outside += character if depth == 0 and character != "⟧" else ""
        self.unmarked.append(" ".join(outside.split()))
        return depth


def owners_pages(owner: User, browser: Client) -> Pages:
    """Walk through the pages of an owner who begins with nothing."""
    yield "list of none", browser.get(url("list"))
    yield "create without accounts", browser.get(url("create"))
    accounts = [_account(owner, number) for number in range(3)]
    yield "secret", create(browser, "xx-one", accounts=[accounts[0].pk])
    key = ApiKey.objects.get(owner=owner)
    yield "list of one", browser.get(url("list"))
    yield from _refused(browser, url("create"), accounts)
    yield "create after an hour", _after_an_hour(browser)
    yield from _one_key(browser, key, accounts)
    yield from _done_already(browser, key)
    yield from _many(owner, browser, accounts)


def _account(owner: User, number: int) -> Account:
    return AccountFactory(owner=owner, institution_name="xxbank" if number % 2 else "", name=f"xx-{number}")


def _refused(browser: Client, address: str, accounts: list[Account]) -> Pages:
    chosen = [accounts[0].pk]
    for what, name in BAD_NAMES.items():
        yield f"a name: {what}", submit(browser, address, name=name, accounts=chosen)
    yield "no account", submit(browser, address, name="xx-two")
    foreign = AccountFactory(owner=UserFactory())
    yield "somebody else's account", submit(browser, address, name="xx-two", accounts=[foreign.pk])


def _after_an_hour(browser: Client) -> Any:
    with time_machine.travel(timezone.now() - dt.timedelta(hours=2)):
        fields = hidden_fields(browser.get(url("create")))
    return browser.post(url("create"), {**fields, "name": "xx-late", "share_all_accounts": "on"})


def _one_key(browser: Client, key: ApiKey, accounts: list[Account]) -> Pages:
    verbs = ("rename", "edit_scope", "rotate", "delete")
    for verb in verbs:
        yield f"{verb}, of one account", browser.get(url(verb, key))
    yield "rename, refused", submit(browser, url("rename", key), name="")
    yield "edit scope, refused", submit(browser, url("edit_scope", key))
    for verb in ("rotate", "delete"):
        yield f"{verb}, incomplete", browser.post(url(verb, key))
    key.restrict_to(accounts)
    yield "edit scope, nothing to gain", browser.get(url("edit_scope", key))
    key.share_all()
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now() - dt.timedelta(days=99))
    for verb in verbs:
        yield f"{verb}, of all accounts", browser.get(url(verb, key))
    yield "secret, rotated", submit(browser, url("rotate", key))
    for verb, data in {"rename": {"name": "xx-one"}, "edit_scope": {"share_all_accounts": "on"}}.items():
        yield f"{verb}, done", browser.get(submit(browser, url(verb, key), **data).url)


def _done_already(browser: Client, key: ApiKey) -> Pages:
    fields = hidden_fields(browser.get(url("create")))
    sent = {**fields, "name": "xx-twice", "share_all_accounts": "on"}
    browser.post(url("create"), sent)
    yield "created already", browser.post(url("create"), sent)
    twice = ApiKey.objects.get(name="xx-twice")
    for verb in ("rotate", "delete"):
        yield f"{verb}, done already", browser.post(url(verb, key), {"rotation": 0})
    yield "deleted", browser.get(submit(browser, url("delete", twice)).url)
    yield "created already and deleted", browser.post(url("create"), sent)
    yield "not found", browser.get(url("rename", twice))


def _many(owner: User, browser: Client, accounts: list[Account]) -> Pages:
    more = [_account(owner, number) for number in range(3, 110)]
    for number, chosen in enumerate((accounts[:2], accounts + more[:1], more, None, None)):
        make_key(owner, f"xx-many-{number}", chosen)
    gone, _ = make_key(owner, "xx-of-nothing", [AccountFactory(owner=owner, name="xx-gone")])
    Account.objects.get(name="xx-gone").delete()
    yield "list of many", browser.get(url("list"))
    for verb in ("edit_scope", "rotate", "delete"):
        yield f"{verb}, of accounts that are gone", browser.get(url(verb, gone))
        yield f"{verb}, of many accounts", browser.get(url(verb, ApiKey.objects.get(name="xx-many-2")))
    yield "create with many accounts", browser.get(url("create"))
    yield "list of those found", browser.get(url("list") + "?q=many")
    yield "list of nothing found", browser.get(url("list") + "?q=nothing+of+this+name")
    Account.objects.filter(owner=owner).delete()
    shares_all = ApiKey.objects.get(name="xx-many-3")
    for verb in ("rotate", "delete"):
        yield f"{verb}, of all accounts where there is none", browser.get(url(verb, shares_all))
    yield "list without accounts", browser.get(url("list"))


def admins_pages(owner: User) -> Pages:
    """Walk through the pages of an operator who may do all to keys, and nothing else."""
    browser, page = admin_pages.operator("view", "add", "change", "delete"), admin_pages.url
    User.objects.filter(is_staff=True).update(email="xx.operator@example.com")
    form = page("create", owner.pk)
    yield "no keys", browser.get(page("changelist"))
    yield "whose?", browser.get(page("add"))
    for name in ("", "xx-nobody"):
        yield "nobody's", browser.post(page("add"), {"owner": name})
    accounts = [_account(owner, number) for number in range(2)]
    yield "create", browser.get(form)
    yield "secret", submit(browser, form, name="xx-one", accounts=[accounts[0].pk])
    yield from _refused(browser, form, accounts)
    key = ApiKey.objects.get(owner=owner)
    sent = {**hidden_fields(browser.get(form)), "name": "xx-twice", "share_all_accounts": "on"}
    browser.post(form, sent)
    yield "created already", browser.post(form, sent)
    ApiKey.objects.get(name="xx-twice").delete()
    yield "created already and deleted", browser.post(form, sent)
    yield "no such user", browser.get(page("create", "no-such-user"))
    for verb in ("change", "rename", "edit_scope", "rotate", "delete"):
        yield verb, browser.get(page(verb, key.pk))
    for verb in ("rotate", "delete"):
        yield f"{verb}, incomplete", browser.post(page(verb, key.pk))
    yield "secret, rotated", submit(browser, page("rotate", key.pk))
    for verb in ("rotate", "delete"):
        yield f"{verb}, done already", browser.post(page(verb, key.pk), {"rotation": 0})
    for data in ({"accounts": [accounts[1].pk]}, {"share_all_accounts": "on"}):
        yield "edited scope", browser.get(submit(browser, page("edit_scope", key.pk), **data).url)
        yield "list", browser.get(page("changelist"))
    yield "renamed", browser.get(submit(browser, page("rename", key.pk), name="xx-renamed").url)
    Account.objects.filter(owner=owner).delete()
    for verb in ("change", "rotate", "edit_scope"):
        yield f"{verb} without accounts", browser.get(page(verb, key.pk))
    yield "history", browser.get(page("history", key.pk))
    yield "deleted", browser.get(submit(browser, page("delete", key.pk)).url)
    yield "not found", browser.get(page("rotate", key.pk))
    User.objects.filter(pk=owner.pk).update(is_active=False)
    yield "a deactivated owner", submit(browser, form, name="xx-two", share_all_accounts="on")


def letters(text: str) -> str:
    """Return a text without what is data of these pages, numbers, and what programs are told; empty for no letters."""
    data = r"xx[\w.@-]*|finta_\S+|\bUTC\b|Authorization: Bearer|API_KEY="
    rest = re.sub(data, "", text, flags=re.IGNORECASE)
    return rest if re.search(r"[^\W\d_]", rest) else ""
