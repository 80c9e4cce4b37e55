"""Checks of the database and of the data in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import Error, NotSupportedError, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts_app.doctor.problems import Problem
from finta_keys.database import key_database
from finta_keys.management.commands.peppers import NOT_CONFIGURED, count_keys
from finta_keys.models import ApiKey

SKEW = 5  # seconds
EXPIRED_SESSIONS = 100_000  # more slow down backups
# Parts of PostgreSQL's messages, each with what to do. The messages contain names and addresses.
REMEDIES = {
    "authentication failed": "Correct the user and password in DATABASE_URL.",
    "no password supplied": "Add the password to DATABASE_URL.",
    "does not exist": "Create the database and the user that DATABASE_URL names.",
    "resolve": "Correct the host in DATABASE_URL: its name is unknown.",
    "translate host name": "Correct the host in DATABASE_URL: its name is unknown.",
    "too many": "Raise max_connections, or use PgBouncer: docs/operations.md, Scale out.",
    "no pg_hba.conf entry": "Allow this machine in the server's pg_hba.conf, or use TLS.",
    "unable to open database file": "Create the folder of the SQLite file, and let the site's user write to it.",
    "not a database": "The file that DATABASE_URL names is no SQLite database. Restore a backup.",
    "malformed": "The SQLite file is damaged. Restore a backup.",
    "locked": "Another process keeps the SQLite file locked. End it.",
    "readonly": "Let the site's user write to the SQLite file and its folder.",
}
# Settings of PostgreSQL that must be on, each with the problem if it is off, and what to do. Tests
# with a temporary server remove some of them.
CRASH_SETTINGS = {
    "fsync": (
        "fsync is off: a crash of the machine can damage the database and lose confirmed changes.",
        "Set it to on in postgresql.conf, and reload the server.",
    ),
    "full_page_writes": (
        "full_page_writes is off: a crash of the machine can damage the database.",
        "Set it to on in postgresql.conf, and reload the server. Storage that never writes half a page, such as that "
        "of Amazon Aurora, does not need it.",
    ),
    "synchronous_commit": (
        "synchronous_commit is off: after a crash of the database, keys that were just deleted work again.",
        "Set it to local or on for the server, the database and the user.",
    ),
}


def check_database() -> Iterator[Problem]:
    connection = connections[key_database()]
    if connection.vendor not in ("sqlite", "postgresql"):
        yield Problem("The database is neither PostgreSQL nor SQLite.", "Set DATABASE_URL to one of them.", True)
        return
    try:
        with connection.cursor() as cursor:
            yield from _check_sqlite(cursor) if connection.vendor == "sqlite" else _check_postgresql(cursor)
    except NotSupportedError:
        yield Problem("The database server is older than Django supports.", "Upgrade the database server.", True)
    except Error as error:
        text = str(error)
        remedies = (remedy for part, remedy in REMEDIES.items() if part in text)
        remedy = next(remedies, "Start or restart the database, and check the host and port in DATABASE_URL.")
        yield Problem(f"The database cannot be used ({type(error).__name__}).", remedy, True)


def _check_sqlite(cursor: Any) -> Iterator[Problem]:
    # Fails if the file is locked, damaged or cannot be written.
    cursor.execute("PRAGMA user_version")
    version = cursor.fetchone()[0]
    cursor.execute(f"PRAGMA user_version = {int(version)}")
    cursor.execute("PRAGMA quick_check(1)")
    if cursor.fetchone()[0] != "ok":
        yield Problem("The SQLite file is damaged.", "Restore a backup.")
    cursor.execute("PRAGMA journal_mode")
    if cursor.fetchone()[0] not in ("wal", "memory"):
        yield Problem(
            "The SQLite file does not use WAL, so readers wait for writers.",
            "Move it to a local disk: network file systems do not support WAL.",
        )


def _check_postgresql(cursor: Any) -> Iterator[Problem]:
    def show(name: str) -> str:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])

    if show("transaction_isolation") != "read committed":
        yield Problem(
            "The isolation level of the database is not READ COMMITTED, so conflicting requests fail or repeat.",
            "Remove default_transaction_isolation from the server, the database, the user and DATABASE_URL.",
        )
    cursor.execute("SELECT pg_is_in_recovery()")
    if cursor.fetchone()[0]:
        yield Problem("The database is a replica, which cannot be written.", "Name the primary in DATABASE_URL.", True)
    elif show("transaction_read_only") == "on":
        yield Problem(
            "The database is read-only.", "Remove default_transaction_read_only, or make room on the disk.", True
        )
    for name, (text, remedy) in CRASH_SETTINGS.items():
        if show(name) == "off":
            yield Problem(text, remedy)
    if show("server_encoding") != "UTF8":
        yield Problem(
            "The encoding of the database is not UTF8.", "Create it with ENCODING 'UTF8' and restore a backup."
        )
    tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    cursor.execute(
        "SELECT count(*) FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NOT NULL AND NOT "
        "(SELECT bool_and(has_table_privilege(quote_ident(name), action)) "
        "FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS action)",
        [tables],
    )
    if cursor.fetchone()[0]:
        yield Problem(
            "The user of the database may not read or write all tables.",
            "Use the user that runs migrate, or GRANT it SELECT, INSERT, UPDATE and DELETE.",
        )


def check_migrations() -> Iterator[Problem]:
    loader = MigrationLoader(connections[key_database()])
    pending = sorted(".".join(node) for node in loader.graph.nodes if node not in loader.applied_migrations)
    if pending:
        yield Problem(f"Migrations have not run: {len(pending)}, such as {pending[0]}.", "Run manage.py migrate.", True)
    unknown = [node for node in loader.applied_migrations if node not in loader.disk_migrations]
    if any(app in loader.migrated_apps for app, _ in unknown):
        yield Problem(
            "The database was migrated by newer code.", "Run the newer code, or restore the backup made before it."
        )
    if not pending and (incomplete := _incomplete_tables()):
        yield Problem(
            "Migrations are recorded, but these tables or columns of them are missing: " + ", ".join(incomplete) + ".",
            "Restore a backup. After migrate --fake, name the last migration that did run with --fake, and migrate.",
            True,
        )


def _incomplete_tables() -> list[str]:
    """Return the tables that are missing or lack a column."""
    connection = connections[key_database()]
    columns: dict[str, set[str]] = {}
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for model in apps.get_models(include_auto_created=True):
            if model._meta.managed:
                table = model._meta.db_table
                columns.setdefault(table, set()).update(
                    field.column for field in model._meta.local_concrete_fields if field.column
                )
        return [
            table
            for table, names in sorted(columns.items())
            if table not in tables
            or names - {column.name for column in connection.introspection.get_table_description(cursor, table)}
        ]


def check_clock() -> Iterator[Problem]:
    connection = connections[key_database()]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            if abs(float(cursor.fetchone()[0]) - time.time()) > SKEW:
                yield Problem(
                    "The clock of the database differs from that of this machine.", "Synchronize both with NTP."
                )
    now, installed = timezone.now(), (settings.BASE_DIR / "manage.py").stat().st_mtime
    if now.timestamp() < installed - 60:
        yield Problem(
            "The clock of this machine is behind the time of its own files, so expired keys may work.",
            "Synchronize it with NTP.",
        )
    if ApiKey.objects.filter(last_used_at__gt=now + timedelta(minutes=5)).exists():
        yield Problem(
            "Keys were used in the future: a clock is or was wrong, so expired keys may work.",
            "Synchronize all machines with NTP. Times more than a day ahead are corrected at the next use.",
        )


def check_peppers() -> Iterator[Problem]:
    broken = sum(row.keys for row in count_keys() if row.place == NOT_CONFIGURED)
    if broken:
        yield Problem(
            f"{broken} keys do not work, because their pepper is not in API_KEY_PEPPERS.",
            "Restore the pepper, after the others, or ask the owners to rotate these keys.",
        )


def check_sessions() -> Iterator[Problem]:
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")()
    store["doctor"] = True
    store.save()
    try:
        is_saved = type(store)(session_key=store.session_key).get("doctor") is True
    finally:
        store.delete()
    if not is_saved:
        yield Problem("A session that was saved cannot be read, so no one can sign in.", "Check the database.")
    if Session.objects.filter(expire_date__lt=timezone.now()).count() > EXPIRED_SESSIONS:
        yield Problem("The database has many expired sessions.", "Run manage.py clearsessions every day.")
