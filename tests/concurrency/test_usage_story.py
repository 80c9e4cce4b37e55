"""The numbers of the report are those in the log of a proxy (rules H2 and H4)."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import servers, site

pytestmark = [pytest.mark.live, pytest.mark.rule("H2"), pytest.mark.rule("H4")]

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
  log_format story escape=json '{{"caller":"$http_x_caller","address":"$remote_addr","agent":"$http_user_agent",'
    '"method":"$request_method","path":"$uri","status":$status}}';
  access_log {folder}/log story;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{site};
      proxy_set_header Host 127.0.0.1;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
    }}
  }}
}}
"""
NEW_ACCOUNT = {"name": "New", "type": "other", "currency": "USD", "currentBalance": 1}
AGENTS = {"curl/8.5.0": "curl", "python-requests/2.31": "python-requests", "(odd)": "other"}
ADDRESSES = ("127.0.0.1", "127.0.1.7", "127.0.2.9")  # of the machine itself, in three networks
WITHIN = 60.0  # seconds until counts are saved
ROUNDS, THREADS, OLD_DAYS = 120, 4, 3000
OLD_COUNTS = f"""
from datetime import datetime, timedelta, UTC
from finta_keys.models import KeyUsage
at = datetime(2020, 1, 1, tzinfo=UTC)
numbers = dict(requests=1, reads=1, writes=0, refused=0, first_at=at, last_at=at, source="old", agent="old")
days = [at.date() - timedelta(days=number) for number in range({OLD_DAYS})]
KeyUsage.objects.bulk_create(KeyUsage(key_id="{{}}", day=day, **numbers) for day in days)
"""


class Proxy:
    """nginx in front of the site, with a log of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, servers.free_port()
        (folder / "conf").write_text(NGINX.format(folder=folder, port=self.port, site=port))

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        process = subprocess.Popen([servers.program("nginx"), "-c", str(self.folder / "conf"), "-p", str(self.folder)])
        try:
            servers.wait_until(lambda: servers.is_listening(self.port), "nginx to start")
            yield self
        finally:
            process.terminate()
            process.wait()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def send(self, address: str, method: str, path: str, body: Any = None, **headers: str) -> int:
        """Send a request from an address of this machine. Return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 60, source_address=(address, 0))
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


def send_some(proxy: Proxy, secrets: dict[str, str], accounts: list[str], seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(ROUNDS):
        caller = choose.choice([*secrets, "stranger"])
        method, path, body = choose.choice(
            [
                ("GET", "/v2/accounts", None),
                ("GET", f"/v2/accounts/{choose.choice(accounts)}", None),
                ("GET", "/v2/accounts/unknown", None),
                ("GET", "/v2/me", None),
                ("HEAD", "/v2/accounts", None),
                ("PUT", "/v2/accounts", {}),
                ("PATCH", f"/v2/accounts/{choose.choice(accounts)}", {"name": "x"}),
                ("POST", "/v2/accounts", {}),
            ]
        )
        headers = {
            "Authorization": f"Bearer {secrets.get(caller, 'finta_unknown')}",
            "X-Caller": caller,
            "X-Forwarded-For": "203.0.113.66",  # forged
            "User-Agent": choose.choice([*AGENTS]),
            "Content-Type": "application/json",
        }
        proxy.send(choose.choice(ADDRESSES), method, path, body, **headers)


def expected(log: list[dict[str, Any]], caller: str, scope: list[str]) -> dict[str, Any]:
    """Return the numbers that the proxy recorded for a caller, as ``reported()`` does."""
    total, sources, shown = Counter(), {}, Counter()
    for line in (line for line in log if line["caller"] == caller):
        source = ".".join(line["address"].split(".")[:3]) + ".0/24", AGENTS[line["agent"]]
        kinds = ["requests"]
        if line["status"] < 400:
            kinds.append("reads" if line["method"] in ("GET", "HEAD") else "writes")
        elif line["status"] < 500:
            kinds.append("refused")
        total.update(kinds)
        sources.setdefault(source, Counter()).update(kinds)
        if line["status"] < 300:
            account = line["path"].removeprefix("/v2/accounts/")
            shown.update(scope if line["path"] == "/v2/accounts" else [account] if account in scope else [])
    return {"total": total, "sources": sources, "shown": shown}


def reported(env: dict[str, str], key: str) -> dict[str, Any]:
    """Return the numbers of the report of a key."""
    rows = json.loads(site.manage(env, "keyreport", key, "--json"))["rows"]

    def numbers(row: dict[str, Any]) -> Counter[str]:
        return Counter({name: row[name] for name in ("requests", "reads", "writes", "refused") if row[name]})

    return {
        "total": numbers(rows[0]),
        "sources": {(row["id"], row["name"]): numbers(row) for row in rows if row["kind"] == "source"},
        "shown": Counter(
            {row["id"]: row["responses"] for row in rows if row["kind"] == "account" and row["responses"]}
        ),
    }


def test_report_equals_log_of_proxy(database_url, tmp_path):
    if "CI" in os.environ and database_url.startswith("sqlite"):
        pytest.skip("It waits a minute. CI runs it on PostgreSQL, `make live` on both.")
    env = site.environment(database_url, TRUSTED_PROXY_COUNT="1")
    with site.serving(env, workers=2, threads=4) as served:
        owner = site.create_owner(env)
        options = {"all": [], "one": ["--account", owner.accounts[0]], "reader": ["--read-only"]}
        created = {
            name: json.loads(site.manage(env, "createkey", "--user", owner.email, "--name", name, "--json", *own))
            for name, own in options.items()
        }
        secrets = {name: key["secret"] for name, key in created.items()}
        scopes = {"all": owner.accounts, "one": owner.accounts[:1], "reader": owner.accounts}
        with Proxy(tmp_path, served.port).serving() as proxy:

            def run(seed: int) -> None:
                with ThreadPoolExecutor(THREADS) as pool:
                    list(
                        pool.map(
                            lambda number: send_some(proxy, secrets, owner.accounts, seed + number), range(THREADS)
                        )
                    )

            def compare() -> None:
                log = proxy.log()
                for name, key in created.items():
                    assert reported(env, key["id"]) == expected(log, name, scopes[name]), name

            # An idle site saves its counts, though no request follows.
            run(0)
            time.sleep(WITHIN)
            compare()
            # Workers that exit save theirs. Old counts are deleted in the meantime.
            assert site.manage(env, "shell", "--no-imports", "--command", OLD_COUNTS.format(created["all"]["id"])) == ""
            with ThreadPoolExecutor(1) as pool:
                pruned = pool.submit(site.manage, env, "prunekeys", "--json")
                run(100)
                served.stop()
            assert json.loads(pruned.result())["counts"] == OLD_DAYS
            compare()
            # A page, and a deleted key.
            served.start()
            person = served.sign_in(owner)
            path = f"/settings/api/keys/{created['one']['id']}/report"
            total = expected(proxy.log(), "one", scopes["one"])["total"]
            page = person.page(path).text
            for label, number in (("Requests", total["requests"]), ("Reads", total["reads"])):
                assert f"<dt>{label}</dt> <dd>{number}</dd>" in page
            person.send(f"/settings/api/keys/{created['one']['id']}/delete", {})
            assert "This key was deleted." in person.page(path).text
            # SIGKILL loses the counts of the last minute, and no others.
            before = {name: reported(env, key["id"]) for name, key in created.items()}
            run(200)
            for pid in served.worker_pids():
                os.kill(pid, signal.SIGKILL)
            served.stop()
            after = {name: reported(env, key["id"]) for name, key in created.items()}
            log = proxy.log()
            for name in created:
                complete = expected(log, name, scopes[name])["total"]
                assert before[name]["total"] <= after[name]["total"] <= complete
