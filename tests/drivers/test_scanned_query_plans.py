"""Reads of what scanners found go through indexes: what one image or one page costs does not grow with all that is stored."""

from __future__ import annotations

import sqlite3

import pytest

from roadstead.analysis import filters
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import scanned
from roadstead.analysis.scanned import _DISCOVERY, _VULNERABILITY, narrowed
from roadstead.db.database import Statement
from roadstead.registry import scan_queries
from roadstead.scanning import queries
from tests.drivers.test_query_plans import plan

HOT = [
    "IMAGE",
    "LAYER",
    "INVENTORY_ID",
    "SCANNED_INVENTORY",
    "VERSION_ID",
    "VERSIONS_OF_PACKAGE",
    "FINDINGS",
    "ADVISORIES_OF",
    "RATED",
    "HASHES_OF_FEED",
    "SOME_CHANGED",
    "LOCK_CHANGED",
    "OUTDATED",
    "INVENTORY_IS_USED",
    "VERSION_IS_USED",
    "WANTS",
    "DONE_CHANGED",
    "SET_STATE",
    "SCANNED",
]
FILTERS = {
    "everything": "",
    "one-image": 'resourceUrl="https://gcr.io/p/web@sha256:1"',
    "one-image-s-vulnerabilities": 'kind="VULNERABILITY" AND resourceUrl="https://gcr.io/p/web@sha256:1"',
    "some-images": 'resourceUrl="https://gcr.io/p/web@sha256:1" OR resourceUrl="https://gcr.io/p/web@sha256:2"',
    "a-note": 'noteId="CVE-2026-1001"',
    "severe": "severity >= HIGH",
    "prefix": 'has_prefix(resourceUrl, "https://gcr.io/p/web")',
}


def walks(steps: list[str]) -> list[str]:
    return [step for step in steps if step.startswith("SCAN") and "CONSTANT ROW" not in step]


@pytest.mark.parametrize("name", HOT)
def test_a_hot_read_of_scanning_walks_no_table(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, getattr(queries, name))

    assert steps
    assert [] == [step for step in steps if "TEMP B-TREE" in step] + walks(steps)


@pytest.mark.parametrize("name", ["ADD", "FORGET"])
def test_a_push_and_a_deletion_walk_no_table(connection: sqlite3.Connection, name: str) -> None:
    assert [] == walks(plan(connection, getattr(scan_queries, name)))


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_discoveries_walks_no_table_and_sorts_nothing(connection: sqlite3.Connection, name: str) -> None:
    form, _ = shapes.shape(narrowed(filters.parse(FILTERS[name]), _DISCOVERY))

    steps = plan(connection, scanned.images(form))

    assert [] == [step for step in steps if "TEMP B-TREE" in step] + walks(steps)


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_vulnerabilities_reads_images_of_the_project_only(connection: sqlite3.Connection, name: str) -> None:
    """And sorts no more than one image's findings: the page begins at its place in the order of images."""
    form, _ = shapes.shape(narrowed(filters.parse(FILTERS[name]), _VULNERABILITY))

    steps = plan(connection, scanned.vulnerabilities(form))

    assert [] == walks(steps)
    assert [] == [step for step in steps if "TEMP B-TREE FOR ORDER BY" in step], steps


@pytest.mark.parametrize(
    "statement", [scanned.IMAGE, scanned.VULNERABILITY, scanned.SAID, scanned.NAMES], ids=["image", "finding", "said", "names"]
)
def test_one_occurrence_and_one_note_are_found_at_once(connection: sqlite3.Connection, statement: Statement) -> None:
    assert [] == walks([step for step in plan(connection, statement) if "USING COVERING INDEX advisories_by_vulnerability" not in step])


@pytest.mark.parametrize("name", ["everything", "one-image"])
def test_a_summary_reads_images_of_the_project_only(connection: sqlite3.Connection, name: str) -> None:
    form, _ = shapes.shape(narrowed(filters.parse(FILTERS[name]), _VULNERABILITY))

    assert [] == walks(plan(connection, scanned.summary(form)))
