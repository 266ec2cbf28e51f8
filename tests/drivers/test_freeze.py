"""
freeze() and thaw() of every database: whatever was acknowledged is there for whoever reads after freeze(), and nothing is
acknowledged later. Copying to another installation rests on it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from roadstead.db.sqlite import SQLiteDatabase
from roadstead.errors import ReadOnly
from tests.kit.engines import ENGINES

WRITERS = 6
ROUNDS = 5

_settings = schema.settings.c
ALL = Statement(select(_settings.name).where(_settings.name.like("w %")))
PUT = Statement(insert(schema.settings).values(name=bindparam("name"), value=bindparam("value")))


async def sqlite(folder: Path) -> Callable[[], Database]:
    migrate_sqlite(folder / "registry.sqlite")
    return lambda: SQLiteDatabase(folder / "registry.sqlite")


async def postgres(_: Path) -> Callable[[], Database]:
    from roadstead.db.postgres import PostgresDatabase

    address = ENGINES.postgres().new_database()
    await migrate_postgres(address)
    return lambda: PostgresDatabase(address, 5)


@pytest.mark.parametrize("kind", [sqlite, postgres])
def test_nothing_is_acknowledged_after_a_freeze_and_nothing_acknowledged_before_is_missed(
    kind: Callable[..., object], tmp_path: Path
) -> None:
    """Writers of two processes' doors, each of which takes its time between the beginning of a transaction and its end."""

    async def test() -> None:
        door = await kind(tmp_path)  # type: ignore[misc]
        doors = [door(), door()]
        for each in range(ROUNDS):
            acknowledged: list[str] = []
            refused: list[str] = []
            tasks = [asyncio.create_task(write(doors[n % 2], f"w {each} {n}", acknowledged, refused)) for n in range(WRITERS)]
            await asyncio.sleep(0.1 + random.random() / 10)
            await doors[0].freeze(time.time_ns() // 1000)
            seen = {row[0] for row in await doors[1].all(ALL, {})}
            at_freeze = set(acknowledged)
            await asyncio.gather(*tasks)
            later = {row[0] for row in await doors[1].all(ALL, {})}
            await doors[1].thaw()

            assert at_freeze
            assert at_freeze <= seen
            assert set(acknowledged) <= seen
            assert seen == later
            assert WRITERS == len(refused)
        for each_door in doors:
            await each_door.close()

    asyncio.run(test())


async def write(database: Database, name: str, acknowledged: list[str], refused: list[str]) -> None:
    number = 0
    while not refused or name not in refused:
        number += 1
        this = f"{name} {number}"
        try:
            async with database.transaction() as tx:
                await tx.all(ALL, {})
                await tx.run(PUT, {"name": this, "value": b""})
                for _ in range(random.randrange(5)):
                    await tx.all(ALL, {})
            acknowledged.append(this)
        except ReadOnly:
            refused.append(name)
        await asyncio.sleep(random.random() / 100)


@pytest.mark.parametrize("kind", [sqlite, postgres])
def test_a_thawed_database_takes_writes(kind: Callable[..., object], tmp_path: Path) -> None:
    async def test() -> None:
        door = await kind(tmp_path)  # type: ignore[misc]
        database: Database = door()
        await database.freeze(1)
        await database.freeze(2)
        with pytest.raises(ReadOnly):
            async with database.transaction():
                pass
        async with database.transaction(although_read_only=True) as tx:
            await tx.run(PUT, {"name": "w although", "value": b""})
        await database.thaw()
        async with database.transaction() as tx:
            await tx.run(PUT, {"name": "w again", "value": b""})
        assert 2 == len(await database.all(ALL, {}))
        await database.close()

    asyncio.run(test())
