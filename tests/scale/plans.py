"""Plans and costs of the SQL statements that the product runs.

Statements are captured from the connection, so no query is repeated here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

READS_AND_WRITES = ("SELECT", "UPDATE", "DELETE", "INSERT")
STEP = 10  # virtual machine instructions between two calls of SQLite's progress handler


def growing_tables() -> set[str]:
    """Return the tables that grow with the number of owners."""
    return {
        model._meta.db_table
        for app in ("accounts_app", "finta_keys")
        for model in apps.get_app_config(app).get_models()
    }


def statements_of(work: Callable[[], Any]) -> list[str]:
    """Return the statements that ``work()`` runs."""
    with CaptureQueriesContext(connection) as queries:
        work()
    return [query["sql"] for query in queries if query["sql"].startswith(READS_AND_WRITES)]


def full_scans(statement: str) -> list[str]:
    """Return the steps of a statement's plan that read all rows of a growing table."""
    return _sqlite_scans(statement) if connection.vendor == "sqlite" else _postgres_scans(statement)


def _sqlite_scans(statement: str) -> list[str]:
    with connection.cursor() as cursor:
        steps = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
    # SEARCH uses an index, SCAN does not, and an automatic index is built from all rows first.
    # "qualify" is the subquery that Django filters by a window function.
    return [step for step in steps if re.match(r"SCAN (?!CONSTANT|\(|\d+ CONSTANT|qualify)|.* AUTOMATIC ", step)]


def _postgres_scans(statement: str) -> list[str]:
    nodes = [node for node in _nodes(_explain(statement)["Plan"]) if node.get("Relation Name") in growing_tables()]
    return [
        f"{node['Node Type']} on {node['Relation Name']}"
        for node in nodes
        if node["Node Type"] == "Seq Scan" or (node["Node Type"].startswith("Index") and "Index Cond" not in node)
    ]


def _explain(statement: str, options: str = "") -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}FORMAT JSON) {statement}")
        plan = cursor.fetchone()[0]
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def cost(work: Callable[[], Any]) -> int:
    """Return the cost of the reads of ``work()`` in a deterministic unit.

    On SQLite these are virtual machine instructions, a few per row; on PostgreSQL the rows read from
    tables and indexes, including rows that are filtered out.
    """
    return sum(cost_of(statement).rows for statement in statements_of(work) if statement.startswith("SELECT"))


class Cost(NamedTuple):
    rows: int  # instructions on SQLite
    blocks: int = 0  # of PostgreSQL's tables and indexes, 8 kB each


def cost_of(statement: str) -> Cost:
    """Run a statement and return its cost."""
    return Cost(_sqlite_steps(statement)) if connection.vendor == "sqlite" else _postgres_cost(statement)


def _sqlite_steps(statement: str) -> int:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    with connection.cursor() as cursor:
        connection.connection.set_progress_handler(count, STEP)
        try:
            cursor.execute(statement).fetchall()
        finally:
            connection.connection.set_progress_handler(None, STEP)
    return calls * STEP


def _postgres_cost(statement: str) -> Cost:
    filtered = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    plan = _explain(statement, "ANALYZE, BUFFERS, ")["Plan"]
    nodes = [node for node in _nodes(plan) if "Relation Name" in node]
    rows = sum((n["Actual Rows"] + sum(n.get(key, 0) for key in filtered)) * n["Actual Loops"] for n in nodes)
    return Cost(round(rows), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def hide_indexes(table: str) -> None:
    """Shadow a table with a temporary copy without indexes. For tests that are rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM {table}")  # noqa: S608
