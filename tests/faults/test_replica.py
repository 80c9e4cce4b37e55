"""Streaming replication: a router sends all reads to a replica that lags behind (rule K4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import servers, site

pytestmark = [pytest.mark.live, pytest.mark.rule("K4")]


@pytest.fixture(scope="module")
def served(postgresql) -> Iterator[site.Site]:
    """The site with two workers. The replica knows the tables, an owner with accounts, and no change since."""
    env = site.environment(postgresql.create_database("replicated"))
    site.manage(env, "migrate", "--verbosity", "0")
    owner = site.create_owner(env)
    with servers.lagging_replica(postgresql) as replica:
        running = site.Site({**env, "LIVE_REPLICA_URL": replica.url("replicated")})
        running.owner, running.replica = owner, replica  # type: ignore[attr-defined]
        running.start()
        try:
            yield running
        finally:
            running.close()


def shell(served: site.Site, code: str) -> None:
    """Run code in another process, as an operator does."""
    site.manage({**served.env, "LIVE_REPLICA_URL": ""}, "shell", "--command", code)


def statuses(served: site.Site, send) -> set[int]:
    """Return the statuses of several requests on connections of their own, for both workers."""
    return {send(served.connect()).status for _ in range(8)}


def test_replica_lags(served):
    served.sign_in(served.owner).create("Not replicated")
    count = "SELECT count(*) FROM {}"
    for table in ("finta_keys_apikey", "django_session"):
        assert rows(served.replica, count.format(table)) == 0
        assert rows(served.replica.primary, count.format(table)) > 0
    assert rows(served.replica, count.format("accounts_app_account")) == 3


def rows(server: servers.PostgreSQL, statement: str) -> int:
    import psycopg

    with psycopg.connect(f"host={server.folder} user=finta dbname=replicated") as connection:
        return connection.execute(statement).fetchone()[0]


def test_keys_and_accounts_are_read_from_the_primary(served):
    person = served.sign_in(served.owner)
    path = person.page("/settings/api").text
    secret = person.create("Fresh", served.owner.accounts[:1]).secret
    assert "Fresh" in person.page("/settings/api").text != path
    assert statuses(served, lambda one: one.call(secret)) == {200}
    body = {"name": "Wallet", "type": "cash", "currency": "EUR", "currentBalance": 1}
    account = served.connect().call(secret, "/v2/accounts", "POST", body).json()["account"]["id"]
    assert statuses(served, lambda one: one.call(secret, f"/v2/accounts/{account}")) == {200}
    assert "Wallet" in person.page("/accounts").text
    key = person.key_paths()[0]
    person.send(f"{key}/edit-scope", {"accounts": served.owner.accounts[1:2]})
    assert statuses(served, lambda one: one.call(secret, f"/v2/accounts/{served.owner.accounts[0]}")) == {404}
    assert statuses(served, lambda one: one.call(secret, f"/v2/accounts/{served.owner.accounts[1]}")) == {200}
    assert statuses(served, lambda one: one.call(secret, "/v2/transactions")) == {200}
    new = person.send(f"{key}/rotate", {}).secret
    assert statuses(served, lambda one: one.call(secret)) == {401}
    person.send(f"{key}/delete", {})
    assert statuses(served, lambda one: one.call(new)) == {401}


def test_sessions_are_read_from_the_primary(served):
    person = served.sign_in(served.owner)
    cookies = person._headers()
    assert statuses(served, lambda one: one.request("GET", "/accounts", headers=cookies)) == {200}
    person.post("/logout", person.form("/accounts"))
    assert statuses(served, lambda one: one.request("GET", "/accounts", headers=cookies)) == {302}


def test_users_are_read_from_the_primary(served):
    person = served.sign_in(served.owner)
    secret = person.create("Of an inactive owner").secret
    cookies = person._headers()
    find = f"from accounts_app.models import User; user = User.objects.get(email={served.owner.email!r}); "
    shell(served, find + "user.is_active = False; user.save()")
    assert statuses(served, lambda one: one.request("GET", "/accounts", headers=cookies)) == {302}
    assert statuses(served, lambda one: one.call(secret)) == {401}
    shell(served, find + "user.is_active = True; user.set_password('changed'); user.save()")
    assert statuses(served, lambda one: one.request("GET", "/accounts", headers=cookies)) == {302}
    assert statuses(served, lambda one: one.call(secret)) == {200}
