"""Fixtures of several test modules."""

import datetime as dt

import pytest
import time_machine

from finta_keys import pk_lookup

START = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def clock():
    """A clock that starts at ``START`` and stands still until a test moves it."""
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def executed(monkeypatch):
    """The values of lookups that kept SQL has executed. No SQL is kept at first."""
    executed = []
    execute = pk_lookup.PkQuery.execute

    def record(query, values):
        rows = execute(query, values)
        executed.append(values)
        return rows

    monkeypatch.setattr(pk_lookup, "_queries", {})
    monkeypatch.setattr(pk_lookup.PkQuery, "execute", record)
    return executed
