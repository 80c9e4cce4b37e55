"""A read never waits for somebody who writes (rules T1 to T3)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.live import site

AT_ONCE = 5.0  # seconds; whoever waited for a lock would wait longer: on SQLite 20, on PostgreSQL until it is gone

pytestmark = pytest.mark.live


@contextmanager
def everything_locked(url: str) -> Iterator[None]:
    """Hold what a change of everything would: the rows of owners, keys, accounts and scopes; on SQLite the file."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()
        connection.close()
        return
    with psycopg.connect(url.replace("postgres://", "postgresql://")) as connection:
        for table in ("accounts_app_user", "finta_keys_apikey", "accounts_app_account", "finta_keys_keyaccountscope"):
            connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")  # noqa: S608  # names of ours
        yield
        connection.rollback()


LAST_USED = "from finta_keys.models import ApiKey; print(ApiKey.objects.get().last_used_at)"


def test_T3_while_all_rows_are_locked_a_key_is_served_and_its_use_written_later(database_url):
    env = site.environment(database_url)
    with site.serving(env, workers=1) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used", owner.accounts[:1]).secret
        asked = served.connect()
        with everything_locked(database_url):
            begun = time.monotonic()
            for path in ("/v2/me", "/v2/accounts", f"/v2/accounts/{owner.accounts[0]}", "/v2/transactions"):
                assert asked.call(secret, path).status == 200
            assert asked.call(secret, f"/v2/accounts/{owner.accounts[1]}").status == 404
            assert person.page("/settings/api").status == 200
            assert time.monotonic() - begun < AT_ONCE
            assert site.manage(env, "shell", "--no-imports", "--command", LAST_USED) == "None"
        assert asked.call(secret).status == 200
        assert asked.call(secret).status == 200  # The first one's use is written before this one is looked at.
        assert site.manage(env, "shell", "--no-imports", "--command", LAST_USED) != "None"
