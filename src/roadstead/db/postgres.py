"""
PostgreSQL 15 and newer, by asyncpg: one pool of connections in each process, opened when they are first needed.

COMMIT returns after the server's own sync (synchronous_commit is set on, whatever the server's default). A connection that
broke is not noticed before it is used: reads and the beginning of a transaction are then tried once more on another. What comes
after is not, because nobody knows whether a COMMIT whose answer was lost has happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy import BigInteger, text

from roadstead.db import schema
from roadstead.db.database import READ_ONLY_SINCE, SET_READ_ONLY, UNSET_READ_ONLY, Row, Statement, read_only
from roadstead.errors import RequestInvalid, RoadsteadError, StorageBroken, StorageFull

if TYPE_CHECKING:
    from asyncpg.pool import Pool, PoolConnectionProxy

T = TypeVar("T")

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 30.0
IDLE_SECONDS = 300.0
_SETTINGS = {
    "application_name": "roadstead",
    "synchronous_commit": "on",
    "timezone": "UTC",
    # A node that has vanished, or that gave up waiting, may not keep its locks: the server ends what it left.
    "statement_timeout": f"{COMMAND_SECONDS + 5:.0f}s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}

# What says that the connection, not the statement, is at fault.
_BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
)
_FOREIGN = (*_BROKEN, asyncpg.PostgresError)


# One round trip for BEGIN and the question. The status of the second statement tells how many rows it found.
_BEGIN = "BEGIN"
_BEGIN_AND_ASK = f"BEGIN; SELECT 1 FROM settings WHERE name = '{READ_ONLY_SINCE}' FOR KEY SHARE"  # noqa: S608
_READ_ONLY = "SELECT 1"
_LOCK_SETTINGS = Statement(text("LOCK TABLE settings IN EXCLUSIVE MODE"))
_AT_MOST_SECONDS = Statement(text("SET LOCAL lock_timeout = '5s'"))
_NUMBER_ON = [
    Statement(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {name}), false)"))  # noqa: S608
    for name, table in schema.metadata.tables.items()
    if "id" in table.c and isinstance(table.c["id"].type, BigInteger)
]


class PostgresTransaction:
    """One connection, in a transaction at READ COMMITTED."""

    def __init__(self, connection: PoolConnectionProxy[Any]) -> None:
        self._connection = connection

    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        sql, values = statement.postgres
        row: Row | None = await self._connection.fetchrow(sql, *values(parameters))
        return row

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        sql, values = statement.postgres
        rows: Sequence[Row] = await self._connection.fetch(sql, *values(parameters))
        return rows

    async def run(self, statement: Statement, parameters: dict[str, Any]) -> int:
        sql, values = statement.postgres
        status = await self._connection.execute(sql, *values(parameters))
        # "UPDATE 3", "INSERT 0 1"
        return int(status.rsplit(" ", 1)[1])

    async def run_many(self, statement: Statement, parameters: Sequence[dict[str, Any]]) -> None:
        sql, values = statement.postgres
        await self._connection.executemany(sql, [values(each) for each in parameters])


class PostgresDatabase:
    """
    One process's door to the server. Use it from one event loop only.

    address: postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…]. connections: at most so many at once.
    """

    def __init__(self, address: str, connections: int) -> None:
        self._address = address
        self._connections = connections
        self._pool: Pool[Any] | None = None
        self._opening = asyncio.Lock()

    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        sql, values = statement.postgres
        arguments = values(parameters)
        row: Row | None = await self._read(lambda connection: connection.fetchrow(sql, *arguments))
        return row

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]:
        sql, values = statement.postgres
        arguments = values(parameters)
        rows: Sequence[Row] = await self._read(lambda connection: connection.fetch(sql, *arguments))
        return rows

    async def _read(self, work: Callable[[PoolConnectionProxy[Any]], Awaitable[T]]) -> T:
        await _in_a_task()
        try:
            pool = self._pool or await self._opened()
            try:
                return await self._read_once(pool, work)
            except TimeoutError:
                raise
            except _BROKEN:
                return await self._read_once(pool, work)
        except _FOREIGN as error:
            raise _translated(error) from error

    async def _read_once(self, pool: Pool[Any], work: Callable[[PoolConnectionProxy[Any]], Awaitable[T]]) -> T:
        connection = await _acquired(pool)
        try:
            return await work(connection)
        finally:
            await pool.release(connection)

    @asynccontextmanager
    async def transaction(self, although_read_only: bool = False) -> AsyncIterator[PostgresTransaction]:
        await _in_a_task()
        try:
            pool = self._pool or await self._opened()
            connection, status = await _begun(pool, _BEGIN if although_read_only else _BEGIN_AND_ASK)
            try:
                if status == _READ_ONLY:
                    raise read_only()
                yield PostgresTransaction(connection)
                # The server answers ROLLBACK to the COMMIT of a transaction in which a statement has failed.
                if await connection.execute("COMMIT") != "COMMIT":
                    raise StorageBroken("the database has not stored it: try again")
            except BaseException:
                # Where this fails the pool does it again, or drops the connection, and with it all that was begun.
                with suppress(*_FOREIGN):
                    await connection.execute("ROLLBACK")
                raise
            finally:
                await pool.release(connection)
        except _FOREIGN as error:
            raise _translated(error) from error

    async def freeze(self, now_us: int) -> None:
        """
        Every transaction holds a ROW SHARE lock on settings from its question to its end (it asks FOR KEY SHARE), and this takes
        the weakest lock that waits for those: when it has it, nobody is between question and commit. Plain reads and dumps go on.
        """
        async with self.transaction(although_read_only=True) as tx:
            await tx.one(_AT_MOST_SECONDS, {})
            await tx.one(_LOCK_SETTINGS, {})
            await tx.run(SET_READ_ONLY, {"now_us": str(now_us).encode()})

    async def thaw(self) -> None:
        async with self.transaction(although_read_only=True) as tx:
            await tx.run(UNSET_READ_ONLY, {})

    async def number_on(self) -> None:
        async with self.transaction(although_read_only=True) as tx:
            for statement in _NUMBER_ON:
                await tx.one(statement, {})

    async def _opened(self) -> Pool[Any]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._address,
                    connect=_connected,
                    min_size=0,
                    max_size=self._connections,
                    max_inactive_connection_lifetime=IDLE_SECONDS,
                    timeout=CONNECT_SECONDS,
                    command_timeout=COMMAND_SECONDS,
                    server_settings=_SETTINGS,
                    # Cheaper than the usual reset of everything: no session of ours leaves anything behind.
                    reset=_nothing,
                )
            return self._pool

    async def maintain(self) -> None:
        """The server's own autovacuum does all there is to do."""

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


async def _in_a_task() -> None:
    """The HTTP floor starts a handler outside of any task, and goes on in one after its first wait; asyncpg's timeouts need one."""
    if asyncio.current_task() is None:
        await asyncio.sleep(0)


async def _acquired(pool: Pool[Any]) -> PoolConnectionProxy[Any]:
    """Nobody queues for long: when the database is slow, an answer of 503 is better than none."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await pool.acquire()


async def _begun(pool: Pool[Any], begin: str) -> tuple[PoolConnectionProxy[Any], str]:
    """A connection in a transaction, and what the server said to begin. Nothing has happened before, so it is tried twice."""
    connection = await _acquired(pool)
    try:
        return connection, await connection.execute(begin)
    except TimeoutError:
        await pool.release(connection)
        raise
    except _BROKEN:
        await pool.release(connection)
    except BaseException:
        await pool.release(connection)
        raise
    connection = await _acquired(pool)
    try:
        return connection, await connection.execute(begin)
    except BaseException:
        await pool.release(connection)
        raise


async def _connected(*arguments: Any, **named: Any) -> asyncpg.Connection[Any]:
    """
    Whoever waits for a connection may be cancelled; connecting goes on, and what came of it is dropped. asyncpg's own way out leaves an
    error behind that nobody looks at, and the event loop complains of it.
    """
    connecting = asyncio.ensure_future(asyncpg.connect(*arguments, **named))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_drop)
        raise


def _drop(connecting: asyncio.Future[asyncpg.Connection[Any]]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


async def _nothing(_: PoolConnectionProxy[Any]) -> None:
    return None


def _translated(error: BaseException) -> RoadsteadError:
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFull("the database's disk is full: nothing was stored; free some space and try again")
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return RequestInvalid("a name or text in the request has a NUL character, which cannot be stored")
    if isinstance(error, _BROKEN):
        return StorageBroken(f"the database does not answer ({_said(error)}): try again in a moment")
    return StorageBroken(f"the database refused a statement ({_said(error)}): nothing was stored; try again")


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
