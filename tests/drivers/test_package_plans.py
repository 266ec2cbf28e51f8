"""The lists of Artifact Registry cost what they return, however much there is before and after."""

from __future__ import annotations

import sqlite3

import pytest

from roadstead.db.database import Statement
from roadstead.registry import package_queries
from tests.drivers.test_query_plans import plan

NAMES = [name for name, value in vars(package_queries).items() if isinstance(value, Statement)]


@pytest.mark.parametrize("name", NAMES)
def test_a_list_walks_no_table_and_sorts_nothing(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, getattr(package_queries, name))

    assert steps
    assert [] == [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]


def test_versions_are_read_from_an_index_without_the_manifests_bytes(connection: sqlite3.Connection) -> None:
    (step,) = [step for step in plan(connection, package_queries.VERSIONS) if "manifests" in step]

    assert "COVERING INDEX manifests_listed" in step


@pytest.mark.parametrize(("name", "range_"), [("PACKAGES", "name>? AND name<?"), ("VERSIONS", "digest>?"), ("TAGS", "name>?")])
def test_a_page_begins_where_it_is_asked_for(connection: sqlite3.Connection, name: str, range_: str) -> None:
    assert any(range_ in step for step in plan(connection, getattr(package_queries, name)))
