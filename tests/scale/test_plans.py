"""No statement reads all rows of a table that grows with the number of owners."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from accounts_app.models import User
from benchmarks.make_data import Size, make, pk
from finta_keys import secret
from finta_keys.models import ApiKey
from finta_keys.testing import make_key
from tests.conftest import ApiClient
from tests.scale import plans

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("statistics")]

READS = {
    "me": "/v2/me",
    "an account by id": "/v2/accounts/{account}",
    "the list of accounts": "/v2/accounts",
    "the list of accounts of a connection": "/v2/accounts?status=all&bankConnectionId={connection}",
    "a page of transactions": "/v2/transactions",
    "a page of transactions of one account": "/v2/transactions?status=all&bankAccountId={account}",
    "a page of transactions of some days": "/v2/transactions?startDate=2025-12-01&endDate=2025-12-31",
    "a page of transactions of a connection": "/v2/transactions?bankConnectionId={connection}",
}


def scans(work):
    """Return the full scans of the statements that ``work()`` runs."""
    statements = plans.statements_of(work)
    assert statements, "No statements."
    return [scan for statement in statements for scan in plans.full_scans(statement)]


def get(client, url):
    response = client.get(url)
    assert response.status_code == 200, response.content
    return response


@pytest.fixture
def urls(owner):
    values = {"account": owner.accounts[0].pk, "connection": "00000000-0000-4000-8000-000000000000"}
    return {name: url.format(**values) for name, url in READS.items()}


@pytest.mark.parametrize("key", ["restricted", "all accounts"])
@pytest.mark.parametrize("read", READS)
def test_reads_use_indexes(owner, urls, key, read):
    assert scans(lambda: get(owner.clients[key], urls[read])) == []


@pytest.mark.parametrize("key", ["restricted", "all accounts"])
def test_later_pages_use_indexes(owner, key):
    first = get(owner.clients[key], "/v2/transactions?limit=3").json()
    later = f"/v2/transactions?limit=3&cursor={first['pageInfo']['nextCursor']}"
    assert scans(lambda: get(owner.clients[key], later)) == []


@pytest.mark.rule("X4")
@pytest.mark.parametrize("count", [1, 3])
def test_digests_of_all_peppers_use_the_index(crowd, settings, count):
    settings.FINTA_KEYS_PEPPERS = [f"{number}" * 64 for number in range(1, count + 1)]
    assert scans(lambda: ApiClient(secret.generate()).get("/v2/me")) == []


def test_writes_use_indexes(owner):
    client = owner.clients["restricted"]
    body = {"name": "Wallet", "type": "cash", "currency": "EUR", "currentBalance": 1}

    def write():
        response = client.send("post", "/v2/accounts", body)
        url = f"/v2/accounts/{response.json()['account']['id']}"
        assert client.send("patch", url, {"name": "Purse"}).status_code == 200
        assert client.send("delete", url).status_code == 204

    assert scans(write) == []


@pytest.mark.parametrize("url", ["/settings/api", "/accounts", "/settings/data"])
def test_pages_use_indexes(owner, url):
    browser = Client()
    browser.force_login(owner.user)
    assert scans(lambda: get(browser, url)) == []


def test_actions_use_indexes(owner):
    def all_actions():
        key, _ = make_key(owner.user, "New", owner.accounts[:1])
        key.rename("Newer")
        key.restrict_to(owner.accounts[1:3])
        key.rotate()
        key.share_all()
        key.delete()

    assert scans(all_actions) == []


def test_deleting_an_account_in_many_scopes_uses_indexes(owner):
    for number in range(100):
        make_key(owner.user, f"Many {number}", owner.accounts)
    assert scans(owner.accounts[0].delete) == []
    assert ApiKey.objects.filter(name="Many 99", accounts__isnull=False).exists()


def test_deleting_an_owner_with_a_thousand_keys(crowd, db):
    start = 1_000_000
    make(connection, Size(1, 1000, 5, 4, 5), start=start)
    statements = plans.statements_of(User.objects.get(pk=pk("owner", start)).delete)
    assert not ApiKey.objects.filter(pk=pk("key", start + 999)).exists()
    if connection.vendor == "sqlite":  # PostgreSQL scans on purpose: a thousand keys are a fifth of this table.
        assert [scan for statement in statements for scan in plans.full_scans(statement)] == []
    assert len(statements) < 60  # the history is saved in batches


def test_foreign_keys_to_growing_tables_are_indexed():
    """The database looks for references to deleted rows itself, which no plan shows."""
    growing = plans.growing_tables()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            constraints = connection.introspection.get_constraints(cursor, table).values()
            indexed = {c["columns"][0] for c in constraints if c["index"] or c["unique"] or c["primary_key"]}
            for constraint in constraints:
                target = constraint["foreign_key"]
                if target and target[0] in growing:
                    assert constraint["columns"][0] in indexed, f"{table}.{constraint['columns'][0]} has no index."


def test_no_index_repeats_the_start_of_another(db):
    """It would only make writes slower and the database larger."""
    for model in apps.get_app_config("finta_keys").get_models():
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
        indexes = {name: c["columns"] for name, c in constraints.items() if c["index"] or c["unique"]}
        repeated = {
            name: other
            for name, columns in indexes.items()
            for other, longer in indexes.items()
            if name != other and not constraints[name]["unique"] and longer[: len(columns)] == columns
        }
        assert repeated == {}


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("finta_keys_apikey", "me"),
        ("accounts_app_user", "me"),
        ("accounts_app_account", "an account by id"),
        ("finta_keys_keyaccountscope", "the list of accounts"),
        ("accounts_app_transaction", "a page of transactions of one account"),
    ],
)
def test_missing_index_is_found(owner, urls, table, read):
    plans.hide_indexes(table)
    assert scans(lambda: get(owner.clients["restricted"], urls[read])) != []
