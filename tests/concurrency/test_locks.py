"""Reads never wait for writes (rules T1 to T3)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.live import site

AT_ONCE = 5.0  # seconds; waiting for a lock takes longer: 20 on SQLite, until it is released on PostgreSQL

pytestmark = pytest.mark.live


@contextmanager
def all_rows_locked(url: str) -> Iterator[None]:
    """Lock the rows of owners, keys, accounts and scopes; on SQLite, the file."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()
        connection.close()
        return
    with psycopg.connect(url.replace("postgres://", "postgresql://")) as connection:
        for table in ("accounts_app_user", "finta_keys_apikey", "accounts_app_account", "finta_keys_keyaccountscope"):
            connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")  # noqa: S608  # our own table names
        yield
        connection.rollback()


LAST_USED = "from finta_keys.models import ApiKey; print(ApiKey.objects.get().last_used_at)"


@pytest.mark.rule("T3")
def test_locked_rows_delay_no_read(database_url):
    env = site.environment(database_url)
    with site.serving(env, workers=1) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used", owner.accounts[:1]).secret
        connection = served.connect()
        with all_rows_locked(database_url):
            start = time.monotonic()
            for path in ("/v2/me", "/v2/accounts", f"/v2/accounts/{owner.accounts[0]}", "/v2/transactions"):
                assert connection.call(secret, path).status == 200
            assert connection.call(secret, f"/v2/accounts/{owner.accounts[1]}").status == 404
            assert person.page("/settings/api").status == 200
            assert time.monotonic() - start < AT_ONCE
            assert site.manage(env, "shell", "--no-imports", "--command", LAST_USED) == "None"
        assert connection.call(secret).status == 200
        assert connection.call(secret).status == 200  # The first request's use is saved before this response.
        assert site.manage(env, "shell", "--no-imports", "--command", LAST_USED) != "None"
