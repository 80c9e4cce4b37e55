"""Fixtures of several test modules."""

import pytest

from finta_keys import pk_lookup


@pytest.fixture
def executed(monkeypatch):
    """The values of look-ups that kept SQL has executed. No SQL is kept at first."""
    executed = []
    execute = pk_lookup.PkQuery.execute

    def record(query, values):
        rows = execute(query, values)
        executed.append(values)
        return rows

    monkeypatch.setattr(pk_lookup, "_queries", {})
    monkeypatch.setattr(pk_lookup.PkQuery, "execute", record)
    return executed
