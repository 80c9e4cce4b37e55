"""Every action on a key leaves an event (H1)."""

import datetime as dt
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models.deletion import Collector
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts_app.models import Account, User
from finta_keys import account_events, history, signals
from finta_keys.models import AlreadyDone, ApiKey, KeyAccountScope, KeyEvent
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.factories import AccountFactory, UserFactory
from tests.finta_keys.pages import create, submit, url

TOMORROW = timezone.now() + dt.timedelta(days=1)


def last_event():
    return KeyEvent.objects.latest("pk")


def actions():
    return list(KeyEvent.objects.order_by("pk").values_list("action", flat=True))


def pairs(*accounts):
    return sorted(([str(account.pk), f"First Bank {account.label}"] for account in accounts), key=lambda pair: pair[1])


def refuse(*args, **kwargs):
    raise RuntimeError("refused")


@pytest.mark.rule("H1")
class TestActions:
    def test_create_records_the_state(self, alice, accounts):
        key, _ = ApiKey.objects.create_key(
            owner=alice, name="Laptop", accounts=[accounts.cash, accounts.savings], read_only=True, expires_at=TOMORROW
        )
        event = last_event()
        assert (event.action, event.key_id, event.key_name) == ("created", key.pk, "Laptop")
        assert (event.key_hint, event.owner_pk) == (key.hint, str(alice.pk))
        assert event.changes == {
            "name": "Laptop",
            "share_all_accounts": False,
            "accounts": pairs(accounts.cash, accounts.savings),
            "read_only": True,
            "expires_at": f"{TOMORROW:%Y-%m-%dT%H:%M:%SZ}",
        }

    def test_create_for_all_accounts_names_none(self, unrestricted):
        assert last_event().changes["share_all_accounts"] is True
        assert last_event().changes["accounts"] == []

    def test_rename_records_both_names(self, restricted):
        stale = ApiKey.objects.get(pk=restricted.key.pk)
        restricted.key.rename("Phone")
        restricted.key.rotate()
        stale.rename("Laptop")
        assert last_event().changes == {"name": ["Phone", "Laptop"]}
        assert (last_event().key_name, last_event().key_hint) == ("Laptop", restricted.key.hint)

    def test_edit_scope_records_the_difference(self, restricted, accounts):
        restricted.key.edit_scope(accounts=[accounts.cash], read_only=True, expires_at=TOMORROW)
        assert last_event().action == "scope_edited"
        assert last_event().changes == {
            "added": pairs(accounts.cash),
            "removed": pairs(accounts.checking),
            "read_only": [False, True],
            "expires_at": [None, f"{TOMORROW:%Y-%m-%dT%H:%M:%SZ}"],
        }

    def test_edit_scope_records_kept_accounts_as_unchanged(self, restricted, accounts):
        restricted.key.restrict_to([accounts.cash], shown=[accounts.savings.pk])
        assert last_event().changes == {"added": pairs(accounts.cash), "removed": []}

    def test_sharing_all_removes_the_selection(self, restricted, accounts):
        restricted.key.share_all()
        changes = {"added": [], "removed": pairs(accounts.checking), "share_all_accounts": [False, True]}
        assert last_event().changes == changes
        restricted.key.restrict_to([accounts.cash])
        changes = {"added": pairs(accounts.cash), "removed": [], "share_all_accounts": [True, False]}
        assert last_event().changes == changes

    def test_stale_instance_records_the_saved_values(self, restricted):
        stale = ApiKey.objects.get(pk=restricted.key.pk)
        restricted.key.edit_scope(read_only=True)
        stale.edit_scope(expires_at=TOMORROW)
        assert last_event().changes.keys() == {"added", "removed", "expires_at"}

    def test_rotate_records_both_hints(self, restricted):
        old = restricted.key.hint
        restricted.key.rotate()
        assert last_event().action == "rotated"
        assert last_event().changes == {"hint": [old, restricted.key.hint]}
        assert last_event().key_hint == restricted.key.hint

    def test_delete_records_the_last_state(self, restricted, accounts):
        stale = ApiKey.objects.get(pk=restricted.key.pk)
        pk = stale.pk
        restricted.key.rename("Laptop")
        restricted.key.rotate()
        stale.delete()
        event = last_event()
        assert (event.action, event.key_id, event.key_name) == ("deleted", pk, "Laptop")
        assert event.key_hint == restricted.key.hint
        assert event.changes["accounts"] == pairs(accounts.checking)

    def test_deletion_in_bulk_records_each_key(self, alice, restricted, unrestricted, accounts):
        names = {"Restricted": pairs(accounts.checking), "All accounts": []}
        ApiKey.objects.delete_all(owner=alice)
        deleted = KeyEvent.objects.filter(action="deleted")
        assert {event.key_name: event.changes["accounts"] for event in deleted} == names

    def test_failed_deletion_can_be_tried_again(self, alice, restricted, unrestricted):
        """The attempts that failed leave no events to a later one."""
        keys = ApiKey.objects.all()
        models.signals.pre_delete.connect(refuse, sender=ApiKey)
        try:
            for _ in range(7):
                with pytest.raises(RuntimeError):
                    ApiKey.objects.delete_all(owner=alice)
            with pytest.raises(RuntimeError), transaction.atomic():
                keys.delete()
        finally:
            models.signals.pre_delete.disconnect(refuse, sender=ApiKey)
        ApiKey.objects.filter(pk=restricted.key.pk).delete()
        assert actions() == ["created", "created", "deleted"]
        keys.delete()
        assert [event.key_name for event in KeyEvent.objects.order_by("pk")][3:] == ["All accounts"]

    def test_nested_deletion_is_recorded(self, restricted, unrestricted):
        def delete_other(instance, **kwargs):
            if instance == restricted.key:
                ApiKey.objects.exclude(pk=instance.pk).delete()

        models.signals.pre_delete.connect(delete_other, sender=ApiKey)
        try:
            ApiKey.objects.filter(name="Restricted").delete()
        finally:
            models.signals.pre_delete.disconnect(delete_other, sender=ApiKey)
        assert actions() == ["created", "created", "deleted", "deleted"]
        assert not ApiKey.objects.exists()

    def test_failed_nested_deletion_leaves_no_event(self, restricted, unrestricted):
        def try_to_delete_other(instance, **kwargs):
            if instance == unrestricted.key:
                raise RuntimeError
            with suppress(RuntimeError), transaction.atomic():
                ApiKey.objects.filter(pk=unrestricted.key.pk).delete()

        models.signals.pre_delete.connect(try_to_delete_other, sender=ApiKey)
        try:
            ApiKey.objects.filter(pk=restricted.key.pk).delete()
        finally:
            models.signals.pre_delete.disconnect(try_to_delete_other, sender=ApiKey)
        assert actions() == ["created", "created", "deleted"]
        assert last_event().key_name == "Restricted"

    def test_statements_do_not_grow_with_deleted_keys(self, alice, accounts):
        numbers = []
        for number in (2, 12):
            for _ in range(number):
                make_key(alice, accounts=[accounts.cash])
            with CaptureQueriesContext(connection) as queries:
                ApiKey.objects.delete_all(owner=alice)
            numbers.append(len(queries))
        assert numbers[0] == numbers[1]

    def test_deferred_columns_are_recorded(self, restricted):
        ApiKey.objects.only("pk").get().delete()
        assert last_event().key_hint == restricted.key.hint

    def test_events_outlive_key_and_accounts(self, restricted, accounts):
        pk, label = restricted.key.pk, accounts.checking.label
        restricted.key.delete()
        accounts.checking.delete()
        events = list(KeyEvent.objects.of_key(pk))
        assert [event.action for event in events] == ["created", "deleted"]
        assert label in str(events[0].changes)


@pytest.mark.rule("H1")
class TestTransactions:
    @pytest.mark.parametrize(
        ("signal", "change"),
        [
            (signals.key_renamed, lambda key: key.rename("Laptop")),
            (signals.key_scope_edited, lambda key: key.share_all()),
            (signals.key_rotated, lambda key: key.rotate()),
            (signals.key_deleted, lambda key: key.delete()),
            (signals.key_created, lambda key: make_key(key.owner)),
        ],
    )
    def test_undone_change_leaves_no_event(self, restricted, signal, change):
        signal.connect(refuse)
        try:
            with pytest.raises(RuntimeError):
                change(restricted.key)
        finally:
            signal.disconnect(refuse)
        assert actions() == ["created"]

    def test_failed_event_undoes_the_change(self, restricted, monkeypatch):
        monkeypatch.setattr("finta_keys.history.save", refuse)
        for change in (restricted.key.rotate, restricted.key.share_all, restricted.key.delete):
            with pytest.raises(RuntimeError):
                change()
        assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
        assert KeyAccountScope.objects.count() == 1

    def test_rejected_change_leaves_no_event(self, restricted):
        restricted.key.rotate()
        with pytest.raises(AlreadyDone):
            restricted.key.rotate(expected=0)
        with pytest.raises(AlreadyDone):
            restricted.key.edit_scope(read_only=True, expected=5)
        assert actions() == ["created", "rotated"]

    def test_event_sends_no_signals(self, restricted):
        """Tools that copy every model would store it twice."""
        models.signals.post_save.connect(refuse, sender=KeyEvent)
        try:
            restricted.key.rename("Laptop")
        finally:
            models.signals.post_save.disconnect(refuse, sender=KeyEvent)


@pytest.fixture
def _without_site_middleware(settings):
    """Other projects do not have it."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("RecordActorMiddleware")]


@pytest.mark.rule("H1")
class TestActors:
    @pytest.mark.usefixtures("_without_site_middleware")
    def test_owner_on_the_pages(self, alice, alices_browser, accounts):
        create(alices_browser)
        key = ApiKey.objects.get()
        submit(alices_browser, url("rename", key), name="Laptop")
        submit(alices_browser, url("rotate", key))
        submit(alices_browser, url("edit_scope", key), accounts=[accounts.cash.pk])
        submit(alices_browser, url("delete", key))
        assert actions() == ["created", "renamed", "rotated", "scope_edited", "deleted"]
        rows = KeyEvent.objects.values_list("actor", "actor_pk", "actor_name", "address").distinct().order_by()
        assert list(rows) == [("person", str(alice.pk), "alice@example.com", "127.0.0.1")]

    @pytest.mark.usefixtures("_without_site_middleware")
    def test_operator_in_the_admin(self, restricted, unrestricted):
        operator = UserFactory(email="op@example.com", is_staff=True, is_superuser=True)
        browser = Client()
        browser.force_login(operator)
        address = f"/admin/finta_keys/apikey/{restricted.key.pk}/"
        submit(browser, f"{address}rotate/")
        submit(browser, f"{address}delete/")
        selected = {"action": "delete_selected", "_selected_action": [str(unrestricted.key.pk)], "post": "yes"}
        browser.post("/admin/finta_keys/apikey/", selected)
        events = KeyEvent.objects.filter(actor="operator", actor_name="op@example.com", address="127.0.0.1")
        assert list(events.order_by("pk").values_list("action", flat=True)) == ["rotated", "deleted", "deleted"]

    def test_commands(self, alice, tmp_path):
        call_command("createkey", user=alice.email, name="Job", output=str(tmp_path / "secret"))
        assert (last_event().actor, last_event().actor_name) == ("command", "createkey")
        with pytest.raises(SystemExit):
            call_command("scankeys", str(tmp_path), "--delete", "--yes")
        assert (last_event().action, last_event().actor_name) == ("deleted", "scankeys")

    def test_key_that_creates_an_account(self, restricted, unrestricted):
        data = {"name": "Cash 2", "type": "cash", "currency": "USD", "currentBalance": 1}
        assert restricted.client.post("/v2/accounts", data, "application/json").status_code == 201
        joined = KeyEvent.objects.get(action="account_joined")
        assert [label for _, label in joined.changes["added"]] == ["Cash 2"]
        assert joined.key_id == restricted.key.pk
        gained = KeyEvent.objects.get(action="account_gained")
        assert gained.changes == {"account": joined.changes["added"][0], "reason": "created"}
        for event in (joined, gained):
            assert (event.actor, event.actor_pk) == ("key", str(restricted.key.pk))
            assert event.address == "127.0.0.1"

    def test_code_without_request(self, restricted):
        assert (last_event().actor, last_event().actor_pk, last_event().address) == ("code", "", "")

    def test_user_of_a_job(self, restricted, bob):
        with history.acting(user=bob):
            restricted.key.rename("Laptop")
        restricted.key.rename("Phone")
        assert list(KeyEvent.objects.values_list("actor", "actor_name")[:2]) == [("code", ""), ("operator", str(bob))]

    def test_anonymous_request_is_code(self, restricted):
        request = RequestFactory().get("/")
        request.user = AnonymousUser()
        with history.acting(request=request):
            restricted.key.rename("Laptop")
        assert (last_event().actor, last_event().address) == ("code", "127.0.0.1")

    @pytest.mark.rule("K6")
    def test_key_is_no_person(self, alice, restricted):
        """A middleware has made the owner the user of a request with an invalid key."""
        request = RequestFactory().get("/", headers={"authorization": "Bearer finta_x"})
        request.user = alice
        with history.acting(request=request):
            restricted.key.rename("Laptop")
        assert last_event().actor == "code"

    def test_owner_on_other_pages_of_the_site(self, alice, alices_browser, restricted, accounts):
        accounts.cash.close()
        submit(alices_browser, f"/accounts/{accounts.cash.pk}/delete")
        event = last_event()
        assert (event.action, event.changes["reason"]) == ("account_lost", "deleted")
        assert (event.actor, event.actor_pk, event.address) == ("person", str(alice.pk), "127.0.0.1")


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::1"),
            ("", ""),
            ("unix:", ""),
            ("203.0.113.9, 10.0.0.1", ""),
            ("x" * 65_536, ""),
            (None, ""),
        ],
    )
    def test_address_is_canonical_or_empty(self, text, address):
        assert history.address_of(RequestFactory().get("/", REMOTE_ADDR=text)) == address

    def test_forged_header_is_ignored_without_proxies(self, alices_browser, accounts):
        alices_browser.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.1"
        create(alices_browser)
        assert last_event().address == "127.0.0.1"

    def test_site_trusts_its_proxies_only(self, alices_browser, accounts, settings):
        settings.TRUSTED_PROXY_COUNT = 1
        alices_browser.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.1, 203.0.113.9"
        create(alices_browser)
        assert last_event().address == "203.0.113.9"

    def test_failing_setting_does_not_stop_the_change(self, alices_browser, accounts, settings, caplog):
        settings.FINTA_KEYS_CLIENT_ADDRESS = "tests.finta_keys.test_history.refuse"
        create(alices_browser)
        assert last_event().address == ""
        assert "FINTA_KEYS_CLIENT_ADDRESS raised an error" in caplog.text

    def test_default_is_the_connection(self, settings):
        settings.FINTA_KEYS_CLIENT_ADDRESS = None
        assert history.address_of(RequestFactory().get("/", REMOTE_ADDR="203.0.113.9")) == "203.0.113.9"


@pytest.mark.rule("H1")
class TestAccounts:
    def test_deleted_account_is_recorded(self, restricted, accounts):
        pair = pairs(accounts.checking)[0]
        Account.objects.filter(pk=accounts.checking.pk).delete()
        event = last_event()
        assert (event.action, event.key_id, event.owner_pk) == ("account_lost", None, str(restricted.key.owner_id))
        assert event.changes == {"account": pair, "reason": "deleted"}

    def test_transferred_account_is_recorded_for_both(self, restricted, accounts, bob):
        make_key(bob)
        for owner in (bob, restricted.key.owner):
            accounts.checking.owner = owner
            accounts.checking.save()
        events = KeyEvent.objects.filter(key_id=None).order_by("pk")
        expected = [
            ("account_lost", str(restricted.key.owner_id)),
            ("account_gained", str(bob.pk)),
            ("account_lost", str(bob.pk)),
            ("account_gained", str(restricted.key.owner_id)),
        ]
        assert list(events.values_list("action", "owner_pk")) == expected
        assert {event.changes["reason"] for event in events} == {"transferred"}

    @pytest.mark.parametrize("name", ["owner", "owner_id"])
    def test_transfer_by_update_fields_is_recorded(self, restricted, accounts, bob, name):
        accounts.checking.owner = bob
        accounts.checking.save(update_fields=[name])
        assert last_event().action == "account_lost"

    def test_saving_other_columns_costs_no_query(self, restricted, accounts, django_assert_num_queries):
        with django_assert_num_queries(1):
            accounts.checking.save(update_fields=["name"])
        accounts.checking.save()
        assert actions() == ["created"]

    def test_unsaved_owner_is_not_recorded(self, restricted, accounts, bob):
        accounts.checking.owner = bob
        accounts.checking.save(update_fields=["name"])
        accounts.checking.save(update_fields=["name"])
        assert actions() == ["created"]

    def test_failed_save_leaves_nothing_to_a_later_one(self, restricted, accounts, bob):
        accounts.checking.owner, accounts.checking.currency = bob, None
        with pytest.raises(IntegrityError), transaction.atomic():
            accounts.checking.save()
        accounts.checking.save(update_fields=["name"])
        assert actions() == ["created"]

    def test_owner_without_keys_is_not_recorded(self, accounts, bob):
        account = AccountFactory(owner=bob)
        account.owner = accounts.cash.owner
        account.save()
        account.delete()
        assert actions() == []

    def test_fixture_is_not_recorded(self, restricted, accounts):
        accounts.savings.save_base(raw=True)
        assert actions() == ["created"]

    def test_account_without_owner_is_not_recorded(self, restricted):
        assert not account_events._has_keys(None)

    def test_events_of_accounts_belong_to_the_key(self, restricted, accounts):
        accounts.savings.delete()
        events = KeyEvent.objects.of_key(restricted.key.pk, restricted.key.owner_id)
        assert [event.action for event in events] == ["created", "account_lost"]
        assert not KeyEvent.objects.of_key(restricted.key.pk, "other").filter(key_id=None)

    def test_scope_rows_are_deleted_fast(self, restricted):
        """A receiver for all models would make Django load each row that it deletes."""
        collector = Collector(using="default")
        assert collector.can_fast_delete(KeyAccountScope.objects.all())
        assert collector.can_fast_delete(KeyEvent.objects.all())


@pytest.mark.rule("H1")
class TestDeletedOwner:
    def test_personal_data_is_forgotten(self, alice, alices_browser, restricted):
        submit(alices_browser, url("rename", restricted.key), name="Divorce lawyer")
        pk = restricted.key.pk
        alice.delete()
        assert actions() == ["created", "renamed", "deleted"]
        for event in KeyEvent.objects.all():
            assert (event.key_id, event.key_hint) == (pk, restricted.key.hint)
            values = (event.key_name, event.actor_pk, event.actor_name, event.address, event.changes)
            assert values == ("", "", "", "", {})

    def test_operator_of_deleted_owner_stays_known(self, alice, restricted, bob):
        with history.acting(user=bob):
            alice.delete()
        event = last_event()
        assert (event.action, event.actor, event.actor_pk) == ("deleted", "operator", str(bob.pk))
        assert (event.actor_name, event.key_name, event.changes) == (str(bob), "", {})

    def test_other_owners_keep_their_history(self, alice, bob, restricted):
        make_key(bob, "Laptop")
        alice.delete()
        assert KeyEvent.objects.get(owner_pk=str(bob.pk)).key_name == "Laptop"

    def test_deleted_operator_is_not_named(self, restricted, bob):
        with history.acting(user=bob):
            restricted.key.rename("Laptop")
        pk = str(bob.pk)
        User.objects.filter(pk=bob.pk).delete()
        event = last_event()
        assert (event.actor, event.actor_pk, event.actor_name, event.key_name) == ("operator", pk, "", "Laptop")

    def test_accounts_of_deleted_owner_are_not_recorded(self, alice, unrestricted, monkeypatch):
        monkeypatch.setattr(account_events, "_has_keys", refuse)  # a query for each account
        alice.delete()
        assert not KeyEvent.objects.filter(key_id=None).exists()


@pytest.mark.rule("K2")
def test_account_label_holds_no_secret(restricted):
    account = SimpleNamespace(pk=1, label=f"was {restricted.secret}", institution_name="")
    assert history._pair(account) == ["1", f"was {restricted.key.hint}"]


def test_text_of_event(restricted):
    assert str(last_event()) == "Created Restricted"


def test_migration_begins_the_history_of_keys(restricted, unrestricted, monkeypatch):
    migration = import_module("finta_keys.migrations.0005_key_events")
    monkeypatch.setattr(migration, "BATCH", 1)
    KeyEvent.objects.all().delete()
    migration.begin_history(apps, SimpleNamespace(connection=connection))
    events = KeyEvent.objects.order_by("key_name")
    assert [(event.action, event.key_name) for event in events] == [("known", "All accounts"), ("known", "Restricted")]
    assert events[1].key_id == restricted.key.pk
    assert events[1].owner_pk == str(restricted.key.owner_id)


def test_client_without_key_leaves_no_event(db):
    ApiClient().get("/v2/me")
    assert actions() == []
