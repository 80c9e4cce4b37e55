"""Options of PostgreSQL connections. Timeouts keep a database that does not respond from blocking
the site, and connections to standbys are rejected."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

# A query of the site takes milliseconds. Deleting an owner with millions of transactions takes
# seconds.
STATEMENT_TIMEOUT = 30_000  # milliseconds

# The options of libpq. `?connect_timeout=…` in DATABASE_URL overrides them.
CONNECTION_OPTIONS = {
    "connect_timeout": 5,  # seconds, also for a server that accepts the connection and is then silent
    "tcp_user_timeout": 10_000,  # milliseconds until packets that are not acknowledged end the connection
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Of several hosts in the URL, the one that accepts writes. A standby does not know the latest
    # changes: it would accept deleted keys.
    "target_session_attrs": "primary",
}


def limit_statements() -> None:
    """Limit every statement of this process. Only servers call this: migrations may take longer."""
    connection_created.connect(_set_statement_timeout, dispatch_uid="config.database_timeouts")


def _set_statement_timeout(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Without a parameter: with server_side_binding, SET accepts none.
            cursor.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT}")
