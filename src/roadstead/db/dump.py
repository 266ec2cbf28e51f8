"""
A database as one file: written while the server runs, of one moment, and read back.

SQLite copies its own pages (the online backup API); PostgreSQL is dumped by its own programs, pg_dump and pg_restore. Beside the
file goes a listing of the blobs that the same moment had in stores: a line each of location, digest, size and storage key.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sqlalchemy import String, cast, func, literal_column, select, union_all

from roadstead.db import schema
from roadstead.db.database import Statement
from roadstead.db.sqlite import connect
from roadstead.errors import ConfigurationError, StorageBroken

FETCHED_AT_ONCE = 1000
_COUNTED = ("repositories", "manifests", "tags", "blobs")
_b = schema.blobs.c
_STORED = Statement(
    select(_b.location, _b.digest, cast(_b.size_bytes, String), _b.storage_key).where(_b.storage_key.is_not(None)).order_by(_b.id)
)
_COUNTS = Statement(
    union_all(
        *(
            select(literal_column(f"'{name}'").label("name"), func.count().label("rows")).select_from(schema.metadata.tables[name])
            for name in _COUNTED
        )
    )
)

Counts = dict[str, int]


async def dump_sqlite(file: Path, into: Path, listing: Path) -> Counts:
    """into and listing are new files, durable afterwards. Writers go on meanwhile. Raises StorageBroken."""
    try:
        return await asyncio.to_thread(_dump_sqlite, file, into, listing)
    except (sqlite3.Error, OSError) as error:
        raise StorageBroken(f"the database could not be copied ({error})") from error


def _dump_sqlite(file: Path, into: Path, listing: Path) -> Counts:
    source, copy = connect(file), sqlite3.connect(into, isolation_level=None)
    try:
        # Nothing is promised of the copy before it is whole, so it is synced once, at the end.
        copy.execute("PRAGMA synchronous = OFF")
        # In one step, which is one read of one moment: in several it would begin again after every write.
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        with listing.open("w") as lines:
            _write(lines, copy.execute(*_STORED.sqlite))
            _sync(lines)
        counts = dict(copy.execute(*_COUNTS.sqlite).fetchall())
    finally:
        copy.close()
        source.close()
    with into.open("rb") as written:
        os.fsync(written.fileno())
    return counts


async def dump_postgres(address: str, into: Path, listing: Path) -> Counts:
    """As dump_sqlite. Raises StorageBroken; ConfigurationError when pg_dump is not there or cannot do it."""
    import asyncpg

    try:
        connection = await asyncpg.connect(address)
        try:
            return await _dump_postgres(connection, address, into, listing)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StorageBroken(f"the database could not be read ({str(error).splitlines()[0]})") from error


async def _dump_postgres(connection: Any, address: str, into: Path, listing: Path) -> Counts:
    """The listing is read in the very snapshot that pg_dump is told to dump."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={into}"]
        await _run("pg_dump", options, address)
        with listing.open("w") as lines:
            async for rows in _fetched(connection.cursor(_STORED.postgres[0], prefetch=FETCHED_AT_ONCE)):
                _write(lines, rows)
            _sync(lines)
        counts = await connection.fetch(_COUNTS.postgres[0])
    with into.open("rb") as written:
        os.fsync(written.fileno())
    return {name: rows for name, rows in counts}


async def _fetched(cursor: Any) -> AsyncIterator[list[Any]]:
    rows = []
    async for row in cursor:
        rows.append(row)
        if len(rows) == FETCHED_AT_ONCE:
            yield rows
            rows = []
    yield rows


def load_sqlite(dump: Path, file: Path) -> None:
    """Make file, which is not there yet, of a dump: whole or not at all. Raises ConfigurationError, StorageBroken."""
    if file.exists():
        raise ConfigurationError(f"{file.parent} has a database already: restore into a folder of its own")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        staged = file.with_suffix(".restoring")
        with dump.open("rb") as source, staged.open("wb") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)
            _sync(target)
        staged.rename(file)
        for folder in (file.parent, file.parent.parent):
            _sync_folder(folder)
    except OSError as error:
        raise StorageBroken(f"the database could not be written ({error})") from error


async def load_postgres(address: str, dump: Path) -> None:
    """
    Fill a database that has no images, in one transaction. Raises ConfigurationError when it has, or pg_restore cannot do it.
    """
    made, used = await _state(address)
    if used:
        raise ConfigurationError("the database has images already: restore into an empty one")
    # Tables that `migrate` or a first start has made are empty, and made anew.
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", *(["--clean", "--if-exists"] if made else [])]
    await _run("pg_restore", [*options, str(dump)], address)


async def is_used(address: str) -> bool:
    """Has the database images in it? Raises ConfigurationError when it cannot be reached."""
    return (await _state(address))[1]


async def _state(address: str) -> tuple[bool, bool]:
    """Has it our tables, and rows in them?"""
    import asyncpg

    try:
        connection = await asyncpg.connect(address)
        try:
            made = await connection.fetchval("SELECT to_regclass('repositories') IS NOT NULL")
            some = "SELECT EXISTS (SELECT 1 FROM repositories) OR EXISTS (SELECT 1 FROM blobs)"
            return made, made and await connection.fetchval(some)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(f"the database cannot be used: {str(error).splitlines()[0]}; check the setting `database`") from error


async def _run(program: str, options: list[str], address: str) -> None:
    """Raises ConfigurationError."""
    plain, password = _without_password(address)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    try:
        process = await asyncio.create_subprocess_exec(
            program, f"--dbname={plain}", *options, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{program} is not installed here: install PostgreSQL's client programs (Debian: postgresql-client), of the server's version"
        ) from error
    try:
        _, said = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ConfigurationError(f"{program} failed: {lines[0][:300]}")


def _without_password(address: str) -> tuple[str, str]:
    """Everyone on the machine sees a program's arguments, only its owner its environment."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if user else host)), unquote(password)


def _write(lines: IO[str], rows: Iterable[Iterable[str]]) -> None:
    lines.writelines("\t".join(row) + "\n" for row in rows)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
