"""The page of one key: its permissions, its history, and tries of its old secrets."""

import datetime as dt
import re

import pytest
import time_machine
from django.utils import timezone

from finta_keys import event_texts, history, key_views, secret, usage_store
from finta_keys.models import ApiKey, KeyEvent, RetiredSecret
from finta_keys.testing import make_key
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys.pages import create, read, submit, url

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
PEPPER = b"\x11" * 32


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def page(browser, key, query=""):
    response = browser.get(url("key", key) + query)
    assert response.status_code == 200
    return read(response)


def history_of(browser, key, query=""):
    """Return the texts of the events on the page, newest first."""
    response = browser.get(url("key", key) + query)
    items = re.findall(
        r'<li data-action.*?<div>(.*?)<span class="finta-sub">(.*?) · <time', response.content.decode(), re.DOTALL
    )
    return [read_text(f"{actor}: {sentences}") for sentences, actor in items]


def read_text(source):
    return " ".join(re.sub("<[^>]*>", "", source).replace("“", '"').replace("”", '"').split())


def try_secret(presented, number=14, **ago):
    digest = secret.digest(presented, PEPPER)
    at = timezone.now() - dt.timedelta(**ago)
    usage_store.save_tries({digest: (number, at, "203.0.113.0/24", "python-requests")})


class TestPage:
    def test_list_links_to_the_page(self, alices_browser, restricted):
        assert f'<a href="{url("key", restricted.key)}"><bdi>Restricted</bdi><code>' in (
            alices_browser.get(url("list")).content.decode()
        )

    def test_breadcrumbs_lead_to_the_pages_above(self, alices_browser, restricted):
        key, _ = make_key(restricted.key.owner, "Other")
        list_link = f'<a href="{url("list")}">API settings</a>'
        key_link = f'<a href="{url("key", restricted.key)}"><bdi>Restricted</bdi></a>'
        report, deleted = (f'<span aria-current="page">{text}</span>' for text in ("Exposure report", "Deleted keys"))
        pages = {
            url("key", restricted.key): [list_link, '<bdi aria-current="page">Restricted</bdi>'],
            url("report", restricted.key): [list_link, key_link, report],
            url("report", key): [list_link, f'<a href="{url("deleted_keys")}">Deleted keys</a>', report],
            url("deleted_keys"): [list_link, deleted],
            url("rename", restricted.key): [list_link],
        }
        key.delete()
        for address, links in pages.items():
            page = alices_browser.get(address).content.decode()
            (crumbs,) = re.findall(r'<nav class="finta-crumbs" aria-label="Breadcrumb">(.*?)</nav>', page, re.DOTALL)
            assert re.sub(r"\s*\n\s*", "", crumbs) == "".join(links)
        assert "finta-crumbs" not in alices_browser.get(url("list")).content.decode()

    def test_page_says_what_the_key_can_do(self, alices_browser, restricted, accounts):
        restricted.key.edit_scope(read_only=True, expires_at=timezone.now() + dt.timedelta(days=3))
        text = page(alices_browser, restricted.key)
        assert "It can read accounts and transactions." in text
        assert "It expires on" in text
        assert "It can access 1 of 3 accounts:" in text
        assert accounts.checking.label in text
        assert restricted.key.hint in text

    def test_page_of_key_for_all_accounts(self, alices_browser, unrestricted):
        assert "Currently 3 accounts:" in page(alices_browser, unrestricted.key)

    def test_page_shows_the_time_of_rotation(self, alices_browser, unrestricted):
        assert "Secret from" not in page(alices_browser, unrestricted.key).split("History")[0].split("Created")[1]
        unrestricted.key.rotate()
        assert "Secret from" in page(alices_browser, unrestricted.key).split("History")[0].split("Created")[1]

    def test_page_links_to_the_actions(self, alices_browser, restricted):
        source = alices_browser.get(f"{url('key', restricted.key)}?q=x").content.decode()
        for action in ("rename", "edit_scope", "rotate", "duplicate", "delete"):
            assert f'href="{url(action, restricted.key)}?q=x"' in source

    @pytest.mark.parametrize("pk", ["0" * 8, "00000000-0000-4000-8000-000000000000", "x\0"])
    def test_missing_key_is_not_found(self, alices_browser, restricted, pk):
        response = alices_browser.get(f"/settings/api/keys/{pk}")
        assert response.status_code == 404

    def test_key_of_another_owner_is_not_found(self, alices_browser, bob):
        assert alices_browser.get(url("key", make_key(bob)[0])).status_code == 404

    def test_page_needs_a_person(self, client, restricted):
        assert client.get(url("key", restricted.key)).status_code == 302
        assert (
            client.get(url("key", restricted.key), headers={"authorization": f"Bearer {restricted.secret}"}).status_code
            == 302
        )

    def test_queries_do_not_grow_with_events(self, alices_browser, restricted, accounts, django_assert_max_num_queries):
        for _ in range(60):
            restricted.key.rename("Laptop")
        with django_assert_max_num_queries(15):
            page(alices_browser, restricted.key)


@pytest.mark.rule("H1")
class TestHistory:
    def test_history_says_who_did_what(self, alices_browser, accounts):
        create(alices_browser, "Laptop", accounts=[accounts.cash.pk])
        key = ApiKey.objects.get()
        old = key.hint
        submit(alices_browser, url("rename", key), name="Phone")
        submit(alices_browser, url("rotate", key))
        key.refresh_from_db()
        submit(alices_browser, url("edit_scope", key), accounts=[accounts.savings.pk])
        by = "by you from 127.0.0.1:"
        name = {account: f"First Bank {account.label}" for account in (accounts.cash, accounts.savings)}
        assert history_of(alices_browser, key) == [
            f"{by} Scope edited. Added: {name[accounts.savings]}. Removed: {name[accounts.cash]}.",
            f"{by} Rotated. {old} was replaced by {key.hint}.",
            f'{by} Renamed from "Laptop" to "Phone".',
            f"{by} Created. It can access {name[accounts.cash]}.",
        ]

    def test_operators_are_not_named_to_owners(self, alices_browser, restricted):
        with history.acting(user=UserFactory(email="op@example.com")):
            restricted.key.rename("Phone")
        KeyEvent.objects.update(address="198.51.100.1")
        text = page(alices_browser, restricted.key)
        assert history_of(alices_browser, restricted.key)[0].startswith("by an operator: Renamed")
        assert "op@example.com" not in text
        assert text.count("198.51.100.1") == 1

    def test_other_actors(self, alices_browser, restricted, accounts):
        with history.acting(command="tidy"):
            restricted.key.rename("Phone")
        restricted.client.post(
            "/v2/accounts", {"name": "Till", "type": "x", "currency": "USD", "currentBalance": 1}, "application/json"
        )
        assert history_of(alices_browser, restricted.key) == [
            "by the key itself from 127.0.0.1: Created Till and added it to its scope.",
            "by the key itself from 127.0.0.1: Till was added.",
            'by a command: Renamed from "Restricted" to "Phone".',
            f"by the service: Created. It can access First Bank {accounts.checking.label}.",
        ]

    def test_restricted_key_shows_accounts_of_its_scope(self, alices_browser, restricted, accounts, bob):
        labels = accounts.checking.label
        accounts.savings.delete()
        accounts.checking.owner = bob
        accounts.checking.save()
        assert history_of(alices_browser, restricted.key)[:-1] == [
            f"by the service: First Bank {labels} was transferred to another owner."
        ]

    def test_shared_key_shows_accounts_since_it_was_created(self, alices_browser, alice, unrestricted, accounts):
        AccountFactory(owner=alice, name="New", mask="")
        late, _ = make_key(alice, "Late")
        accounts.cash.delete()
        first, second = (
            "by the service: First Bank New was added.",
            f"by the service: First Bank {accounts.cash.label} was deleted.",
        )
        assert history_of(alices_browser, unrestricted.key)[:-1] == [second, first]
        assert history_of(alices_browser, late)[:-1] == [second]

    def test_many_accounts_are_folded(self, alices_browser, alice):
        for number in range(7):
            AccountFactory(owner=alice, name=f"A{number}", mask="")
        key, _ = make_key(alice, "Many", list(alice.accounts.all()))
        response = alices_browser.get(url("key", key))
        assert "<summary>7 accounts</summary>" in response.content.decode()
        assert "A6" in read(response)

    def test_names_are_escaped(self, alices_browser, alice):
        account = AccountFactory(owner=alice, name="<script>1", mask="")
        key, _ = make_key(alice, "<b>", [account])
        key.rename("<i>")
        source = alices_browser.get(url("key", key)).content.decode()
        assert "<script>1" not in source
        assert "&lt;script&gt;1" in source
        assert "<b>" not in source

    def test_events_have_pages(self, alices_browser, restricted, monkeypatch):
        monkeypatch.setattr(key_views, "EVENTS_PER_PAGE", 2)
        for name in ("A", "B", "C"):
            restricted.key.rename(name)
        assert len(history_of(alices_browser, restricted.key)) == 2
        assert history_of(alices_browser, restricted.key, "?page=2")[1].startswith("by the service: Created.")
        assert "?page=2" in alices_browser.get(url("key", restricted.key)).content.decode()
        assert "?page=1" in alices_browser.get(f"{url('key', restricted.key)}?page=2").content.decode()

    def test_key_without_events(self, alices_browser, restricted):
        KeyEvent.objects.all().delete()
        assert "Nothing is recorded." in page(alices_browser, restricted.key)


class TestSentences:
    @pytest.mark.parametrize(
        ("action", "changes", "text"),
        [
            ("created", {}, "Created."),
            ("deleted", {}, "Deleted."),
            ("renamed", {}, "Renamed."),
            ("rotated", {}, "Rotated."),
            ("scope_edited", {}, "Scope edited."),
            ("account_joined", {}, "Created One account and added it to its scope."),
            ("account_lost", {}, "One account was transferred to another owner."),
            ("account_gained", {"account": ["5", ""]}, "5 was transferred to the owner."),
            ("known", {}, "History begins here. Earlier changes are not known."),
            ("scope_edited", {"share_all_accounts": [False, True]}, "Scope edited. It shares all accounts now."),
            ("scope_edited", {"share_all_accounts": [True, False]}, "Scope edited. It no longer shares all accounts."),
            ("scope_edited", {"read_only": [True, False]}, "Scope edited. It can read and write."),
            ("scope_edited", {"expires_at": ["2027-03-31T00:00:00Z", None]}, "Scope edited. It does not expire."),
            (
                "deleted",
                {
                    "name": "X",
                    "share_all_accounts": False,
                    "accounts": [],
                    "read_only": True,
                    "expires_at": "2027-03-31T00:00:00Z",
                },
                "Deleted. It can access nothing. It is read only. It expires on 2027-03-31.",
            ),
        ],
    )
    def test_event_is_described(self, action, changes, text):
        described = " ".join(event_texts.sentences(KeyEvent(action=action, changes=changes)))
        assert re.sub("<[^>]*>", "", described) == text

    @pytest.mark.parametrize(
        ("actor", "name", "text"),
        [
            ("person", "ann", "by ann"),
            ("person", "", "by the owner"),
            ("operator", "op", "by op"),
            ("operator", "", "by an operator"),
            ("command", "createkey", "by createkey"),
        ],
    )
    def test_operators_read_names(self, actor, name, text):
        assert event_texts.actor(KeyEvent(actor=actor, actor_name=name), is_public=False) == text


@pytest.mark.rule("H3")
class TestTries:
    def test_owner_reads_about_tries(self, clock, alices_browser, restricted):
        clock.move_to(NOON - dt.timedelta(days=30))
        restricted.key.rotate()
        clock.move_to(NOON)
        assert "was tried" not in page(alices_browser, restricted.key)
        try_secret(restricted.secret, hours=2)
        sentence = "was tried 14 times since 30 October 2026, last 2 hours ago from 203.0.113.0/24 (python-requests)."
        assert f"The old secret {sentence}" in page(alices_browser, restricted.key)

    def test_row_says_that_old_secret_is_tried(self, clock, alices_browser, restricted, unrestricted):
        clock.move_to(NOON - dt.timedelta(days=20))
        restricted.key.rotate()
        unrestricted.key.rotate()
        clock.move_to(NOON)
        assert "still being tried" not in read(alices_browser.get(url("list")))
        try_secret(restricted.secret, hours=2)
        source = alices_browser.get(f"{url('list')}?sort=name").content.decode()
        (note,) = re.findall(r'<tr class="finta-rownote">.*?</tr>', source, re.DOTALL)
        assert (
            "<strong>The old secret is still being tried:</strong> 14 times since 9 Nov, last 2\xa0hours ago from "
            "203.0.113.0/24 (python-requests). An application was not updated, or someone has the old secret."
        ) in note
        assert f'<a href="{url("key", restricted.key)}?sort=name">See details' in note
        assert source.index(">Restricted<") < source.index(note)
        assert "was tried" not in source

    def test_row_describes_the_last_tried_secret(self, clock, alices_browser, restricted):
        second = restricted.key.rotate()
        restricted.key.rotate()
        try_secret(restricted.secret, number=3, hours=2)
        try_secret(second, number=1, hours=1)
        text = read(alices_browser.get(url("list")))
        assert "1 time since 29 Nov, last 1 hour ago" in text
        assert text.count("still being tried") == 1

    @pytest.mark.parametrize(("days", "is_shown"), [(29, True), (31, False)])
    def test_row_mentions_tries_for_30_days(self, clock, alices_browser, restricted, days, is_shown):
        clock.move_to(NOON - dt.timedelta(days=40))
        restricted.key.rotate()
        clock.move_to(NOON)
        try_secret(restricted.secret, hours=24 * days)
        assert ("still being tried" in read(alices_browser.get(url("list")))) is is_shown

    def test_list_names_keys_of_other_pages(self, alices_browser, restricted, unrestricted):
        restricted.key.rotate()
        try_secret(restricted.secret, number=1)
        text = read(alices_browser.get(f"{url('list')}?q=all+accounts"))
        assert "The old secret of “Restricted” was tried" in text
        assert "still being tried" not in text

    def test_list_names_deleted_keys(self, alices_browser, restricted):
        restricted.key.delete()
        try_secret(restricted.secret, number=1)
        assert "The old secret of “Restricted” was tried" in read(alices_browser.get(url("list")))

    def test_other_owners_do_not_read_it(self, client, bob, restricted):
        restricted.key.rotate()
        try_secret(restricted.secret)
        client.force_login(bob)
        assert "was tried" not in read(client.get(url("list")))

    def test_unknown_source_is_left_out(self):
        retired = RetiredSecret(
            tries=1, retired_at=NOON, last_tried_at=timezone.now(), last_network="unknown", last_agent="none"
        )
        assert (
            event_texts.tries(retired)
            == "<strong>The old secret was tried 1 time since 29 November 2026</strong>, last just now."
        )
