"""
SQLite: one file in WAL mode, written by several processes of one machine (docs/decisions/0002-sqlite-durability.md).

Statements run on the caller's thread: they touch the page cache and take microseconds. Writers queue at a file lock, not at
SQLite's busy handler, which sleeps. COMMIT itself does not sync (synchronous=NORMAL); a transaction ends only after an
fdatasync of the WAL that began after its COMMIT. One fdatasync so serves every transaction that was committed before it,
and the write lock is free again before the disk has answered.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from roadstead.db.database import IS_READ_ONLY, SET_READ_ONLY, UNSET_READ_ONLY, Row, Statement, read_only
from roadstead.errors import RoadsteadError, StorageBroken, StorageFull

BUSY_MILLISECONDS = 10_000
CHECKPOINT_AT_BYTES = 4 * 1024 * 1024
RESTART_WAL_AT_BYTES = 64 * 1024 * 1024
# A backup reads for as long as it takes; writers must not wait for it, so the WAL grows until it is over.
READERS_MILLISECONDS = 50
MOST_PROBLEMS = 20


def connect(file: Path) -> sqlite3.Connection:
    """A connection as every process of this program opens it."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000, cached_statements=256)
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Checkpoints sync, which would stall the event loop: the worker process makes them.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA cache_size = -8192")
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """
    The mode stays in the file, but a new or restored file changes it when it is first opened, and SQLite does
    not wait for another process that does so at the same moment.
    """
    until = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.001)


def problems(file: Path) -> list[str]:
    """What SQLite's own check finds wrong in the file; nothing where all is well. Reads all of it."""
    try:
        connection = connect(file)
        try:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})")]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


class SQLiteTransaction:
    """Reads its own writes. Never suspends, so it needs no lock inside its process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        sql, fixed = statement.sqlite
        row: Row | None = self._execute(sql, fixed | parameters).fetchone()
        return row

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        sql, fixed = statement.sqlite
        return self._execute(sql, fixed | parameters).fetchall()

    async def run(self, statement: Statement, parameters: dict[str, Any]) -> int:
        sql, fixed = statement.sqlite
        return self._execute(sql, fixed | parameters).rowcount

    async def run_many(self, statement: Statement, parameters: Sequence[dict[str, Any]]) -> None:
        for each in parameters:
            await self.run(statement, each)


class SQLiteDatabase:
    """
    One process's door to the file. Use it from one event loop only.

    file exists and has the schema (see migrate.py).
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reader = connect(file)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = connect(file)
        # A read creates the WAL if it is not there; from now on it stays, because these connections are open.
        self._reader.execute("SELECT count(*) FROM settings").fetchone()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="sqlite")
        self._lock = _WriteLock(file.with_suffix(".lock"), self._threads)
        self._sync = _Sync(_open_wal(file), self._threads)

    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        sql, fixed = statement.sqlite
        try:
            row: Row | None = self._reader.execute(sql, fixed | parameters).fetchone()
        except sqlite3.Error as error:
            raise _translated(error) from error
        return row

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        sql, fixed = statement.sqlite
        try:
            return self._reader.execute(sql, fixed | parameters).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    @asynccontextmanager
    async def transaction(self, although_read_only: bool = False) -> AsyncIterator[SQLiteTransaction]:
        await self._lock.acquire()
        try:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    tx = SQLiteTransaction(self._writer)
                    if not although_read_only and await tx.one(IS_READ_ONLY, {}):
                        raise read_only()
                    yield tx
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                raise _translated(error) from error
        finally:
            self._lock.release()
        # Also when nothing was changed: it may be that another process has just committed the same, and not synced it yet.
        await self._sync.after_now()

    async def freeze(self, now_us: int) -> None:
        """Transactions are one at a time: those before this one are committed, those after it find the setting."""
        async with self.transaction(although_read_only=True) as tx:
            await tx.run(SET_READ_ONLY, {"now_us": str(now_us).encode()})

    async def thaw(self) -> None:
        async with self.transaction(although_read_only=True) as tx:
            await tx.run(UNSET_READ_ONLY, {})

    async def number_on(self) -> None:
        """SQLite takes the highest id it finds."""

    async def maintain(self) -> None:
        """
        Move what is committed from the WAL into the file, off the event loop; the worker calls this every moment.

        Under constant writing a passive checkpoint never reaches the end of the WAL, so past 64 MiB writers wait once.
        """
        size_bytes = os.stat(f"{self._file}-wal").st_size
        if size_bytes >= CHECKPOINT_AT_BYTES:
            await asyncio.get_running_loop().run_in_executor(self._threads, _checkpoint, self._file, "PASSIVE")
        if size_bytes >= RESTART_WAL_AT_BYTES:
            await self._lock.acquire()
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, _checkpoint, self._file, "TRUNCATE", READERS_MILLISECONDS)
            finally:
                self._lock.release()

    async def close(self) -> None:
        self._threads.shutdown(wait=True)
        self._reader.close()
        self._writer.close()
        self._sync.close()
        self._lock.close()


def _open_wal(file: Path) -> int:
    return os.open(f"{file}-wal", os.O_RDWR | os.O_CLOEXEC)


def _checkpoint(file: Path, mode: str, patience_milliseconds: int = BUSY_MILLISECONDS) -> None:
    connection = connect(file)
    try:
        connection.execute(f"PRAGMA busy_timeout = {patience_milliseconds}")
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        connection.close()


def _translated(error: sqlite3.Error | OSError) -> RoadsteadError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the server's disk is full: nothing was stored; free some space and try again")
    return StorageBroken(f"the database did not answer ({error}): nothing was stored; try again")


class _WriteLock:
    """
    One writer at a time over all processes. A held lock is waited for in a thread; a free one costs a system call.

    Inside the process waiters queue in order, because flock belongs to the open file, not to the caller.
    """

    def __init__(self, file: Path, threads: ThreadPoolExecutor) -> None:
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._threads = threads
        self._local = asyncio.Lock()

    async def acquire(self) -> None:
        await self._local.acquire()
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await self._wait()

    async def _wait(self) -> None:
        waiting = asyncio.get_running_loop().run_in_executor(self._threads, fcntl.flock, self._fd, fcntl.LOCK_EX)
        try:
            await asyncio.shield(waiting)
        except OSError:
            self._local.release()
            raise
        except asyncio.CancelledError:
            # The thread will get the lock all the same. Until it has given it back nobody here may think that he has it.
            waiting.add_done_callback(self._give_back)
            raise

    def _give_back(self, waiting: asyncio.Future[None]) -> None:
        if waiting.exception() is None:
            self.release()
        else:
            self._local.release()

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._local.release()

    def close(self) -> None:
        os.close(self._fd)


class _Sync:
    """fdatasync of the WAL, shared by all who wait for one that begins after they asked."""

    def __init__(self, fd: int, threads: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._threads = threads
        self._waiting: list[asyncio.Future[None]] = []
        self._running = False

    async def after_now(self) -> None:
        """Raises StorageFull, StorageBroken."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if not self._running:
            self._begin()
        await future

    def _begin(self) -> None:
        self._running = True
        served, self._waiting = self._waiting, []
        work = asyncio.get_running_loop().run_in_executor(self._threads, os.fdatasync, self._fd)
        work.add_done_callback(self._finisher(served))

    def _finisher(self, served: list[asyncio.Future[None]]) -> Callable[[asyncio.Future[None]], None]:
        def finish(work: asyncio.Future[None]) -> None:
            self._running = False
            error = work.exception()
            for future in served:
                if future.done():
                    continue
                if isinstance(error, OSError):
                    future.set_exception(_translated(error))
                else:
                    future.set_result(None)
            if self._waiting:
                self._begin()

        return finish

    def close(self) -> None:
        os.close(self._fd)
