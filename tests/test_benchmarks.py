"""The page of the benchmarks can be written from the cases that a run measures."""

import argparse
import importlib.metadata

import pytest

from benchmarks import cases, report
from benchmarks.connections import CONNECTIONS
from benchmarks.figures import Measured
from benchmarks.serving import Served


def results(measured_cases, **figures):
    """Return the same figures for each request, but the floor's are half."""
    return {
        case: {
            kind: {
                "status": 200,
                "queries": 2,
                **{name: value / (2 if case.design == "floor" else 1) for name, value in figures.items()},
            }
            for kind in case.kinds
        }
        for case in measured_cases
    }


@pytest.fixture
def write_page(tmp_path, monkeypatch):
    """Return a function that writes the page and returns its lines."""
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(report, "PLOTS", tmp_path / "plots")
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "1.0")

    def write(full=False, counted=True, postgresql=True, server=False, memory=False):
        counts = {"instructions": 2_000_000} if counted else {}
        measured = Measured(
            sqlite=results(cases.on_sqlite(full), us=400, **counts),
            postgresql=results(cases.ON_POSTGRESQL, us=600) if postgresql else {},
            connections=results(cases.by_connection(tuple(CONNECTIONS)), us=800) if postgresql else {},
            served={case: Served(1000, 500) for case in cases.SERVED} if server else {},
            memory={"keys": [1000], "bytes": [1], "objects": [1]} if memory else {},
        )
        options = argparse.Namespace(full=full, rounds=12, requests=100, remark="")
        return report.write(options, measured).read_text().splitlines()

    return write


def cells(lines, start):
    """Return the cells of the first row that begins with these."""
    row = next(line for line in lines if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in row.split("|")[1:-1]]


def test_summary_compares_with_floor_and_token_authentication(write_page):
    lines = write_page()
    assert cells(lines, "valid key | all accounts") == ["valid key", "all accounts", "2,000", "2.00", "1.00"]
    assert cells(lines, "rejected by a class that only raises")[1] == "DRF itself"
    assert cells(lines, "keys, 1,000 … 100,000")[1:] == ["1.00"] * 3


def test_full_run_has_every_section(write_page):
    lines = write_page(full=True, server=True, memory=True)
    assert not [line for line in lines if "not measured" in line.lower()]
    assert cells(lines, "keys, 1,000 … 1,000,000")[1:] == ["1.00"] * 3
    assert cells(lines, "pool of psycopg")[1:] == ["400", *["800 (2.00)"] * 3]
    assert cells(lines, "finta_keys, all accounts | 1.00")[1:] == ["1.00"] * 4


def test_parts_that_are_not_measured_are_named(write_page):
    lines = write_page(counted=False, postgresql=False)
    assert "valgrind is not installed" in "\n".join(lines)
    assert len([line for line in lines if "not measured in this run" in line.lower()]) >= 3
    assert cells(lines, "valid key | all accounts")[2:] == ["–", "2.00", "1.00"]


@pytest.mark.parametrize("full", [False, True])
def test_cases_have_different_names(full):
    for group in (cases.on_sqlite(full), cases.ON_POSTGRESQL, cases.by_connection(tuple(CONNECTIONS))):
        assert len({case.name for case in group}) == len(group)
