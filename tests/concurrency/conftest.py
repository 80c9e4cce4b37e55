"""Databases that several processes can share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import servers


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.PostgreSQL]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'db.sqlite3'}"
    server: servers.PostgreSQL = request.getfixturevalue("postgresql")
    return server.create_database(f"site{abs(hash(request.node.nodeid))}")


@pytest.fixture(scope="session")
def redis() -> Iterator[servers.Redis]:
    with servers.redis() as server:
        yield server


@pytest.fixture
def pgbouncer(postgresql: servers.PostgreSQL) -> Iterator[servers.PgBouncer]:
    with tempfile.TemporaryDirectory(prefix="finta-pool-") as name:
        pool = servers.PgBouncer(postgresql, Path(name))
        pool.start()
        yield pool
        pool.stop()
