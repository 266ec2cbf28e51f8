"""Databases with the schema, as copies of one that is made once: a hundredth, or a tenth, of the time."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import asyncpg

from roadstead.db import schema
from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from tests.kit.engines import ENGINES


def new_file(file: Path) -> None:
    """Unless it is there."""
    if not file.exists():
        shutil.copy(_file(), file)


def new_database() -> str:
    """The address of an empty one on PostgreSQL. Not from inside an event loop."""
    return _free.pop() if _free else ENGINES.postgres().new_database(_template())


def give_back(address: str) -> None:
    """A database that is not needed any more, for the next that needs an empty one: to empty it costs a fifth of making one."""
    asyncio.run(_empty(address))
    _free.append(address)


async def _empty(address: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(_END_OTHERS)
        await connection.execute(";".join(f'DELETE FROM "{table.name}"' for table in reversed(schema.metadata.sorted_tables)))
        await connection.execute(_NUMBER_ANEW)
        await connection.executemany("INSERT INTO settings (name, value) VALUES ($1, $2)", _settings)
    finally:
        await connection.close()


_free: list[str] = []
_settings: list[tuple[str, bytes]] = []
"""What a new database has."""
_END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_NUMBER_ANEW = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences"


@cache
def _file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="roadstead-schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate_sqlite(folder / "registry.sqlite")
    return folder / "registry.sqlite"


@cache
def _template() -> str:
    address = ENGINES.postgres().new_database()
    asyncio.run(_migrated(address))
    return address.rsplit("/", 1)[1]


async def _migrated(address: str) -> None:
    await migrate_postgres(address)
    connection = await asyncpg.connect(address)
    try:
        _settings.extend(map(tuple, await connection.fetch("SELECT name, value FROM settings")))
    finally:
        await connection.close()
