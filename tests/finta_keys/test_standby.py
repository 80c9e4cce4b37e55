"""The barrier: a change waits for a standby after its commit. ``tests/faults`` has the real servers."""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction

from finta_keys import standby
from finta_keys.checks.project import check_standbys
from finta_keys.checks.settings import check_settings
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.finta_keys import admin_pages
from tests.finta_keys.pages import read, submit, url
from tests.finta_keys.test_scankeys import scan

pytestmark = pytest.mark.rule("K4")

TEXT = "not yet safe against the loss of the database server"


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Run what waits for a commit when the block ends."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_nothing_waits_by_default(restricted, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        restricted.key.rename("New")
    assert callbacks == []


ACTIONS = {
    "rename": lambda key: key.rename("New"),
    "edit scope": lambda key: key.share_all(),
    "rotate": lambda key: key.rotate(),
    "delete": lambda key: key.delete(),
    "delete all": lambda key: ApiKey.objects.delete_all(owner=key.owner),
    "create": lambda key: make_key(key.owner),
    "delete the owner": lambda key: key.owner.delete(),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_change_waits_once_after_commit(restricted, waits, committed, action):
    with committed(), transaction.atomic():
        ACTIONS[action](restricted.key)
        assert waits == []
    assert waits == [5]
    assert standby.take_unconfirmed()
    assert not standby.take_unconfirmed()


def test_account_that_joins_a_scope_does_not_wait(restricted, accounts, waits, committed):
    with committed(), restricted.key.locked() as key:
        key.add_to_scope(accounts.cash)
    assert waits == []


def test_failed_change_does_not_wait(restricted, waits, committed):
    with committed(), transaction.atomic():
        restricted.key.rename("New")
        transaction.set_rollback(True)
    assert waits == []


@pytest.mark.django_db(transaction=True)
def test_waits_are_short_while_standby_is_away(restricted, waits, caplog):
    caplog.set_level(logging.WARNING, "finta_keys.standby")
    restricted.key.rename("A")
    restricted.key.rename("B")
    assert waits == [5, standby.SHORT_TIMEOUT]
    with mock.patch.object(standby, "_commit_on_standby", return_value=True):
        standby.confirm_change()  # without a transaction
    assert not standby.take_unconfirmed()
    assert [record.getMessage() for record in caplog.records] == [
        "No standby confirms changes in time.",
        "A standby confirms changes again.",
    ]


def test_second_waiter_of_a_process_waits_shortly(restricted, waits, committed):
    with standby._first_waiter, committed():
        restricted.key.rename("New")
    assert waits == [standby.SHORT_TIMEOUT]


def test_lost_connection_is_unconfirmed(restricted, waits, committed, monkeypatch):
    monkeypatch.setattr(standby, "_commit_on_standby", mock.Mock(side_effect=OperationalError))
    with committed():
        restricted.key.rename("New")
    assert standby.take_unconfirmed()
    assert standby._first_waiter.acquire(blocking=False)
    standby._first_waiter.release()


# Messages


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_admin", [False, True])
def test_unconfirmed_secret_is_shown_with_the_sentence(waits, restricted, alices_browser, is_admin):
    key, browser = restricted.key, admin_pages.operator() if is_admin else alices_browser
    response = submit(browser, (admin_pages.url("rotate", key.pk) if is_admin else url("rotate", key)))
    assert TEXT in read(response)
    assert "finta_" in read(response)
    assert ApiKey.objects.get().rotation == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_admin", [False, True])
def test_unconfirmed_change_is_said_on_the_next_page(waits, restricted, alices_browser, is_admin):
    key, browser = restricted.key, admin_pages.operator() if is_admin else alices_browser
    response = submit(browser, (admin_pages.url("delete", key.pk) if is_admin else url("delete", key)))
    assert TEXT in read(browser.get(response["Location"]))
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_bulk_deletion_warns_if_unconfirmed(waits, restricted):
    browser = admin_pages.operator()
    data = {"action": "delete_selected", "_selected_action": [restricted.key.pk], "post": "yes"}
    response = browser.post("/admin/finta_keys/apikey/", data, follow=True)
    assert TEXT in read(response)
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_commands_exit_with_the_sentence(waits, alice, tmp_path):
    stdout = StringIO()
    with pytest.raises(CommandError, match=TEXT) as raised:
        call_command("createkey", user=alice.email, name="New", stdout=stdout, stderr=StringIO())
    assert raised.value.returncode == 3
    secret = stdout.getvalue().strip()
    assert ApiKey.objects.authenticate(secret)
    leak = tmp_path / "log"
    leak.write_text(secret)
    status, _, stderr = scan(leak, "--delete", "--yes")
    assert (status, TEXT in stderr) == (1, True)
    assert ApiKey.objects.authenticate(secret) is None


# The database


class Connection:
    """A connection to PostgreSQL that sends ``notices`` when a transaction ends."""

    alias, vendor = "default", "postgresql"

    def __init__(self, standby_names="ANY 1 (*)", notices=()):
        self.connection, self.standby_names, self.notices = mock.Mock(), standby_names, notices
        self.ensure_connection = mock.Mock()

    def cursor(self):
        cursor = mock.Mock()
        cursor.fetchone.return_value = ("on", "0/1", self.standby_names)
        return nullcontext(cursor)

    def atomic(self, using):
        return self

    def __enter__(self):
        pass

    def __exit__(self, *args):
        for notice in self.notices:
            self.connection.add_notice_handler.call_args[0][0](notice)


def test_wait_is_cancelled_until_it_ends(monkeypatch):
    """A busy server may not take the first cancellation. Nothing else would end the wait."""
    fail = mock.Mock(side_effect=OperationalError)
    monkeypatch.setattr(standby, "RETRY_INTERVAL", 0)
    has_ended = threading.Event()
    results = iter([fail, fail, has_ended.set])
    driver = mock.Mock()
    driver.cancel_safe.side_effect = lambda timeout: next(results)()
    standby._cancel_after(0, driver, has_ended)
    assert driver.cancel_safe.call_count == 3


@pytest.mark.parametrize(
    ("connection", "is_confirmed"),
    [(Connection(), True), (Connection(notices=["cancelled"]), False), (Connection(standby_names=""), False)],
)
def test_only_a_wait_that_was_not_cancelled_confirms(monkeypatch, connection, is_confirmed):
    monkeypatch.setattr(standby, "connections", {"default": connection})
    monkeypatch.setattr(standby.transaction, "atomic", connection.atomic)
    assert standby._commit_on_standby(1) is is_confirmed
    connection.connection.remove_notice_handler.assert_called_once()


# Checks


@pytest.mark.parametrize("value", [0, -1, 61, "5", True])
def test_invalid_timeout_is_an_error(settings, monkeypatch, value):
    settings.FINTA_KEYS_STANDBY_TIMEOUT = value
    monkeypatch.setattr(standby, "is_supported", lambda: True)
    [message] = check_settings(None)
    assert message.id == "finta_keys.E001"
    assert "FINTA_KEYS_STANDBY_TIMEOUT" in message.msg


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_timeout_needs_postgresql(settings, monkeypatch, vendor):
    settings.FINTA_KEYS_STANDBY_TIMEOUT = 5
    monkeypatch.setattr(standby, "connections", {"default": mock.Mock(vendor=vendor)})
    assert [message.id for message in check_settings(None)] == ["finta_keys.E001"] * (vendor == "sqlite")


@pytest.mark.parametrize(
    ("names", "timeout", "problem"),
    [("", None, None), ("ANY 1 (*)", 5, None), ("ANY 1 (*)", None, "is not set"), ("", 5, "has no synchronous")],
)
def test_setting_is_compared_with_the_server(settings, monkeypatch, names, timeout, problem):
    settings.FINTA_KEYS_STANDBY_TIMEOUT = timeout
    connection = mock.MagicMock(vendor="postgresql", alias="default")
    connection.cursor.return_value.__enter__.return_value.fetchone.return_value = (names,)
    monkeypatch.setattr("finta_keys.checks.project.connections", {"default": connection})
    messages = check_standbys(None, databases=["default"])
    assert [message.id for message in messages] == ["finta_keys.W028"] * (problem is not None)
    assert all(problem in message.msg for message in messages)
    assert check_standbys(None) == []
