"""Create Key and Edit scope with more accounts than one page shows, without JavaScript."""

import json

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts_app.models import Account
from finta_keys import owners
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.factories import AccountFactory
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import fields, read, shown_secret, url

COUNT = 210


def number_accounts(owner, count):
    """Create accounts whose names sort in the order of their numbers."""
    return Account.objects.bulk_create(
        AccountFactory.build(owner=owner, institution_name="Bank", name=f"Number {number:04}", mask="")
        for number in range(count)
    )


@pytest.fixture
def many(alice):
    return number_accounts(alice, COUNT)


class Tab:
    """A page that is open in a browser without JavaScript."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        self.response = browser.get(address)
        self.fields = fields(self.response)

    def tick(self, *accounts):
        self.fields["accounts"] = [*self.fields.get("accounts", []), *(str(account.pk) for account in accounts)]

    def untick(self, *accounts):
        pks = {str(account.pk) for account in accounts}
        assert pks <= set(self.fields["accounts"])
        self.fields["accounts"] = [pk for pk in self.fields["accounts"] if pk not in pks]

    def press(self, **button):
        self.response = self.browser.post(self.address, {**self.fields, **button})
        if button:
            assert self.response.status_code == 200
            self.fields = fields(self.response)
        return self.response

    def turn(self, page):
        return self.press(turn=page)

    def restrict(self):
        self.fields.pop("share_all_accounts", None)


@pytest.fixture(params=["owner", pytest.param("operator", marks=pytest.mark.thorough)])
def browser(request, alices_browser, db):
    return alices_browser if request.param == "owner" else admin_pages.operator()


@pytest.fixture
def addresses(request, browser, alice, alices_browser):
    """Return a function that returns the address of Edit scope, or of Create Key without a key."""

    def address(key=None):
        if browser is alices_browser:
            return url("edit_scope", key) if key else url("create")
        return admin_pages.url("edit_scope", key.pk) if key else admin_pages.url("create", alice.pk)

    return address


def scope(key):
    return set(key.scope_rows.values_list("account_id", flat=True))


def pks(accounts):
    return {account.pk for account in accounts}


def test_create_selects_accounts_of_several_pages(browser, addresses, many):
    tab = Tab(browser, addresses())
    tab.fields["name"] = "Chosen"
    tab.restrict()
    tab.tick(many[0], many[99])
    tab.turn(2)
    tab.tick(many[100])
    tab.turn(3)
    tab.tick(many[209])
    secret = shown_secret(tab.press())
    key = ApiKey.objects.authenticate(secret)
    assert key.name == "Chosen"
    assert scope(key) == pks([many[0], many[99], many[100], many[209]])


def test_all_accounts_fit_into_default_field_limit(alice, browser, addresses, settings):
    assert settings.DATA_UPLOAD_MAX_NUMBER_FIELDS == 1_000
    many = number_accounts(alice, 1_001)
    tab = Tab(browser, addresses())
    tab.fields["name"] = "All of them"
    tab.restrict()
    tab.turn("all")
    key = ApiKey.objects.authenticate(shown_secret(tab.press()))
    assert not key.share_all_accounts
    assert scope(key) == pks(many)


@pytest.mark.rule("K5")
def test_edit_scope_keeps_accounts_of_other_pages(alice, browser, addresses, many):
    key, _ = make_key(alice, "Wide", many[:205])
    tab = Tab(browser, addresses(key))
    tab.untick(many[0])
    tab.turn(2)
    tab.untick(many[100])
    tab.turn(3)
    tab.tick(many[205])
    with key.locked() as current:
        current.add_to_scope(many[209])
    assert tab.press().status_code == 302
    assert scope(key) == pks([*many[1:100], *many[101:206], many[209]])


def test_returning_to_a_page_shows_its_changes(alice, browser, addresses, many):
    key, _ = make_key(alice, "Wide", many[:150])
    tab = Tab(browser, addresses(key))
    tab.untick(many[7])
    tab.turn(2)
    assert f"149 of {COUNT} selected" in read(tab.response)
    tab.tick(many[199])
    tab.turn(1)
    assert set(tab.fields["accounts"]) == {str(pk) for pk in pks(many[:100]) - {many[7].pk}}
    tab.tick(many[7])
    tab.turn(2)
    tab.untick(many[199])
    tab.press()
    assert scope(key) == pks(many[:150])


@pytest.mark.thorough
@pytest.mark.parametrize("turn", ["", "all", "none", "2", "-1", "x", "9" * 5_000, "\0"])
def test_turning_saves_nothing(alice, browser, addresses, many, turn):
    key, _ = make_key(alice, "Narrow", many[:2])
    before = ApiKey.objects.filter(pk=key.pk).values().get()
    for address in (addresses(), addresses(key)):
        tab = Tab(browser, address)
        tab.fields["name"] = " "
        tab.tick(many[5])
        assert "errorlist" not in tab.turn(turn).content.decode()
    assert ApiKey.objects.filter(pk=key.pk).values().get() == before
    assert scope(key) == pks(many[:2])
    assert ApiKey.objects.count() == 1


def test_search_finds_accounts_of_all_pages(alice, browser, addresses, many):
    key, _ = make_key(alice, "Narrow", many[:2])
    tab = Tab(browser, addresses(key))
    tab.fields["find"] = "ＢＡＮＫ 20"
    page = tab.turn(1).content.decode()
    assert page.count('type="checkbox" name="accounts"') == 12  # 0020, 0120 and 0200 to 0209
    tab.turn("all")
    tab.press()
    assert scope(key) == pks([*many[:2], many[20], many[120], *many[200:]])
    tab = Tab(browser, addresses(key))
    tab.fields["find"] = "20"
    tab.turn("none")
    tab.press()
    assert scope(key) == pks(many[:2])


def test_search_without_match_says_so(browser, addresses, many):
    tab = Tab(browser, addresses())
    tab.fields["find"] = "no such account"
    assert "No account has this name." in read(tab.turn(1))


def test_search_says_which_accounts_it_missed(monkeypatch, browser, addresses, many):
    monkeypatch.setattr("finta_keys.account_pages.MAX_SEARCHED", 100)
    tab = Tab(browser, addresses())
    tab.fields["find"] = "Number 0100"
    page = read(tab.turn(1))
    assert "No account has this name." in page
    assert "Only the first 100 accounts are searched." in page
    tab.fields["find"] = "Number 0099"
    assert tab.turn(1).content.decode().count('type="checkbox" name="accounts"') == 1


@pytest.mark.rule("S2")
def test_empty_selection_of_all_pages_is_rejected(alice, browser, addresses, many):
    key, _ = make_key(alice, "Wide", many[:150])
    tab = Tab(browser, addresses(key))
    tab.turn("none")
    assert f"0 of {COUNT} selected" in read(tab.response)
    assert "Select at least one account" in read(tab.press())
    assert scope(key) == pks(many[:150])


@pytest.mark.rule("K5")
def test_turned_form_keeps_its_scope_counter(alice, browser, addresses, many):
    key, _ = make_key(alice, "Wide", many[:150])
    tab = Tab(browser, addresses(key))
    tab.tick(many[199])
    key.restrict_to(many[:1])
    tab.turn(2)
    tab.tick(many[198])
    response = tab.press()
    assert response.status_code == 409
    assert "Your form would add: Number 0198, Number 0199." in read(response)
    assert scope(key) == pks(many[:1])


@pytest.mark.rule("K5")
def test_stale_form_shows_removed_accounts_of_its_page(alice, browser, addresses, many):
    key, _ = make_key(alice, "Wide", many[:150])
    tab = Tab(browser, addresses(key))
    tab.untick(*many[:10])
    key.share_all()
    response = tab.press()
    assert response.status_code == 409
    assert "Your form would remove: Number 0000" in read(response)
    tab.fields["share_all_accounts"] = "on"
    key.restrict_to(many[1:])
    assert "Your form would add: Number 0000." in read(tab.press())


@pytest.mark.rule("K5")
def test_turned_form_creates_one_key(browser, addresses, many):
    tab = Tab(browser, addresses())
    tab.fields["name"] = "Once"
    nonce = tab.fields["nonce"]
    tab.turn(2)
    assert tab.fields["nonce"] == nonce
    shown_secret(tab.press())
    assert tab.press().status_code == 409
    assert ApiKey.objects.count() == 1


def test_turning_renews_expired_nonce(browser, addresses, many, settings):
    del settings.FINTA_KEYS_FRESH_SIGN_IN
    tab = Tab(browser, addresses())
    nonce = tab.fields["nonce"]
    with time_machine.travel(timezone.now() + timezone.timedelta(minutes=61)):
        tab.turn(2)
    assert tab.fields["nonce"] != nonce


@pytest.mark.rule("S6")
def test_foreign_accounts_on_other_pages_are_rejected(bob, browser, addresses, many):
    foreign = AccountFactory(owner=bob, name="Secret stash")
    tab = Tab(browser, addresses())
    tab.fields["name"] = "Chosen"
    tab.restrict()
    tab.fields["elsewhere"] = json.dumps([str(foreign.pk), "x", None, {}, "\ud800", str(many[200].pk)])
    response = tab.press()
    assert "At least one of these accounts is gone" in read(response)
    assert "Secret stash" not in read(response)
    assert not ApiKey.objects.exists()
    assert json.loads(fields(response)["elsewhere"][0]) == [str(many[200].pk)]


def test_deleted_account_on_another_page_is_dropped(browser, addresses, many):
    tab = Tab(browser, addresses())
    tab.fields["name"] = "Chosen"
    tab.restrict()
    tab.tick(many[0], many[1])
    tab.turn(2)
    many[1].delete()
    tab.fields = fields(tab.press())
    key = ApiKey.objects.authenticate(shown_secret(tab.press()))
    assert scope(key) == pks(many[:1])


@pytest.mark.thorough
@pytest.mark.parametrize("value", ["", "{", "5", '{"a": 1}', "[" * 100_000])
def test_malformed_list_of_other_pages_is_ignored(browser, addresses, many, value):
    tab = Tab(browser, addresses())
    tab.fields["name"] = "Chosen"
    tab.restrict()
    tab.tick(many[0])
    tab.fields["elsewhere"] = value
    assert scope(ApiKey.objects.authenticate(shown_secret(tab.press()))) == pks(many[:1])


def test_too_many_changes_are_rejected(monkeypatch, alice, browser, addresses, many):
    monkeypatch.setattr("finta_keys.scope_fields.MAX_CHANGED", 100)
    key, _ = make_key(alice, "Wide", many[:205])
    for name, accounts in {"elsewhere": many[100:201], "shown": many[100:201]}.items():
        tab = Tab(browser, addresses(key))
        assert "Select none" not in tab.response.content.decode()
        tab.fields[name] = json.dumps([str(account.pk) for account in accounts])
        assert "Change at most 100 accounts at a time." in read(tab.press())
    assert scope(key) == pks(many[:205])


def test_one_page_has_no_search_and_no_pager(alice, browser, addresses):
    AccountFactory.create_batch(100, owner=alice)
    page = browser.get(addresses()).content.decode()
    assert page.count('type="checkbox" name="accounts"') == 100
    assert 'name="turn"' not in page
    assert 'name="find"' not in page


def test_pages_do_not_overlap(alice, many):
    """All accounts have the same name, so only their primary keys order them."""
    Account.objects.update(name="Same")
    browser = Client()
    browser.force_login(alice)
    tab = Tab(browser, url("create"))
    shown = []
    for page in range(1, 4):
        tab.turn(page)
        shown += [box.data["value"] for box in tab.response.context["form"].boxes]
    assert len(set(shown)) == len(shown) == COUNT


def test_invalid_primary_keys_are_left_out(many):
    assert owners.valid_pks([many[0].pk, str(many[1].pk), "x", None, "\ud800"]) == [many[0].pk, many[1].pk]
