"""Released versions: their commits, and their databases as SQL.

``python -m tests.upgrades.releases VERSION`` writes the database of a version: see RELEASING.md.
"""

from __future__ import annotations

import io
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import psycopg

from finta_keys.secret import checksum
from tests.live import servers
from tests.live.site import ROOT, environment, manage

COMMITS = {"0.1.0": "fc459aeae6c6927da000af71821bd32ae77a3825"}
SCHEMAS = Path(__file__).parent / "schemas"
OWNER = "alice@example.com"
# Secrets of the keys in each database. Built here, so that no file contains a secret.
SECRETS = {name: body + checksum(body) for name in ("All", "Selected", "Reader") for body in [f"finta_{name[0] * 48}"]}

# Run by the code of the release. Names of accounts and of keys are those that the tests expect.
FILL = """
import datetime
from unittest.mock import patch
from accounts_app.models import Account, Transaction, User
from finta_keys.models import ApiKey

alice, bob = (User.objects.create_user(f"{name}@example.com", "x") for name in ("alice", "bob"))
fields = {"type": "depository", "currency": "USD", "current_balance": 1}
for owner, name in ((alice, "Checking"), (alice, "Savings"), (bob, "Other")):
    account = Account.objects.create(owner=owner, name=name, **fields)
checking = Account.objects.get(name="Checking")
far = datetime.datetime(2999, 1, 1, tzinfo=datetime.timezone.utc)
with patch("finta_keys.secret.generate", side_effect=SECRETS):
    ApiKey.objects.create_key(owner=alice, name="All")
    ApiKey.objects.create_key(owner=alice, name="Selected", accounts=[checking])
    ApiKey.objects.create_key(owner=alice, name="Reader", read_only=True, expires_at=far)
"""


def check_out(version: str, folder: Path) -> Path:
    """Write the files of a release into a folder. Raise ``CalledProcessError`` in an incomplete clone."""
    command = ["git", "archive", COMMITS[version]]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def load(version: str, url: str) -> None:
    """Load the database of a release into an empty one."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            database.executescript((SCHEMAS / f"{version}.sqlite.sql").read_text())
        database.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute((SCHEMAS / f"{version}.postgresql.sql").read_text().encode())


def dump(version: str) -> None:
    """Write the database of a release, filled by its own code, as SQL for SQLite and PostgreSQL."""
    with tempfile.TemporaryDirectory() as name, servers.postgresql() as server:
        code = check_out(version, Path(name, "code"))
        for url in (f"sqlite:///{name}/db.sqlite3", server.create_database("released")):
            env = environment(url)
            manage(env, "migrate", "--verbosity", "0", root=code)
            fill = FILL.replace("SECRETS", repr([*SECRETS.values()]))
            manage(env, "shell", "--no-imports", "--command", fill, root=code)
        with sqlite3.connect(f"{name}/db.sqlite3") as database:
            (SCHEMAS / f"{version}.sqlite.sql").write_text("\n".join(database.iterdump()) + "\n")
        command = [servers.program("pg_dump"), "--no-owner", "--no-privileges", "--inserts", url]
        text = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}).stdout
        # Options of this version of PostgreSQL, and commands of psql
        text = re.sub(r"(?m)^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\.*)\n", "", text)
        (SCHEMAS / f"{version}.postgresql.sql").write_text(re.sub(r"\n{2,}", "\n", text).lstrip())


if __name__ == "__main__":
    dump(*sys.argv[1:])
