"""Every read of a hot path finds its rows through an index, however many there are (design: no hot path worse than logarithmic)."""

from __future__ import annotations

import re
import sqlite3

import pytest
from sqlalchemy import bindparam, select

from roadstead.db.database import Statement
from roadstead.db.schema import metadata
from roadstead.registry import listing_queries, queries

LISTING = ["LISTED", "LISTED_TAGS", "MANIFEST_AFTER", "TAG_AFTER", "BELOW", "UNDESCRIBED", "PAYLOAD"]
HOT = [
    "REPOSITORY_ID",
    "CATALOG",
    "MANIFEST_BY_TAG",
    "MANIFEST_BY_DIGEST",
    "BLOB",
    "TAGS",
    "REFERRERS",
    "BLOB_ID",
    "LINKED",
    "LINKED_ANYWHERE",
    "NEEDED_BY",
    "LINKED_CONFIG",
    "A_TAG_OF",
    "A_PARENT_OF",
    "PUSHED_BEFORE",
    "MANIFEST_SIZE",
    "TAGGED_DIGEST",
    "BLOBS_OF",
    "COLLECTABLE",
    "KEYS_BETWEEN",
    "SEGMENTS_OF",
]


def plan(connection: sqlite3.Connection, statement: Statement) -> list[str]:
    sql, fixed = statement.sqlite
    values = {name: fixed.get(name, 1) for name in re.findall(r"(?<!:):([a-z]\w*)", sql)}
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("name", [*HOT, *LISTING])
def test_a_hot_read_walks_no_table_and_sorts_nothing(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, getattr(queries if name in HOT else listing_queries, name))

    assert steps
    assert [] == [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]


@pytest.mark.parametrize("parent", ["blobs", "manifests", "uploads"])
def test_whoever_is_deleted_is_found_among_those_that_name_it(parent: str) -> None:
    """A foreign key is checked at each deletion; without an index that begins with it, by reading the whole table that has it."""
    naming = [key for table in metadata.tables.values() for key in table.foreign_keys if key.column.table.name == parent]

    assert naming
    for key in naming:
        table = key.parent.table
        first = {index.columns[0].name for index in table.indexes if len(index.columns)} | {next(iter(table.primary_key)).name}
        assert key.parent.name in first, f"{table.name}.{key.parent.name}"


def test_the_page_of_a_tag_list_begins_where_it_is_asked_for(connection: sqlite3.Connection) -> None:
    """Without the range over the index's expression a page would cost what all tags before it cost."""
    (step,) = plan(connection, queries.TAGS)

    assert "tags_in_order (repository_id=? AND <expr>>?)" in step


def test_a_list_of_manifests_is_read_from_the_index_alone(connection: sqlite3.Connection) -> None:
    """In the table the payloads lie between, and a row may be a thousand pages long."""
    (step,) = plan(connection, listing_queries.LISTED)

    assert "COVERING INDEX manifests_listed (repository_id=? AND digest>?)" in step


def test_a_statement_without_an_index_is_found_out(connection: sqlite3.Connection) -> None:
    """The tests above could not fail if this one did."""
    by_size = Statement(select(queries.b.id).where(queries.b.size_bytes == bindparam("size")).order_by(queries.b.created_at_us))

    steps = plan(connection, by_size)

    assert [True, True] == [steps[0].startswith("SCAN"), "TEMP B-TREE" in steps[1]]
