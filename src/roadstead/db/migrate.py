"""Brings a database to the schema of this program: Alembic revisions, run once before anything is served."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0006"
# Any number will do as long as nobody else takes it: nodes that start at once wait here for the first.
_ADVISORY_LOCK = 0x526F616473746561
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate_sqlite(file: Path) -> str | None:
    """
    Create or upgrade the file; returns the schema it had before, None for a new one. Safe when several processes start at once.

    The first fsync of a new folder is done here. Raises ConfigurationError when the file belongs to a newer program.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _revision(file) == HEAD:
            return HEAD
        with _sqlite(file) as connection:
            before = _upgrade(connection, str(file))
        _fsync_folder(file.parent)
        _fsync_folder(file.parent.parent)
        return before
    finally:
        os.close(lock)


async def migrate_postgres(address: str) -> str | None:
    """
    Create or upgrade the schema in the database at address; returns what migrate_sqlite does. Nodes that start at once take turns.

    Raises ConfigurationError when it belongs to a newer program, or cannot be reached.
    """
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(sqlalchemy_address(address), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
            return await connection.run_sync(lambda plain: _upgrade(plain, "the database"))
    except (OSError, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"the database cannot be used: {str(error).splitlines()[0][:300]}; check the setting `database` and that the server is up"
        ) from error
    finally:
        await engine.dispose()


def sqlalchemy_address(address: str) -> str:
    """postgresql://… as SQLAlchemy wants it for asyncpg; libpq's sslmode is called ssl there."""
    _, _, rest = address.partition("://")
    return f"postgresql+asyncpg://{rest.replace('sslmode=', 'ssl=')}"


def _revision(file: Path) -> str | None:
    """Read without Alembic, because every start asks."""
    if not file.exists() or file.stat().st_size == 0:
        return None
    connection = sqlite3.connect(file)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return str(row[0]) if row else None


@contextmanager
def _sqlite(file: Path) -> Iterator[Connection]:
    # SQLAlchemy and Alembic are slow to import and needed only here.
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", _plain)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _plain(connection: Any, _: object) -> None:
    """Python's sqlite3 would commit before every change of the schema; a half-made one must not survive a power loss."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _upgrade(connection: Connection, shown: str) -> str | None:
    """Inside one transaction, so that a crash leaves the old schema or the new one. Raises ConfigurationError."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import text

    current = MigrationContext.configure(connection).get_current_revision()
    if current == HEAD:
        return current
    if current is not None and current > HEAD:
        raise ConfigurationError(
            f"{shown} has schema {current}, newer than this program's {HEAD}: start the newer program, or restore a backup"
        )
    settings = Config()
    settings.set_main_option("script_location", str(_MIGRATIONS))
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
    connection.execute(
        text("INSERT INTO settings (name, value) VALUES ('upload_key', :key) ON CONFLICT DO NOTHING"), {"key": secrets.token_bytes(32)}
    )
    return current


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
