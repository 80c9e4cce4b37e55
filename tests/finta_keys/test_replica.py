"""Keys, scope and data are read from the database that is written to, never from a replica."""

import subprocess
import sys

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import prefetch_related_objects
from django.test.testcases import DatabaseOperationForbidden

from accounts_app.models import Account, Transaction
from finta_keys import nonces, usage
from finta_keys.database import key_database
from finta_keys.models import AlreadyDone, ApiKey, CreateNonce, KeyAccountScope
from finta_keys.testing import make_key
from tests.factories import TransactionFactory
from tests.finta_keys import admin_pages, pages


@pytest.fixture
def replica(settings, restricted, unrestricted):
    """Route every read to a replica. Tests may not connect to it, so reading from it fails."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}
    connections.settings["replica"] = {**connections.settings["default"], **sqlite}
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
    yield
    connections["replica"].close()
    del connections["replica"]
    del connections.settings["replica"]


def test_reading_from_the_replica_fails(replica):
    with pytest.raises(DatabaseOperationForbidden):
        Account.objects.first()
    assert key_database() == "default"


@pytest.mark.rule("K4")
def test_authenticate_reads_from_the_primary(replica, alice, bob, restricted):
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    assert ApiKey.objects.db_manager("replica").authenticate(restricted.secret) == restricted.key
    assert alice.finta_keys.authenticate(restricted.secret) == restricted.key
    assert bob.finta_keys.authenticate(restricted.secret) is None
    assert alice.finta_keys.db_manager("replica").authenticate(restricted.secret) == restricted.key


@pytest.mark.rule("K4")
def test_managers_read_from_the_primary(replica, alice, restricted, accounts):
    assert restricted.key in ApiKey.objects.all()
    assert restricted.key in alice.finta_keys.all()
    assert restricted.key in accounts.checking.finta_keys.all()
    assert restricted.key.scope_rows.count() == KeyAccountScope.objects.filter(key=restricted.key).count()
    assert not CreateNonce.objects.exists()


@pytest.mark.rule("K4")
def test_prefetches_read_from_the_primary(replica, alice, restricted):
    prefetch_related_objects([alice], "finta_keys__scope_rows__key")
    keys = {key.pk: key for key in alice.finta_keys.all()}
    assert {row.key.pk for row in keys[restricted.key.pk].scope_rows.all()} == {restricted.key.pk}


@pytest.mark.rule("K4")
def test_instances_reload_from_the_primary(replica, restricted):
    row = KeyAccountScope.objects.filter(key=restricted.key).first()
    assert row.key == restricted.key
    row.refresh_from_db()
    restricted.key.refresh_from_db()
    assert ApiKey.objects.only("pk").get(pk=restricted.key.pk).name == restricted.key.name


def test_explicit_database_alias_is_respected(replica):
    assert ApiKey.objects.using("replica").db == "replica"
    assert ApiKey.objects.db_manager("replica").all().db == "replica"


@pytest.mark.rule("K4")
def test_scoped_querysets_read_from_the_primary(replica, restricted, unrestricted):
    for key in (restricted.key, unrestricted.key):
        for model, path in ((Account, ""), (Transaction, "account")):
            for rows in (model.objects.all(), model.objects.using("replica")):
                queryset = key.scoped(rows, path)
                assert queryset.db == "default"
                list(queryset)


@pytest.mark.rule("K4")
def test_changes_read_from_the_primary(replica, alice, restricted, accounts):
    key, _ = ApiKey.objects.create_key(
        owner=alice, name="New", accounts=[accounts.cash], nonce=nonces.read(nonces.make(alice.pk), alice.pk)
    )
    key.rename("Newer")
    with pytest.raises(ValidationError):
        key.rename("Restricted")
    key.share_all()
    key.restrict_to([accounts.checking, accounts.savings])
    with pytest.raises(ValidationError):
        key.restrict_to(["malformed"])
    secret = key.rotate()
    with pytest.raises(AlreadyDone):
        key.rotate(expected=0)
    with key.locked() as current:
        current.add_to_scope(accounts.cash)
    usage.record(ApiKey.objects.authenticate(secret))
    key.delete()


@pytest.mark.rule("K4")
def test_spent_nonce_is_read_from_the_primary(replica, alice):
    nonce = nonces.read(nonces.make(alice.pk), alice.pk)
    ApiKey.objects.create_key(owner=alice, name="Once", nonce=nonce)
    with pytest.raises(AlreadyDone) as done:
        ApiKey.objects.create_key(owner=alice, name="Twice", nonce=nonce)
    assert done.value.key.name == "Once"


@pytest.mark.rule("K4")
def test_storage_mode_is_switched_on_the_primary(replica, alice):
    from accounts_app import storage_mode

    storage_mode.switch_off(alice)
    storage_mode.switch_on(alice)


@pytest.mark.rule("K4")
def test_api_reads_from_the_primary(settings, restricted, accounts):
    TransactionFactory(account=accounts.checking)
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]
    for path in (
        "/v2/me",
        "/v2/accounts",
        f"/v2/accounts/{accounts.checking.pk}",
        "/v2/transactions",
        f"/v2/transactions?bankAccountId={accounts.checking.pk}",
    ):
        assert restricted.client.get(path).status_code == 200, path
    created = restricted.client.send(
        "POST", "/v2/accounts", {"name": "Made", "type": "other", "currency": "EUR", "currentBalance": 1}
    )
    assert created.status_code == 201, created.content
    path = f"/v2/accounts/{created.json()['account']['id']}"
    assert restricted.client.send("PATCH", path, {"name": "Renamed"}).status_code == 200
    assert restricted.client.delete(path).status_code == 204


@pytest.mark.thorough
@pytest.mark.rule("K4")
@pytest.mark.parametrize("action", admin_pages.KEY_ACTIONS)
@pytest.mark.parametrize("place", ["settings", "admin"])
def test_pages_read_from_the_primary(settings, alices_browser, restricted, accounts, place, action):
    """Saving an Edit scope page that showed an outdated scope would restore it."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsKeysFromReplica"]
    browser, address = alices_browser, pages.url(action, restricted.key)
    if place == "admin":
        browser, address = admin_pages.operator(), admin_pages.url(action, restricted.key.pk)
    response = pages.submit(browser, address, name="New", accounts=[accounts.savings.pk])
    assert response.status_code == (200 if action == "rotate" else 302)
    assert alices_browser.get(pages.url("list")).status_code == 200


@pytest.mark.rule("K4")
def test_authentication_result_is_not_cached(restricted, django_assert_num_queries):
    for _ in range(2):
        with django_assert_num_queries(1):
            ApiKey.objects.authenticate(restricted.secret)


@pytest.mark.rule("K4")
def test_new_key_authenticates_at_once(alice):
    _, secret = make_key(alice)
    assert ApiKey.objects.authenticate(secret)


NON_ATOMIC_ALIASES = """
from tests import settings

settings.DATABASES["bank"] = settings.DATABASES["default"]
import django

django.setup()
from django.urls import resolve

for page in ("/settings/api/keys/new", "/settings/api/keys/1/rotate", "/admin/finta_keys/apikey/1/rotate/"):
    print(*sorted(resolve(page).func._non_atomic_requests))
"""


@pytest.mark.slow
@pytest.mark.rule("T1")
def test_pages_are_non_atomic_on_every_database():
    """Runs in a new process, because Django reads DATABASES once."""
    command = [sys.executable, "-c", NON_ATOMIC_ALIASES]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.stdout.splitlines() == ["bank default"] * 3, result.stderr
