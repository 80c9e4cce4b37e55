"""Databases of released versions can be upgraded, also while the released code still runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.site import PASSWORD, Connection, Owner, Site, environment, manage
from tests.upgrades.releases import COMMITS, OWNER, SCHEMAS, SECRETS, check_out, load

pytestmark = pytest.mark.live

ACCOUNTS = {"All": {"Checking", "Savings"}, "Selected": {"Checking"}, "Reader": {"Checking", "Savings"}}
SET_PASSWORD = f"""
from accounts_app.models import User
user = User.objects.get(email={OWNER!r})
user.set_password({PASSWORD!r})
user.save(update_fields=["password"])
"""
SCHEMA = """
import json
from django.db import connection
with connection.cursor() as cursor:
    result = {}
    for table in connection.introspection.table_names(cursor):
        columns = connection.introspection.get_table_description(cursor, table)
        constraints = connection.introspection.get_constraints(cursor, table).values()
        result[table] = [
            sorted([column.name, str(column.type_code), column.null_ok, str(column.default)] for column in columns),
            sorted(json.dumps({**constraint, "definition": None}, default=str) for constraint in constraints),
        ]
print(json.dumps(result))
"""


def schema(env: dict[str, str]) -> Any:
    return json.loads(manage(env, "shell", "--no-imports", "--command", SCHEMA))


def accounts(connection: Connection, secret: str) -> set[str]:
    """Return the names of the accounts that the API shows. Fail if the key is not accepted."""
    response = connection.call(secret, "/v2/accounts")
    assert response.status == 200, response.text
    return {account["name"] for account in response.json()["accounts"]}


def visible(connection: Connection) -> dict[str, set[str]]:
    """Return the accounts that each key of the release can access."""
    return {name: accounts(connection, secret) for name, secret in SECRETS.items()}


@pytest.fixture(params=sorted(COMMITS))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def env(version: str, database_url: str) -> dict[str, str]:
    load(version, database_url)
    return environment(database_url)


@pytest.fixture
def released(version: str, env: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    """The site of the release, running on its own database."""
    try:
        code = check_out(version, tmp_path / "code")
    except subprocess.CalledProcessError:
        pytest.skip("This clone does not have the commit of the release.")
    manage(env, "shell", "--no-imports", "--command", SET_PASSWORD, root=code)
    site = Site(env, workers=1, root=code)
    site.start()
    yield site
    site.close()


def test_every_release_has_both_databases() -> None:
    names = {f"{version}.{kind}.sql" for version in COMMITS for kind in ("sqlite", "postgresql")}
    assert {path.name for path in SCHEMAS.iterdir()} == names


def test_upgraded_schema_equals_a_new_one(env: dict[str, str], database_url: str, tmp_path: Path) -> None:
    manage(env, "migrate", "--verbosity", "0")
    upgraded = schema(env)
    if database_url.startswith("sqlite"):
        new = environment(f"sqlite:///{tmp_path / 'new.sqlite3'}")
        manage(new, "migrate", "--verbosity", "0")
    else:
        new = env
        manage(env, "shell", "--no-imports", "--command", EMPTY)
        manage(new, "migrate", "--verbosity", "0")
    assert upgraded == schema(new)
    assert "finta_keys_apikey" in upgraded


def test_dropped_indexes_can_be_restored(env: dict[str, str]) -> None:
    manage(env, "migrate", "--verbosity", "0")
    current = schema(env)
    manage(env, "migrate", "finta_keys", "0007", "--verbosity", "0")
    assert schema(env) != current
    manage(env, "migrate", "--verbosity", "0")
    assert schema(env) == current


EMPTY = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
"""


def test_keys_keep_working_after_the_upgrade(env: dict[str, str]) -> None:
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "peppers", "--check")
    site = Site(env, workers=1)
    site.start()
    try:
        connection = site.connect()
        assert visible(connection) == ACCOUNTS
        assert connection.call(SECRETS["Reader"], "/v2/accounts", "POST", {"name": "New"}).status == 403
    finally:
        site.close()


def test_old_and_new_code_share_one_database(released: Site, env: dict[str, str]) -> None:
    """An upgrade without downtime: migrate while the old code runs, then start the new code, then stop the old."""
    old = released.connect()
    owner = Owner(OWNER, [])
    person = released.sign_in(owner)
    assert visible(old) == ACCOUNTS
    manage(env, "migrate", "--verbosity", "0")
    assert visible(old) == ACCOUNTS
    from_old = person.create("Created by the old code").secret
    site = Site(env, workers=1)
    site.start()
    try:
        new = site.connect()
        assert visible(new) == ACCOUNTS
        from_new = site.sign_in(owner).create("Created by the new code").secret
        assert {call.call(secret).status for call in (old, new) for secret in (from_old, from_new)} == {200}
        for changing, other in ((site.sign_in(owner), old), (released.sign_in(owner), new)):
            path = changing.key_paths()[0]
            rotated = changing.send(f"{path}/rotate", {}).secret
            assert other.call(rotated).status == 200
            assert changing.send(f"{path}/delete", {}).status == 302
            assert other.call(rotated).status == 401
        assert {call.call(secret).status for call in (old, new) for secret in (from_old, from_new)} == {401}
        assert visible(old) == visible(new) == ACCOUNTS
    finally:
        site.close()
