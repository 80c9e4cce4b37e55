"""Failures of workers, database, disk and cache: no partial changes, no access, automatic recovery."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time

import pytest

from tests.live import site
from tests.live.servers import wait_until

MOMENT = 0.15  # seconds that a create and a rotation take
KILLS = int(os.environ.get("SOAK_KILLS", "5"))
OUTAGES = int(os.environ.get("SOAK_FAILOVERS", "3"))
BURST = 50  # requests on each of four connections

pytestmark = pytest.mark.live

DATABASE_STATE = """
import json
from accounts_app.models import User
from finta_keys.models import ApiKey, KeyAccountScope
print(json.dumps({
    "keys": [[key.name, key.share_all_accounts, key.scope_rows.count(), key.rotation, key.owner.storage_mode]
             for key in ApiKey.objects.select_related("owner")],
    "stray": KeyAccountScope.objects.exclude(key__in=ApiKey.objects.all()).count(),
}))
"""

UNUSED = """
from finta_keys.models import ApiKey
print(ApiKey.objects.filter(last_used_at=None).count())
"""


def database_state(env):
    """Return the name, scope, rotation and Storage Mode of each key, and the number of stray scope rows."""
    return json.loads(site.manage(env, "shell", "--no-imports", "--command", DATABASE_STATE))


def try_request(action):
    """Return the response, or None if the server went away."""
    try:
        return action()
    except (OSError, http.client.HTTPException):
        return None


def assert_unavailable(response):
    assert response.status == 503
    assert response.json()["error"]["code"] == "UNAVAILABLE"
    assert int(response.headers["Retry-After"]) > 0


def status(action):
    response = try_request(action)
    return response and response.status


# Killed workers


def test_killed_worker_leaves_no_partial_key(database_url):
    """Restricted keys are created and rotated while workers are killed at random moments."""
    env = site.environment(database_url)
    rng = random.Random(os.environ.get("SOAK_SEED", "1"))  # noqa: S311  # repeatable on purpose
    with site.serving(env, workers=2) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secrets = [person.create("Rotated", owner.accounts[:1]).secret]
        path = person.key_paths()[0]
        shown = []
        for number in range(KILLS):
            create = person.form("/settings/api/keys/new") | site.scope(owner.accounts[:2]) | {"name": f"Key {number}"}
            rotate = person.form(f"{path}/rotate")
            killer = threading.Timer(rng.random() * MOMENT, kill_workers, [served])
            killer.start()
            posts = [(shown, "/settings/api/keys/new", create), (secrets, f"{path}/rotate", rotate)]
            for known_secrets, path_of_form, fields in rng.sample(posts, 2):  # in random order
                response = try_request(lambda: person.post(path_of_form, fields))  # noqa: B023  # called at once
                if response and response.status == 200:
                    known_secrets.append(response.secret)
            killer.join()
            wait_until(lambda: status(lambda: served.connect().call("finta_x")) == 401, "the site to recover")
            person.close()
        state = database_state(env)
        print(f"killed {KILLS} times: {len(state['keys']) - 1} keys created, {len(shown)} secrets shown")
        print(f"and {max(rotation for *_, rotation, _ in state['keys'])} rotations, {len(secrets) - 1} of them shown")
        assert state["stray"] == 0
        for name, all_accounts, rows, rotation, storage_mode in state["keys"]:
            assert storage_mode
            assert not all_accounts
            assert rows == (1 if name == "Rotated" else 2)
            if name == "Rotated":
                assert rotation >= len(secrets) - 1  # more if a response was lost
        assert {served.connect().call(secret).status for secret in shown} <= {200}
        assert {served.connect().call(secret).status for secret in secrets[:-1]} <= {401}


def kill_workers(served):
    for pid in served.worker_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# Database failures


def test_stopped_database_gives_503_until_it_is_back(postgresql):
    env = site.environment(postgresql.create_database("stopped"))
    with site.serving(env, workers=2) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        connections = [served.connect() for _ in range(4)]
        for mode in ("fast", "immediate"):
            postgresql.stop(mode)
            try:
                for connection in connections:
                    assert_unavailable(connection.call(secret, "/v2/accounts"))
                    assert_unavailable(connection.call(secret, "/v2/health"))
                page = person.page("/settings/api")
                assert page.status == 503
                assert "Try again in a few seconds" in page.text
                assert int(page.headers["Retry-After"]) > 0
                # A malformed key needs no database.
                assert connections[0].call("finta_malformed").status == 401
            finally:
                postgresql.start()
            start, rounds = time.monotonic(), 1
            while [connection.call(secret, "/v2/accounts").status for connection in connections] != [200] * 4:
                rounds += 1
            print(f"{mode}: recovered after {time.monotonic() - start:.2f} s and {rounds} rounds")
            assert rounds <= 5, "Each thread may notice once that its connection was lost."
        assert person.page("/settings/api").status == 200


def test_outages_leave_few_lines_in_the_log(postgresql, tmp_path):
    log = tmp_path / "log"
    env = site.environment(postgresql.create_database("outages"))
    with site.serving(env, workers=2, log=log) as served:
        secret = served.sign_in(site.create_owner(env)).create("Used").secret
        started, connections = time.monotonic(), [served.connect() for _ in range(4)]
        for _ in range(OUTAGES):
            postgresql.stop("immediate")
            for _ in range(BURST):
                assert {connection.call(secret, "/v2/accounts").status for connection in connections} == {503}
            postgresql.start()
            for connection in connections:
                wait_until(lambda: connection.call(secret).status == 200, "the site to recover")  # noqa: B023
        minutes = 1 + (time.monotonic() - started) // 60
    lines = log.read_text().splitlines()
    errors = sum('"level": "ERROR"' in line for line in lines)
    print(f"{OUTAGES} outages with {4 * BURST} requests each: {len(lines):,} lines, {errors:,} errors,")
    print(f"{log.stat().st_size / 1e6:.3f} MB")
    assert 0 < errors <= 2 * (minutes + 1)  # of each worker, one a minute
    assert len(lines) <= errors + 10


def test_read_only_database_serves_reads(postgresql):
    env = site.environment(postgresql.create_database("read_only"))
    with site.serving(env, workers=1) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        path = person.key_paths()[0]
        fields = person.form(f"{path}/rename")
        postgresql.sql("ALTER DATABASE read_only SET default_transaction_read_only = on")
        served.stop()
        served.start()
        person.close()
        for _ in range(3):
            assert served.connect().call(secret, "/v2/accounts").status == 200
        assert person.page("/settings/api").status == 200
        response = person.post(f"{path}/rename", fields | {"name": "Renamed"})
        assert response.status in (500, 503)
        assert "Traceback" not in response.text
        postgresql.sql("ALTER DATABASE read_only SET default_transaction_read_only = off")
        assert [name for name, *_ in database_state(env)["keys"]] == ["Used"]


@pytest.mark.rule("T3")
def test_reads_continue_while_synchronous_standby_is_away(postgresql):
    env = site.environment(postgresql.create_database("standby"))
    with site.serving(env, workers=2) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secrets = [person.create(f"Key {number}").secret for number in range(6)]
        postgresql.sql("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        postgresql.sql("SELECT pg_reload_conf()")
        try:
            time.sleep(0.5)  # until the server has read its settings
            for secret in secrets:
                assert served.connect().call(secret, "/v2/accounts").status == 200
                assert served.connect().call(secret, "/v2/health").status == 200
        finally:
            postgresql.sql("ALTER SYSTEM RESET synchronous_standby_names")
            postgresql.sql("SELECT pg_reload_conf()")
    assert site.manage(env, "shell", "--no-imports", "--command", UNUSED) == "0"


def test_full_disk_serves_reads(tmp_path):
    env = site.environment(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    with site.serving(env, workers=1) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        path = person.key_paths()[0]
        served.stop()
        served.env["LIVE_SQLITE_PRAGMAS"] = "PRAGMA max_page_count = 1;"  # no page can be added, as on a full disk
        served.start()
        person.close()
        for _ in range(3):
            assert served.connect().call(secret, "/v2/accounts").status == 200
        statuses = {person.create(f"Key {n} {'x' * 80}").status for n in range(40)}
        print(f"creates on a full disk: {statuses}")
        assert statuses <= {200, 503}
        assert 503 in statuses
        assert served.connect().call(secret, "/v2/accounts").status == 200
        assert path in person.page("/settings/api").text
        del served.env["LIVE_SQLITE_PRAGMAS"]
    assert all(storage_mode for *_, storage_mode in database_state(env)["keys"])


# PgBouncer


def test_pgbouncer_in_transaction_mode(postgresql, pgbouncer):
    postgresql.create_database("pooled")
    env = site.environment(pgbouncer.url("pooled"))
    with site.serving(env, workers=2) as served:
        owner = site.create_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Pooled", owner.accounts[:1]).secret
        path = person.key_paths()[0]
        for number in range(10):
            rotated = person.send(f"{path}/rotate", {})
            assert served.connect().call(secret).status == 401
            secret = rotated.secret
            accounts = served.connect().call(secret, "/v2/accounts").json()["accounts"]
            assert len(accounts) == 1
            assert person.send(f"{path}/rename", {"name": f"Pooled {number}"}).status == 302
        assert served.connect().call(secret, "/v2/transactions").status == 200
        assert person.page("/settings/api").status == 200
