"""The kinds of connections to PostgreSQL that are compared. SQLite uses ``persistent``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BINDING = {"server_side_binding": True, "prepare_threshold": 5}
POOL = {"pool": {"min_size": 1, "max_size": 2}}


@dataclass(frozen=True)
class Connection:
    label: str
    max_age: int | None = None  # CONN_MAX_AGE, which must be 0 with a pool
    options: dict[str, Any] = field(default_factory=dict)


CONNECTIONS = {
    "new": Connection("a connection per request", 0),
    "persistent": Connection("persistent connections"),
    "binding": Connection("persistent, `server_side_binding`, `prepare_threshold=5`", None, BINDING),
    "pool": Connection("pool of psycopg", 0, POOL),
    "pool-binding": Connection("pool, `server_side_binding`, `prepare_threshold=5`", 0, POOL | BINDING),
}
