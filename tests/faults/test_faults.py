"""What breaks around the site: nothing is half done, nobody is let in, and it recovers by itself."""

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

MOMENT = 0.15  # seconds within which a create and a rotation are done
KILLS = int(os.environ.get("SOAK_KILLS", "5"))

pytestmark = pytest.mark.live

AFTERMATH = """
import json
from accounts_app.models import User
from finta_keys.models import ApiKey, KeyAccountScope
print(json.dumps({
    "keys": [[key.name, key.share_all_accounts, key.scope_rows.count(), key.rotation, key.owner.storage_mode]
             for key in ApiKey.objects.select_related("owner")],
    "stray": KeyAccountScope.objects.exclude(key__in=ApiKey.objects.all()).count(),
}))
"""


def aftermath(env):
    """Return what is in the database: per key its name, scope, rotation and whether Storage Mode is on."""
    return json.loads(site.manage(env, "shell", "--no-imports", "--command", AFTERMATH))


def try_to(action):
    """Return what the action returns, or None where the server went away meanwhile."""
    try:
        return action()
    except (OSError, http.client.HTTPException):
        return None


def is_unavailable(answer):
    assert answer.status == 503
    assert answer.json()["error"]["code"] == "UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0


def status(action):
    answer = try_to(action)
    return answer and answer.status


# A worker is killed


def test_a_worker_that_is_killed_leaves_a_whole_key_or_none(database_url):
    """Creates of restricted keys and rotations, while workers die at random moments."""
    env = site.environment(database_url)
    chance = random.Random(os.environ.get("SOAK_SEED", "1"))  # noqa: S311  # repeatable on purpose
    with site.serving(env, workers=2) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secrets = [person.create("Rotated", owner.accounts[:1]).secret]
        path = person.key_paths()[0]
        shown = []
        for number in range(KILLS):
            create = person.form("/settings/api/keys/new") | site.scope(owner.accounts[:2]) | {"name": f"Key {number}"}
            rotate = person.form(f"{path}/rotate")
            killer = threading.Timer(chance.random() * MOMENT, kill_workers, [served])
            killer.start()
            posts = [(shown, "/settings/api/keys/new", create), (secrets, f"{path}/rotate", rotate)]
            for secrets_of, where, fields in chance.sample(posts, 2):  # either may be hit
                answer = try_to(lambda: person.post(where, fields))  # noqa: B023  # called at once
                if answer and answer.status == 200:
                    secrets_of.append(answer.secret)
            killer.join()
            wait_until(lambda: status(lambda: served.connect().call("finta_x")) == 401, "a site that answers again")
            person.close()
        left = aftermath(env)
        print(f"killed {KILLS} times: {len(left['keys']) - 1} keys made, {len(shown)} of them shown")
        print(f"and {max(rotation for *_, rotation, _ in left['keys'])} rotations, {len(secrets) - 1} of them shown")
        assert left["stray"] == 0
        for name, all_accounts, rows, rotation, storage_mode in left["keys"]:
            assert storage_mode
            assert not all_accounts
            assert rows == (1 if name == "Rotated" else 2)
            if name == "Rotated":
                assert rotation >= len(secrets) - 1  # more, where the answer got lost
        assert {served.connect().call(each).status for each in shown} <= {200}
        assert {served.connect().call(each).status for each in secrets[:-1]} <= {401}


def kill_workers(served):
    for pid in served.worker_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# The database goes away


def test_a_database_that_is_stopped_is_a_503_and_comes_back_without_a_restart(postgresql):
    env = site.environment(postgresql.make("stopped"))
    with site.serving(env, workers=2) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        connections = [served.connect() for _ in range(4)]
        for how in ("fast", "immediate"):
            postgresql.stop(how)
            try:
                for connection in connections:
                    is_unavailable(connection.call(secret, "/v2/accounts"))
                    is_unavailable(connection.call(secret, "/v2/health"))
                page = person.page("/settings/api")
                assert page.status == 503
                assert "Try again in a few seconds" in page.text
                assert int(page.headers["Retry-After"]) > 0
                # What needs no database is answered as ever.
                assert connections[0].call("finta_malformed").status == 401
            finally:
                postgresql.start()
            begun, rounds = time.monotonic(), 1
            while [each.call(secret, "/v2/accounts").status for each in connections] != [200] * 4:
                rounds += 1
            print(f"{how}: well again after {time.monotonic() - begun:.2f} s and {rounds} rounds")
            assert rounds <= 5, "Each thread may find out once that its connection was lost."
        assert person.page("/settings/api").status == 200


def test_a_database_that_cannot_be_written_still_serves_what_is_read(postgresql):
    env = site.environment(postgresql.make("read_only"))
    with site.serving(env, workers=1) as served:
        owner = site.make_owner(env)
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
        answer = person.post(f"{path}/rename", fields | {"name": "Renamed"})
        assert answer.status in (500, 503)
        assert "Traceback" not in answer.text
        postgresql.sql("ALTER DATABASE read_only SET default_transaction_read_only = off")
        assert [name for name, *_ in aftermath(env)["keys"]] == ["Used"]


def test_a_disk_that_is_full_still_serves_what_is_read(tmp_path):
    env = site.environment(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    with site.serving(env, workers=1) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        path = person.key_paths()[0]
        served.stop()
        served.env["LIVE_SQLITE_PRAGMAS"] = "PRAGMA max_page_count = 1;"  # no page may be added: as on a full disk
        served.start()
        person.close()
        for _ in range(3):
            assert served.connect().call(secret, "/v2/accounts").status == 200
        answers = {person.create(f"Key {n} {'x' * 80}").status for n in range(40)}
        print(f"creates on a full disk: {answers}")
        assert answers <= {200, 503}
        assert 503 in answers
        assert served.connect().call(secret, "/v2/accounts").status == 200
        assert path in person.page("/settings/api").text
        del served.env["LIVE_SQLITE_PRAGMAS"]
    assert all(storage_mode for *_, storage_mode in aftermath(env)["keys"])


# The cache goes away


def test_a_redis_that_is_stopped_takes_the_limit_away_and_not_the_site(postgresql, redis):
    limits = {"API_RATE_LIMIT": "5/hour", "RATE_LIMIT_STORAGE": redis.url}
    env = site.environment(postgresql.make("no_redis"), **limits)
    with site.serving(env, workers=2) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Used").secret
        asked = served.connect()
        assert [asked.call(secret).status for _ in range(6)] == [200] * 5 + [429]
        redis.stop()
        try:
            begun = time.monotonic()
            assert [asked.call(secret).status for _ in range(20)] == [200] * 20
            assert time.monotonic() - begun < 10
            assert served.sign_in(owner).page("/settings/api").status == 200
            assert asked.call("finta_x").status == 401
        finally:
            redis.start()
        wait_until(lambda: asked.call(secret).status == 429, "a limit that counts again")


# A pool between the site and the database


def test_pgbouncer_in_transaction_mode(postgresql, pgbouncer):
    postgresql.make("pooled")
    env = site.environment(pgbouncer.url("pooled"))
    with site.serving(env, workers=2) as served:
        owner = site.make_owner(env)
        person = served.sign_in(owner)
        secret = person.create("Pooled", owner.accounts[:1]).secret
        path = person.key_paths()[0]
        for number in range(10):
            rotated = person.send(f"{path}/rotate", {})
            assert served.connect().call(secret).status == 401
            secret = rotated.secret
            seen = served.connect().call(secret, "/v2/accounts").json()["accounts"]
            assert len(seen) == 1
            assert person.send(f"{path}/rename", {"name": f"Pooled {number}"}).status == 302
        assert served.connect().call(secret, "/v2/transactions").status == 200
        assert person.page("/settings/api").status == 200
