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
        self._layers_without_blob = queries.layers_without_blob(locations)
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
        where = {"before_us": self._clock() - AGE_US}
        while rows := await self._database.all(queries.LAYERS_AFTER, {**where, "after": after, "most": BATCH}):
            last = str(rows[-1][0])
            gone = await self._database.all(self._layers_without_blob, {**where, "after": after, "last": last})
            if gone:
                async with self._database.transaction() as tx:
                    await tx.run_many(queries.DELETE_LAYER, [{"digest": digest} for (digest,) in gone])
            after = last

    async def _events(self) -> None:
        old = {"before_us": self._clock() - KEPT_US, "most": EVENTS}
        while True:
            async with self._database.transaction() as tx:
                if await tx.run(queries.OLD_EVENTS, old) < EVENTS:
                    return
