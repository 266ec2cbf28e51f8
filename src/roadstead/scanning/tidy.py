"""
What nothing needs any more: inventories without images, versions without inventories, indexes of layers that are gone, old events, and
scans on demand that are over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from roadstead.db.database import Database, Row, Statement
from roadstead.scanning import queries
from roadstead.scanning.events import BATCH as EVENTS
from roadstead.scanning.events import KEPT_US
from roadstead.scanning.on_demand import OnDemand

BATCH = 200
AGE_US = 3_600_000_000
"""An inventory's image may be about to be written."""


class Tidy:
    def __init__(self, database: Database, locations: Sequence[str], clock: Callable[[], int]) -> None:
        self._database = database
        self._locations = locations
        self._clock = clock
        self._on_demand = OnDemand(database, clock)

    async def run(self) -> None:
        """In short transactions, beside scans. Raises StorageError."""
        await self._unused(queries.UNUSED_INVENTORIES, self._drop_inventories, {"before_us": self._clock() - AGE_US})
        await self._unused(queries.UNUSED_VERSIONS, self._drop_versions, {})
        await self._layers()
        await self._events()
        await self._on_demand.forget_old()

    async def _unused(self, statement: Statement, drop: Callable[[Sequence[Row]], Awaitable[None]], where: dict[str, int]) -> None:
        after = 0
        while rows := await self._database.all(statement, {**where, "after": after, "most": BATCH}):
            await drop(rows)
            after = int(rows[-1][0])

    async def _drop_inventories(self, rows: Sequence[Row]) -> None:
        async with self._database.transaction() as tx:
            for (inventory_id,) in rows:
                this = {"inventory_id": inventory_id}
                if await tx.one(queries.LOCK_INVENTORY, this) is None or await tx.one(queries.INVENTORY_IS_USED, this) is not None:
                    continue
                for statement in queries.DELETE_INVENTORY:
                    await tx.run(statement, this)

    async def _drop_versions(self, rows: Sequence[Row]) -> None:
        async with self._database.transaction() as tx:
            for (version_id,) in rows:
                this = {"version_id": version_id}
                if await tx.one(queries.LOCK_VERSION, this) is None or await tx.one(queries.VERSION_IS_USED, this) is not None:
                    continue
                for statement in queries.DELETE_VERSION:
                    await tx.run(statement, this)

    async def _layers(self) -> None:
        after = ""
        where = {"before_us": self._clock() - AGE_US, "most": BATCH}
        while rows := await self._database.all(queries.LAYERS_AFTER, {**where, "after": after}):
            gone = [row[0] for row in rows if not await self._is_kept(str(row[0]))]
            async with self._database.transaction() as tx:
                for digest in gone:
                    await tx.run(queries.DELETE_LAYER, {"digest": digest})
            after = str(rows[-1][0])

    async def _is_kept(self, digest: str) -> bool:
        for location in self._locations:
            if await self._database.one(queries.LAYER_IS_KEPT, {"location": location, "digest": digest}) is not None:
                return True
        return False

    async def _events(self) -> None:
        old = {"before_us": self._clock() - KEPT_US, "most": EVENTS}
        while True:
            async with self._database.transaction() as tx:
                if await tx.run(queries.OLD_EVENTS, old) < EVENTS:
                    return
