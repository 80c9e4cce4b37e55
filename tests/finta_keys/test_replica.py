"""Keys, scope and data are read from the database that is written to (rule K4)."""

import subprocess
import sys

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from accounts_app import storage_mode
from accounts_app.models import Account, Transaction
from finta_keys import conf, nonces, usage
from finta_keys.models import AlreadyDone, ApiKey
from finta_keys.testing import make_key
from tests.factories import TransactionFactory
from tests.finta_keys import admin_pages, pages


@pytest.fixture
def replica(settings, restricted, unrestricted):
    """From here on, any read that is not sent to the writer fails."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsFromReplica"]


def test_a_read_from_the_replica_would_fail(replica):
    assert "replica" not in connections
    with pytest.raises(ConnectionDoesNotExist):
        ApiKey.objects.first()
    assert conf.database() == "default"


def test_K4_a_key_is_looked_up_where_it_is_written(replica, restricted):
    assert ApiKey.objects.authenticate(restricted.secret) == restricted.key
    assert ApiKey.objects.db_manager("replica").authenticate(restricted.secret) == restricted.key


def test_K4_the_scope_and_the_data_are_read_where_they_are_written(replica, restricted, unrestricted):
    for key in (restricted.key, unrestricted.key):
        for model, path in ((Account, ""), (Transaction, "account")):
            for rows in (model.objects.all(), model.objects.using("replica")):
                queryset = key.scoped(rows, path)
                assert queryset.db == "default"
                list(queryset)


def test_K4_every_change_of_a_key_reads_where_it_writes(replica, alice, restricted, accounts):
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


def test_K4_a_nonce_is_spent_where_keys_are_written(replica, alice):
    nonce = nonces.read(nonces.make(alice.pk), alice.pk)
    ApiKey.objects.create_key(owner=alice, name="Once", nonce=nonce)
    with pytest.raises(AlreadyDone) as done:
        ApiKey.objects.create_key(owner=alice, name="Twice", nonce=nonce)
    assert done.value.key.name == "Once"


def test_K4_storage_mode_is_switched_where_keys_are_written(replica, alice):
    storage_mode.switch_off(alice)
    storage_mode.switch_on(alice)


def test_K4_the_api_reads_where_it_is_written(settings, restricted, accounts):
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
    made = restricted.client.send(
        "POST", "/v2/accounts", {"name": "Made", "type": "other", "currency": "EUR", "currentBalance": 1}
    )
    assert made.status_code == 201, made.content
    path = f"/v2/accounts/{made.json()['account']['id']}"
    assert restricted.client.send("PATCH", path, {"name": "Renamed"}).status_code == 200
    assert restricted.client.delete(path).status_code == 204


@pytest.mark.parametrize("verb", admin_pages.KEY_ACTIONS)
@pytest.mark.parametrize("place", ["settings", "admin"])
def test_K4_the_pages_read_where_they_write(settings, alices_browser, restricted, accounts, place, verb):
    """Edit scope that shows an old scope brings it back."""
    settings.DATABASE_ROUTERS = ["tests.finta_keys.routers.ReadsKeysFromReplica"]
    browser, address = alices_browser, pages.url(verb, restricted.key)
    if place == "admin":
        browser, address = admin_pages.operator(), admin_pages.url(verb, restricted.key.pk)
    answer = pages.submit(browser, address, name="New", accounts=[accounts.savings.pk])
    assert answer.status_code == (200 if verb == "rotate" else 302)
    assert alices_browser.get(pages.url("list")).status_code == 200


def test_K4_no_verdict_is_cached(restricted, django_assert_num_queries):
    for _ in range(2):
        with django_assert_num_queries(1):
            ApiKey.objects.authenticate(restricted.secret)


def test_K4_a_key_made_elsewhere_is_found_at_once(alice):
    _, secret = make_key(alice)
    assert ApiKey.objects.authenticate(secret)


PAGES_BESIDE_ANOTHER_DATABASE = """
from tests import settings

settings.DATABASES["bank"] = settings.DATABASES["default"]
import django

django.setup()
from django.urls import resolve

for page in ("/settings/api/keys/new", "/settings/api/keys/1/rotate", "/admin/finta_keys/apikey/1/rotate/"):
    print(*sorted(resolve(page).func._non_atomic_requests))
"""


def test_T1_no_page_is_inside_a_transaction_of_the_request_whichever_database_has_the_keys():
    """In a process of its own: Django reads the databases once."""
    printed = [sys.executable, "-c", PAGES_BESIDE_ANOTHER_DATABASE]
    ran = subprocess.run(printed, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.stdout.splitlines() == ["bank default"] * 3, ran.stderr
