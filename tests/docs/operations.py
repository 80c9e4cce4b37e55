"""Steps between the blocks of docs/operations.md, and their assertions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import yaml

from finta_keys.secret import generate
from tests.docs.proxies import call_through_caddy, call_through_nginx
from tests.docs.runner import Reader
from tests.docs.site import INPUTS, OPERATOR, SiteReader
from tests.live.servers import postgresql

MANAGE = ".venv/bin/python manage.py"


def make_key(reader: SiteReader) -> None:
    """Create a key, copy its secret, and set ``$KEY_ID``."""
    key = json.loads(reader.must(f"{MANAGE} createkey --user {OPERATOR} --name Script --json 2>/dev/null"))
    reader.clipboard = key["secret"]
    reader.must(f"KEY_ID={key['id']}")


def use_key(reader: SiteReader) -> str:
    """Call the API and return the request id."""
    headers = f"-H 'Authorization: Bearer {reader.clipboard}' -H 'Host: keys.example.com'"
    response = reader.must(f"curl -si {headers} {reader.url}/v2/accounts")
    assert "200 OK" in response
    return re.findall(r"(?im)^x-request-id: (\w+)", response)[0]


def caddy(reader: SiteReader) -> None:
    make_key(reader)
    call_through_caddy(reader)


def log(reader: SiteReader) -> None:
    """Save the site's output up to the line of a request."""
    request_id = use_key(reader)
    reader.must(f"REQUEST_ID={request_id}")
    site = reader.terminals["site"]
    site.wait_for(rf"{request_id}[^\n]*\n")
    (reader.folder / "site.log").write_bytes(site.output)


def restore(reader: SiteReader) -> None:
    """Delete a key that the backup contains, and stop the site."""
    deleted, status = reader.run(f"echo {reader.clipboard} | {MANAGE} scankeys --delete --yes")
    assert status == 1, deleted
    assert not key_exists(reader)
    for name in reader.servers:
        reader.terminals.pop(name).close()


def key_exists(reader: SiteReader) -> bool:
    printed, status = reader.run(f"echo {reader.clipboard} | {MANAGE} scankeys")
    assert status == printed.count("1 live key,"), printed
    return bool(status)


def use_postgresql(reader: SiteReader) -> None:
    """Switch the site to PostgreSQL and add a user and a key."""
    assert key_exists(reader)  # restored
    server = reader.stack.enter_context(postgresql())
    with (reader.folder / ".env").open("a") as settings:
        settings.write(f"DATABASE_URL={server.create_database('finta')}&conn_max_age=600\n")
    for command in (f"{MANAGE} migrate", *INPUTS):
        reader.must(command)
    make_key(reader)
    reader.restart()


def restored(reader: SiteReader) -> None:
    assert key_exists(reader)
    reader.restart()


def leak(reader: SiteReader) -> None:
    (reader.folder / "build.log").write_text(f"KEY={reader.clipboard}\n")


def hook(reader: SiteReader) -> None:
    """Search like the pre-commit hook: each line of a text for the pattern."""
    (repository,) = yaml.safe_load((reader.folder / ".pre-commit-config.yaml").read_text())["repos"]
    (pre_commit,) = repository["hooks"]
    assert (pre_commit["language"], pre_commit["types"]) == ("pygrep", ["text"])
    assert re.search(pre_commit["entry"], f"KEY={generate()}\n")
    assert not re.search(pre_commit["entry"], f"KEY={generate()[:-1]}\n")


ACTIVITIES: dict[str, Callable[[SiteReader], object]] = {
    "caddy": caddy,
    "nginx": call_through_nginx,
    "log": log,
    "restore": restore,
    "postgresql": use_postgresql,
    "restored": restored,
    "restart": Reader.restart,
    "use": use_key,
    "leak": leak,
    "hook": hook,
}
