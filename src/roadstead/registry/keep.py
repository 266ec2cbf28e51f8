"""
Leases on all stored bytes, as rows of settings: while a backup copies, collection removes rows but no bytes.

What a snapshot of the database names was not removed before the lease began, because bytes go only after their row has gone.
A backup that was killed renews no more, and its lease ends by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from roadstead.db.database import Database, Reader
from roadstead.errors import StorageError
from roadstead.registry import queries
from roadstead.registry.blobs import Clock

# Long enough for a database that is away for a while and for clocks that differ a little.
LEASE_US = 600_000_000
RENEW_SECONDS = 60.0
LOOK_AGAIN_US = 60_000_000
_PREFIX = "bytes_kept_until_us/"

_log = structlog.get_logger()


def setting(holder: str) -> str:
    return f"{_PREFIX}{holder}"


async def until_us(reader: Reader) -> int:
    """No bytes may be removed before; 0 when nobody wants them kept."""
    return max([int(bytes(value)) for _, value in await reader.all(queries.KEPT, {})], default=0)


@asynccontextmanager
async def bytes_kept(database: Database, holder: str, clock: Clock) -> AsyncIterator[None]:
    """
    Nothing that a row named when the block began is removed before it ends. Works on a server that takes no writes, too.

    Raises StorageBroken.
    """
    await _renew(database, holder, clock)
    renewing = asyncio.create_task(_renew_always(database, holder, clock))
    try:
        yield
    finally:
        renewing.cancel()
        await _end(database, holder, clock)


async def _renew(database: Database, holder: str, clock: Clock) -> None:
    async with database.transaction(although_read_only=True) as tx:
        await tx.run(queries.PUT_SETTING, {"name": setting(holder), "value": str(clock() + LEASE_US).encode()})


async def _renew_always(database: Database, holder: str, clock: Clock) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await _renew(database, holder, clock)
        except StorageError as error:
            _log.warning("lease on stored bytes not renewed", error=str(error))


async def _end(database: Database, holder: str, clock: Clock) -> None:
    """Leases that ended by themselves are taken away too."""
    async with database.transaction(although_read_only=True) as tx:
        for name, value in await tx.all(queries.KEPT, {}):
            if name == setting(holder) or int(bytes(value)) < clock():
                await tx.run(queries.DELETE_SETTING, {"name": name})
