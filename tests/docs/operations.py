"""What somebody who follows docs/operations.md does between its blocks, and what has to be true there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import yaml

from finta_keys.secret import generate
from tests.docs.proxies import through_caddy, through_nginx
from tests.docs.runner import Reader
from tests.docs.site import ANSWERS, OPERATOR, SiteReader
from tests.live.servers import postgresql

MANAGE = ".venv/bin/python manage.py"


def make_key(reader: SiteReader) -> None:
    """Make a key, have its secret in the clipboard, and its id in ``$KEY_ID``."""
    key = json.loads(reader.must(f"{MANAGE} createkey --user {OPERATOR} --name Script --json 2>/dev/null"))
    reader.clipboard = key["secret"]
    reader.must(f"KEY_ID={key['id']}")


def use_key(reader: SiteReader) -> str:
    """Call the API, and return the id of the request."""
    headers = f"-H 'Authorization: Bearer {reader.clipboard}' -H 'Host: keys.example.com'"
    answer = reader.must(f"curl -si {headers} {reader.url}/v2/accounts")
    assert "200 OK" in answer
    return re.findall(r"(?im)^x-request-id: (\w+)", answer)[0]


def caddy(reader: SiteReader) -> None:
    make_key(reader)
    through_caddy(reader)


def log(reader: SiteReader) -> None:
    """Keep what the site has printed, up to the line of a request."""
    request_id = use_key(reader)
    reader.must(f"REQUEST_ID={request_id}")
    site = reader.terminals["site"]
    site.wait_for(rf"{request_id}[^\n]*\n")
    (reader.folder / "site.log").write_bytes(site.said)


def restore(reader: SiteReader) -> None:
    """Something that was good at the time of the backup is gone; the site is stopped."""
    deleted, status = reader.run(f"echo {reader.clipboard} | {MANAGE} scankeys --delete --yes")
    assert status == 1, deleted
    assert not is_there(reader)
    for name in reader.servers:
        reader.terminals.pop(name).close()


def is_there(reader: SiteReader) -> bool:
    printed, status = reader.run(f"echo {reader.clipboard} | {MANAGE} scankeys")
    assert status == printed.count("1 live key,"), printed
    return bool(status)


def on_postgresql(reader: SiteReader) -> None:
    """Lead the site to another database, with a user and a key."""
    assert is_there(reader)  # restored
    server = reader.stack.enter_context(postgresql())
    with (reader.folder / ".env").open("a") as settings:
        settings.write(f"DATABASE_URL={server.make('finta')}&conn_max_age=600\n")
    for command in (f"{MANAGE} migrate", *ANSWERS):
        reader.must(command)
    make_key(reader)
    reader.restart()


def restored(reader: SiteReader) -> None:
    assert is_there(reader)
    reader.restart()


def leak(reader: SiteReader) -> None:
    (reader.folder / "build.log").write_text(f"KEY={reader.clipboard}\n")


def hook(reader: SiteReader) -> None:
    """Do what the hook does: search each line of a text for the pattern."""
    (repository,) = yaml.safe_load((reader.folder / ".pre-commit-config.yaml").read_text())["repos"]
    (it,) = repository["hooks"]
    assert (it["language"], it["types"]) == ("pygrep", ["text"])
    assert re.search(it["entry"], f"KEY={generate()}\n")
    assert not re.search(it["entry"], f"KEY={generate()[:-1]}\n")


ACTIVITIES: dict[str, Callable[[SiteReader], object]] = {
    "caddy": caddy,
    "nginx": through_nginx,
    "log": log,
    "restore": restore,
    "postgresql": on_postgresql,
    "restored": restored,
    "restart": Reader.restart,
    "use": use_key,
    "leak": leak,
    "hook": hook,
}
