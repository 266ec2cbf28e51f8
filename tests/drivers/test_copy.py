"""db/copy.py: one pass over a source that stands still makes the target its equal, whatever was there before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateColumn

from roadstead.db import schema
from roadstead.db.copy import BATCH, TableCopy
from roadstead.db.database import Database, Statement
from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from roadstead.db.sqlite import SQLiteDatabase
from tests.kit.engines import ENGINES

TABLES = [
    schema.repositories, schema.blobs, schema.blob_links, schema.jobs, schema.access.projects, schema.scanning.inventories,
    schema.scanning.scanned_images,
]  # fmt: skip
Content = dict[str, list[dict[str, Any]]]

IMAGE = {"location": "gcr", "project": "p", "digest": "d", "state": "s", "error": "", "analyzer": 1, "created_at_us": 1}
PROJECT = {"name": "", "state": "ACTIVE", "labels": "{}", "created_at_us": 1, "updated_at_us": 1, "deleted_at_us": None}


def content(links: Sequence[tuple[int, int]], blobs: dict[int, str], repositories: dict[int, str], jobs: dict[int, str | None]) -> Content:
    return {
        "repositories": [{"id": key, "location": "gcr", "name": name, "created_at_us": 1} for key, name in repositories.items()],
        "blobs": [
            {"id": key, "location": "gcr", "digest": name, "size_bytes": 1, "storage_key": None, "content": b"x", "created_at_us": 1}
            for key, name in blobs.items()
        ],
        "blob_links": [{"repository_id": r, "blob_id": b, "unreferenced_since_us": None} for r, b in links],
        "jobs": [
            {"id": key, "kind": "k", "arguments": b"", "unique_key": name, "run_at_us": 1, "claimed_until_us": 0, "attempts": 0}
            | {"last_error": None, "created_at_us": 1}
            for key, name in jobs.items()
        ],
    }


def inventoried(inventories: dict[int, str], images: dict[int, tuple[str, int | None]]) -> Content:
    """Rows with two names each, and with parents that they may be without."""
    return {
        "inventories": [
            {"id": key, "hash": name, "ecosystem": "debian", "release": "12", "content": b"x", "created_at_us": 1}
            for key, name in inventories.items()
        ],
        "scanned_images": [
            {**IMAGE, "id": key, "name": name, "resource": f"gcr.io/{name}", "inventory_id": inventory, "scanned_at_us": inventory}
            for key, (name, inventory) in images.items()
        ],
    }


def numbered(projects: dict[str, int]) -> Content:
    """Rows whose other name is a number."""
    return {"projects": [{**PROJECT, "id": key, "number": number} for key, number in projects.items()]}


CASES: dict[str, tuple[Content, Content]] = {
    "into nothing": (content([(1, 1), (1, 2)], {1: "a", 2: "b"}, {1: "r"}, {1: None}), content([], {}, {}, {})),
    "out of nothing": (content([], {}, {}, {}), content([(1, 1), (1, 2)], {1: "a", 2: "b"}, {1: "r"}, {1: None})),
    "names that changed places": (
        content([(1, 1), (2, 2)], {1: "a", 2: "b"}, {1: "r", 2: "s"}, {1: "j", 2: "k"}),
        content([(1, 1), (2, 2)], {1: "b", 2: "a"}, {1: "s", 2: "r"}, {1: "k", 2: "j"}),
    ),
    "parents that not all have": (
        inventoried({1: "h"}, {1: ("a", None), 2: ("b", 1)}),
        inventoried({2: "h"}, {2: ("b", None), 3: ("a", 2)}),
    ),
    "two names that changed places": (inventoried({}, {1: ("a", None), 2: ("b", None)}), inventoried({}, {1: ("b", None), 2: ("a", None)})),
    "numbers that changed places": (numbered({"p": 1, "q": 2}), numbered({"p": 2, "q": 1})),
    "an id given to something else": (
        content([(1, 2)], {2: "a", 3: "c"}, {1: "r"}, {}),
        content([(1, 2), (1, 1)], {1: "a", 2: "b", 3: "d"}, {1: "q", 2: "r"}, {}),
    ),
}


async def put(database: Database, rows: Content) -> None:
    async with database.transaction() as tx:
        for table in TABLES:
            await tx.run_many(Statement(insert(table)), rows.get(table.name, []))


async def rows_of(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for table in TABLES:
        found[table.name] = [tuple(row) for row in await database.all(Statement(select(*table.columns).order_by(*table.primary_key)), {})]
    return found


async def one_pass(source: Database, target: Database) -> int:
    """As registry/moving.py makes it. How many rows were not alike."""
    changes = 0
    copies = [TableCopy(table, by_length=("content",) if table is schema.blobs else ()) for table in TABLES]
    for copy in reversed(copies):
        async for found in copy.differences(source, target):
            await copy.clear(target, found)
            changes += len(found.gone)
    for copy in copies:
        async for found in copy.differences(source, target):
            whole = [await copy.whole(source, row) for row in found.changed]
            await copy.put(target, [row for row in whole if row is not None])
            changes += len(found.changed)
    return changes


async def database(kind: str, folder: Path) -> Database:
    if kind == "sqlite":
        migrate_sqlite(folder / "registry.sqlite")
        return SQLiteDatabase(folder / "registry.sqlite")
    from roadstead.db.postgres import PostgresDatabase

    address = ENGINES.postgres().new_database()
    await migrate_postgres(address)
    return PostgresDatabase(address, 2)


async def check(kinds: tuple[str, str], folder: Path, here: Content, there: Content, passes: int = 1) -> None:
    (folder / "source").mkdir()
    (folder / "target").mkdir()
    source, target = await database(kinds[0], folder / "source"), await database(kinds[1], folder / "target")
    await put(source, here)
    await put(target, there)

    for _ in range(passes):
        await one_pass(source, target)

    assert await rows_of(source) == await rows_of(target)
    assert 0 == await one_pass(source, target)
    await source.close()
    await target.close()


KINDS = [("sqlite", "sqlite"), ("sqlite", "postgres"), ("postgres", "sqlite")]


@pytest.mark.slow
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_one_pass_makes_them_equal(kinds: tuple[str, str], case: str, tmp_path: Path) -> None:
    asyncio.run(check(kinds, tmp_path, *CASES[case]))


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_one_pass_makes_any_two_equal(kinds: tuple[str, str], seed: int, tmp_path: Path) -> None:
    """More rows than are read at once, and names in other orders than keys."""
    choice = random.Random(seed)

    def some() -> Content:
        repositories = {key: f"r{name}" for key, name in zip(choice.sample(range(1, 40), 20), choice.sample(range(30), 20), strict=True)}
        number = choice.choice([BATCH - 1, BATCH, 2 * BATCH + 3])
        keys, names = choice.sample(range(1, 3 * BATCH), number), choice.sample(range(3 * BATCH), number)
        blobs = {key: f"é{name}" if name % 3 else f"Z{name}" for key, name in zip(keys, names, strict=True)}
        links = {(choice.choice(list(repositories)), choice.choice(keys)) for _ in range(number)}
        return content(sorted(links), blobs, repositories, {key: choice.choice([None, f"j{key}"]) for key in range(1, 50)})

    asyncio.run(check(kinds, tmp_path, some(), some()))


@pytest.mark.parametrize("kinds", KINDS)
def test_what_must_stay_for_its_children_makes_room_for_what_has_its_name(kinds: tuple[str, str], tmp_path: Path) -> None:
    """It goes with the next pass, when they have their new parent."""
    here, there = inventoried({12: "h"}, {1: ("a", 12)}), inventoried({7: "h"}, {1: ("a", 7)})
    asyncio.run(check(kinds, tmp_path, here, there, passes=2))


def test_every_text_that_is_a_key_has_one_order_on_both_engines() -> None:
    """Two sides are read in the order of their keys. settings is small and read as a whole; uploads are not copied."""
    for table in schema.metadata.sorted_tables:
        if table.name not in ("settings", "uploads", "upload_segments"):
            for column in table.primary_key:
                if column.type.python_type is str:
                    assert 'COLLATE "C"' in str(CreateColumn(column).compile(dialect=postgresql.dialect())), column
