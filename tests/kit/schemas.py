"""Databases with the schema, as copies of one that is made once: a hundredth, or a tenth, of the time."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from tests.kit.engines import ENGINES


def new_file(file: Path) -> None:
    """Unless it is there."""
    if not file.exists():
        shutil.copy(_file(), file)


def new_database() -> str:
    """The address of a new one on PostgreSQL. Not from inside an event loop."""
    return ENGINES.postgres().new_database(_template())


@cache
def _file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="roadstead-schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate_sqlite(folder / "registry.sqlite")
    return folder / "registry.sqlite"


@cache
def _template() -> str:
    address = ENGINES.postgres().new_database()
    asyncio.run(migrate_postgres(address))
    return address.rsplit("/", 1)[1]
