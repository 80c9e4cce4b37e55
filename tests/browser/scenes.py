"""Every page and every open dialog, for axe, the layout tests and the screenshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any
from unittest import mock

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts_app.demo import seed
from accounts_app.models import Account, User
from accounts_app.sign_in.confirm_password import SESSION_KEY
from finta_keys import history, list_views
from finta_keys.models import AccountUsage, ApiKey, KeyEvent, KeyUsage, RetiredSecret
from tests.browser.pages import PATH, ApiSettings
from tests.factories import AccountFactory, UserFactory, add_calls

KEYS = {  # name: number of accounts (None for all), hours since creation and last use
    "Production": (None, 24 * 210, 0.05),
    "Budget spreadsheet": (2, 24 * 160, 24 * 3),
    "Old laptop": (1, 24 * 400, 24 * 130),
}
PLACES = ("Production", "Staging", "Laptop", "Phone", "Spreadsheet", "Tax report", "Dashboard", "Backup")
Scene = Callable[["Stage"], Page]
SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    SCENES[function.__name__.replace("_", "-")] = function
    return function


class Stage:
    """An owner with the demo accounts, and their browser page."""

    def __init__(self, open_context: Callable[..., Any], expected: Callable[..., None]) -> None:
        self.open_context = open_context
        self.expected = expected

    @cached_property
    def owner(self) -> User:
        owner = seed.seed_demo(timezone.now().date())[0]
        owner.storage_mode = True
        owner.save()
        return owner

    @cached_property
    def page(self) -> Page:
        page: Page = self.open_context(self.owner).new_page()
        return page

    @cached_property
    def anonymous_page(self) -> Page:
        page: Page = self.open_context().new_page()
        return page

    def keys(self) -> dict[str, ApiKey]:
        """Create three keys of different age and use."""
        accounts = list(Account.objects.filter(owner=self.owner))
        keys = {
            name: self.key(name, accounts[:count] if count else None, created, used)
            for name, (count, created, used) in KEYS.items()
        }
        add_calls(keys["Production"], *(day * 37 % 90 + 30 for day in range(30)))
        add_calls(keys["Budget spreadsheet"], *(12 * (day % 7 == 0) for day in range(27)), 0, 0, 0)
        soon = timezone.now() + dt.timedelta(days=6, hours=1)
        ApiKey.objects.filter(name="Budget spreadsheet").update(read_only=True, expires_at=soon)
        return keys

    @transaction.atomic  # one commit, for speed
    def many_keys(self, count: int) -> None:
        accounts = list(Account.objects.filter(owner=self.owner))
        for number in range(count):
            name = f"{PLACES[number % len(PLACES)]} {number // len(PLACES) + 1}"
            scope = accounts[: number % len(accounts)] or None
            key = self.key(name, scope, 24 * (count - number), number**1.5 if number % 3 else None)
            if number % 3:
                add_calls(key, *((day * number) % 50 for day in range(30)))

    def key(self, name: str, accounts: list[Account] | None, created: float, used: float | None) -> ApiKey:
        key, _ = ApiKey.objects.create_key(owner=self.owner, name=name, accounts=accounts)
        now = timezone.now()
        times = {"created_at": now - dt.timedelta(hours=created)}
        if used is not None:
            times["last_used_at"] = now - dt.timedelta(hours=used)
        ApiKey.objects.filter(pk=key.pk).update(**times)
        return key

    def many_accounts(self, count: int = 14) -> None:
        """Add accounts until there are ``count``."""
        owned = Account.objects.filter(owner=self.owner).count()
        for number in range(count - owned):
            bank = ("Harbor Credit Union", "First Bank", "Wells Fargo")[number % 3]
            AccountFactory(owner=self.owner, institution_name=bank, name=f"Project {number + 1}")

    def five_hundred_accounts(self) -> list[Account]:
        """Add 495 accounts to the five of the demo, and return them."""
        accounts = [AccountFactory.build(owner=self.owner, name=f"Project {number:03}") for number in range(495)]
        return Account.objects.bulk_create(accounts)

    def settings(self) -> ApiSettings:
        """Open API settings with three keys."""
        self.keys()
        return ApiSettings(self.page).open()

    def go(self, path: str, page: Page | None = None) -> Page:
        page = page or self.page
        page.goto(path)
        return page


# The list


@scene
def list_0(stage: Stage) -> Page:
    return stage.go(PATH)


@scene
def list_3(stage: Stage) -> Page:
    return stage.settings().page


@scene
def list_43(stage: Stage) -> Page:
    stage.many_keys(43)
    return stage.go(PATH)


@scene
def list_1000(stage: Stage) -> Page:
    stage.many_keys(1000)
    return stage.go(PATH)


@scene
def list_storage_mode_off(stage: Stage) -> Page:
    stage.keys()
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=False)
    return stage.go(PATH)


@scene
def list_no_matches(stage: Stage) -> Page:
    stage.many_keys(6)
    return stage.go(f"{PATH}?q=nothing+of+this+name")


@scene
def list_attention(stage: Stage) -> Page:
    """The keys that need attention: one is unused, the old secret of another is tried."""
    accounts = list(Account.objects.filter(owner=stage.owner))
    for name in ("Nightly backup", "Tax export", "Accountant", "Importer"):
        stage.key(name, accounts[:3], 24 * 90, 5)
    importer = ApiKey.objects.get(name="Importer")
    add_calls(importer, *(day * 13 % 40 + 4 for day in range(30)))
    importer.rotate()
    now = timezone.now()
    ApiKey.objects.filter(pk=importer.pk).update(rotated_at=now - dt.timedelta(days=3), last_used_at=now)
    RetiredSecret.objects.update(
        tries=14, retired_at=now - dt.timedelta(days=3), last_tried_at=now - dt.timedelta(hours=2)
    )
    RetiredSecret.objects.update(last_network="203.0.113.0/24", last_agent="curl")
    stage.keys()
    return stage.go(f"{PATH}?only=attention&account={accounts[0].pk}")


# Dialogs


@scene
def create(stage: Stage) -> Page:
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=False)
    tab = ApiSettings(stage.page).open()
    tab.click("Create Key")
    tab.name.fill("Production")
    return tab.page


@scene
def create_discard(stage: Stage) -> Page:
    page = create(stage)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog").get_by_text("Discard this draft?")).to_be_visible()
    return page


@scene
def create_no_accounts(stage: Stage) -> Page:
    Account.objects.filter(owner=stage.owner).delete()
    tab = ApiSettings(stage.page).open()
    tab.click("Create Key")
    tab.share_all(False)
    return tab.page


@scene
def create_restricted(stage: Stage) -> Page:
    stage.many_accounts()
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("Tax report")
    tab.share_all(False)
    tab.place.locator("input[name=accounts]").first.check()
    return tab.page


@scene
def create_read_only(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("Tax report")
    tab.place.get_by_label("Read only").check()
    tab.place.get_by_label("Expires").select_option("On a date")
    tab.place.get_by_label("Expiry date").fill("2027-03-31")
    return tab.page


@scene
def duplicate(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Rotate", "Budget spreadsheet")
    tab.place.get_by_role("link", name="Duplicate the key").click()
    expect(tab.place.get_by_role("heading", level=1)).to_contain_text("Duplicate")
    return tab.page


@scene
def delete_all(stage: Stage) -> Page:
    tab = stage.settings()
    tab.page.get_by_role("link", name="Delete all keys").click()
    expect(tab.place.get_by_role("heading", level=1)).to_contain_text("Delete all keys?")
    return tab.page


@scene
def create_error(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("production")
    tab.share_all(False)
    tab.submit("Create Key")
    expect(tab.name).to_have_attribute("aria-invalid", "true")
    return tab.page


@scene
def secret(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("Tax report")
    tab.submit("Create Key")
    tab.secret()
    return tab.page


@scene
def secret_copied(stage: Stage) -> Page:
    page = secret(stage)
    ApiSettings(page).copy()
    return page


@scene
def secret_not_copied(stage: Stage) -> Page:
    page = secret(stage)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    return page


@scene
def rename(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Rename", "Production")
    return tab.page


@scene
def edit_scope(stage: Stage) -> Page:
    tab = stage.settings()
    boxes = tab.click("Edit scope", "Budget spreadsheet").locator("input[name=accounts]")
    boxes.nth(0).uncheck()
    boxes.nth(3).check()
    return tab.page


@scene
def create_500(stage: Stage) -> Page:
    stage.five_hundred_accounts()
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("Tax report")
    tab.share_all(False)
    return tab.page


@scene
def edit_scope_14(stage: Stage) -> Page:
    stage.many_accounts()
    return edit_scope(stage)


@scene
def edit_scope_many(stage: Stage) -> Page:
    """The second page of 500 accounts, with a change on each page."""
    stage.key("Wide", stage.five_hundred_accounts()[:50], 24, 1)
    tab = ApiSettings(stage.page).open()
    tab.click("Edit scope", "Wide")
    tab.place.get_by_role("checkbox", name="Project 000").uncheck()
    tab.place.get_by_role("button", name="Next").click()
    tab.place.get_by_role("checkbox", name="Project 149").check()
    return tab.page


@scene
def rotate(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Rotate", "Budget spreadsheet")
    return tab.page


@scene
def rotate_secret(stage: Stage) -> Page:
    tab = ApiSettings(rotate(stage))
    tab.submit("Rotate")
    tab.secret()
    return tab.page


@scene
def delete(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Delete", "Old laptop")
    return tab.page


@scene
def no_response(stage: Stage) -> Page:
    stage.expected("ERR_INTERNET_DISCONNECTED")
    tab = ApiSettings(delete(stage))
    tab.page.context.set_offline(True)
    tab.submit("Delete")
    expect(tab.place.get_by_role("alert")).to_contain_text("did not respond")
    return tab.page


@scene
def key_not_found(stage: Stage) -> Page:
    stage.expected(404)
    tab = ApiSettings(delete(stage))
    ApiKey.objects.filter(name="Old laptop").delete()
    tab.submit("Delete")
    expect(tab.place).to_contain_text("It may have been deleted")
    return tab.page


@scene
def already_done(stage: Stage) -> Page:
    stage.expected(409)
    tab = ApiSettings(rotate(stage))
    ApiKey.objects.get(name="Budget spreadsheet").rotate()
    tab.submit("Rotate")
    expect(tab.place).to_contain_text("already done")
    return tab.page


# The same as pages


@scene
def create_page(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/new")


@scene
def secret_page(stage: Stage) -> Page:
    tab = ApiSettings(create_page(stage), scripting=False)
    tab.name.fill("Tax report")
    tab.submit("Create Key")
    tab.secret()
    return tab.page


@scene
def rename_page(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/{stage.keys()['Production'].pk}/rename")


@scene
def edit_scope_page(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/{stage.keys()['Budget spreadsheet'].pk}/edit-scope")


@scene
def rotate_page(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/{stage.keys()['Production'].pk}/rotate")


@scene
def delete_page(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/{stage.keys()['Production'].pk}/delete")


@scene
def edit_scope_wide(stage: Stage) -> Page:
    """The dialog of a key that shares all accounts and used two."""
    tab = stage.settings()
    use(ApiKey.objects.get(name="Production"))
    tab.click("Edit scope", "Production")
    return tab.page


@scene
def key(stage: Stage) -> Page:
    """A key with a history, use and a retired secret that is tried."""
    key = stage.keys()["Production"]
    with history.acting(user=stage.owner):
        key.rename("YNAB importer")
        key.edit_scope(accounts=list(Account.objects.filter(owner=stage.owner)[:2]))
        key.rotate()
    KeyEvent.objects.filter(actor="person").update(address="198.51.100.24")
    RetiredSecret.objects.update(
        tries=14, last_tried_at=timezone.now(), last_network="203.0.113.0/24", last_agent="curl"
    )
    return stage.go(f"{PATH}/keys/{key.pk}")


@scene
def key_unused(stage: Stage) -> Page:
    return stage.go(f"{PATH}/keys/{stage.keys()['Old laptop'].pk}")


@scene
def report(stage: Stage) -> Page:
    key = stage.keys()["Production"]
    use(key)
    Account.objects.filter(owner=stage.owner).order_by("-name")[0].delete()
    return stage.go(f"{PATH}/keys/{key.pk}/report")


@scene
def deleted_keys(stage: Stage) -> Page:
    for key in stage.keys().values():
        key.delete()
    return stage.go(f"{PATH}/keys/deleted")


def use(key: ApiKey) -> None:
    """Count requests from two networks, and responses for two accounts, in the last days."""
    now = timezone.now()
    for number, (source, agent) in enumerate([("203.0.113.0/24", "python-requests"), ("2001:db8:1::/48", "curl")]):
        at = now - dt.timedelta(days=number, hours=2)
        times = {"day": at.date(), "first_at": at, "last_at": at}
        KeyUsage.objects.create(
            key_id=key.pk, source=source, agent=agent, requests=1240, reads=1200, writes=8, refused=32, **times
        )
        account = key.scoped(Account.objects.order_by("name"))[number]
        AccountUsage.objects.create(key_id=key.pk, account_id=str(account.pk), responses=600, **times)


# Pages of the site


@scene
def account_menu(stage: Stage) -> Page:
    User.objects.filter(pk=stage.owner.pk).update(is_staff=True)
    page = stage.go(PATH)
    page.get_by_role("button", name="Account menu").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return page


@scene
def accounts_empty(stage: Stage) -> Page:
    page: Page = stage.open_context(UserFactory(email="new.owner@example.com")).new_page()
    return stage.go("/accounts", page)


@scene
def accounts_many(stage: Stage) -> Page:
    stage.many_accounts()
    stage.keys()
    return stage.go("/accounts")


@scene
def accounts_500(stage: Stage) -> Page:
    stage.five_hundred_accounts()
    stage.keys()
    return stage.go("/accounts")


@scene
def account_add(stage: Stage) -> Page:
    page = stage.go("/accounts")
    page.get_by_role("link", name="Add account").click()
    page.get_by_role("dialog").get_by_role("button", name="Add account").click()
    expect(page.get_by_role("dialog").locator("[aria-invalid=true]").first).to_be_visible()
    return page


@scene
def account_edit(stage: Stage) -> Page:
    return _open_from_accounts(stage, "edit")


@scene
def account_edit_conflict(stage: Stage) -> Page:
    page = _open_from_accounts(stage, "edit", current_balance="120.5")
    Account.objects.filter(name="Petty cash").update(name="Wallet", current_balance="80")
    page.get_by_label("Name").fill("Cash at home")
    stage.expected(409)
    page.get_by_label("Balance", exact=True).fill("95")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("Nothing was saved")
    return page


@scene
def account_close(stage: Stage) -> Page:
    return _open_from_accounts(stage, "close")


@scene
def account_delete(stage: Stage) -> Page:
    stage.keys()
    return _open_from_accounts(stage, "delete", status="closed", closed_at=timezone.now())


def _open_from_accounts(stage: Stage, action: str, **fields: Any) -> Page:
    AccountFactory(owner=stage.owner, provider="manual", institution_name="", name="Petty cash", mask="", **fields)
    page = stage.go("/accounts")
    page.get_by_role("link", name=f"{action.capitalize()} Petty cash").click()
    expect(page.get_by_role("dialog")).to_contain_text("Petty cash")
    return page


@scene
def api_docs(stage: Stage) -> Page:
    stage.keys()
    return stage.go("/v2/docs")


@scene
def data_settings(stage: Stage) -> Page:
    stage.keys()
    return stage.go("/settings/data")


@scene
def data_settings_off(stage: Stage) -> Page:
    User.objects.filter(pk=stage.owner.pk).update(storage_mode=False)
    return stage.go("/settings/data")


@scene
def storage_mode_off(stage: Stage) -> Page:
    page = data_settings(stage)
    page.get_by_role("link", name="Switch off").click()
    expect(page.get_by_role("dialog")).to_contain_text("Switch Storage Mode off?")
    return page


@scene
def sign_in(stage: Stage) -> Page:
    return stage.go("/login", stage.anonymous_page)


@scene
def sign_in_error(stage: Stage) -> Page:
    page = sign_in(stage)
    page.get_by_label("E-mail").fill("dana@example.com")
    page.get_by_label("Password").fill("a guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("main")).to_contain_text("no user with this e-mail and password")
    return page


@scene
def password_change(stage: Stage) -> Page:
    return stage.go("/password/change")


@scene
def confirm_password(stage: Stage) -> Page:
    expire_confirmation(stage.page.context)
    return stage.go(f"{PATH}/keys/new")


@scene
def confirm_password_error(stage: Stage) -> Page:
    tab = stage.settings()
    tab.click("Create Key")
    tab.name.fill("Tax report")
    expire_confirmation(stage.page.context)
    tab.submit("Create Key")
    tab.place.get_by_role("textbox", name="Password").fill("a guess")
    tab.submit("Continue")
    expect(tab.place).to_contain_text("Wrong password")
    return tab.page


def expire_confirmation(context: BrowserContext) -> None:
    """Make the last password confirmation of this session too old."""
    keys = [cookie["value"] for cookie in context.cookies() if cookie["name"] == settings.SESSION_COOKIE_NAME]
    session = import_module(settings.SESSION_ENGINE).SessionStore(keys[0])
    session[SESSION_KEY] = 0
    session.save()


@scene
def password_reset(stage: Stage) -> Page:
    return stage.go("/password/reset", stage.anonymous_page)


@scene
def password_reset_sent(stage: Stage) -> Page:
    return stage.go("/password/reset/sent", stage.anonymous_page)


@scene
def password_reset_bad_link(stage: Stage) -> Page:
    return stage.go("/password/reset/x/y", stage.anonymous_page)


# Errors


@scene
def error_403_csrf(stage: Stage) -> Page:
    stage.expected(403)
    page = stage.go("/settings/data")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("main")).to_contain_text("Nothing was changed")
    return page


@scene
def error_404(stage: Stage) -> Page:
    stage.expected(404)
    return stage.go("/no/such/page")


@scene
def error_404_anonymous(stage: Stage) -> Page:
    stage.expected(404)
    return stage.go("/no/such/page", stage.anonymous_page)


@scene
def error_429(stage: Stage) -> Page:
    stage.expected(429)
    full, wait = {"return_value": False}, {"return_value": 240}
    with mock.patch("accounts_app.limiter.hit", **full), mock.patch("accounts_app.limiter.retry_after", **wait):
        page = sign_in(stage)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("main")).to_contain_text("Too many attempts")
    return page


@scene
def error_500(stage: Stage) -> Page:
    stage.expected(500)
    with mock.patch.object(list_views.KeyListView, "get_queryset", side_effect=RuntimeError("made up")):
        return stage.go(PATH)


@scene
def error_503(stage: Stage) -> Page:
    stage.expected(503)
    with mock.patch.object(list_views.KeyListView, "get_queryset", side_effect=OperationalError("made up")):
        return stage.go(PATH)
