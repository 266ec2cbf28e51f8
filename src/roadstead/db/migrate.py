"""Brings a database to the schema of this program: Alembic revisions, run once before anything is served."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Any

from roadstead.errors import ConfigurationError

HEAD = "0001"


def migrate_sqlite(file: Path) -> None:
    """
    Create or upgrade the file. Safe when several processes start at once; the first fsync of a new folder is done here.

    Raises ConfigurationError when the file belongs to a newer program.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        current = _revision(file)
        if current == HEAD:
            return
        if current is not None and current > HEAD:
            raise ConfigurationError(
                f"{file} has schema {current}, newer than this program's {HEAD}: start the newer program, or restore a backup"
            )
        _upgrade(file)
        _fsync_folder(file.parent)
        _fsync_folder(file.parent.parent)
    finally:
        os.close(lock)


def _revision(file: Path) -> str | None:
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


def _upgrade(file: Path) -> None:
    # Alembic is slow to import and needed only here.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", _plain)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            settings = Config()
            settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.exec_driver_sql(
                "INSERT INTO settings (name, value) VALUES ('upload_key', ?) ON CONFLICT DO NOTHING", (secrets.token_bytes(32),)
            )
    finally:
        engine.dispose()


def _plain(connection: Any, _: object) -> None:
    """Python's sqlite3 would commit before every change of the schema; a half-made one must not survive a power loss."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
