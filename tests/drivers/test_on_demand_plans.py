"""Scans on demand are found, listed, counted and forgotten through indexes, however many there are."""

from __future__ import annotations

import sqlite3

import pytest

from roadstead.db.database import Statement
from roadstead.scanning import on_demand_queries
from tests.drivers.test_query_plans import plan

NAMES = [
    name for name, value in vars(on_demand_queries).items() if isinstance(value, Statement) and name not in ("ADD", "END", "PUT_FINDING")
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_walks_a_table_or_sorts(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, getattr(on_demand_queries, name))

    assert steps
    # What is counted are at most MOST_WAITING rows that an index has given.
    assert [] == [step for step in steps if (step.startswith("SCAN") and "anon" not in step) or "TEMP B-TREE" in step]
