"""
How much there is: repositories, manifests, tags, blobs and their bytes, uploads. For people and graphs, never for a decision.

The tables are counted, not estimated, in pieces of some thousand rows along an index, with pauses between them that are longer
than the pieces took: so one worker counts at a twentieth of its time whatever the size, and only the result gets older. It stands
in the database, where every node reads it in one look; of several workers one counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from roadstead.blobs.store import BlobStore
from roadstead.db.database import Database, Statement
from roadstead.errors import ReadOnly
from roadstead.registry import queries

SETTING = "totals"
PIECE_ROWS = 5000
PAUSE = 19
FRESH_US = 30_000_000
WRITE_AGAIN_US = 300_000_000


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """blobs: location → number and bytes; uploads: location → number of those that are open."""

    counted_at_us: int
    repositories: int
    manifests: int
    tags: int
    blobs: dict[str, tuple[int, int]]
    uploads: dict[str, int]


async def latest(database: Database) -> Totals | None:
    """What was counted last, by whichever worker; None if nothing was yet."""
    row = await database.one(queries.SETTING, {"name": SETTING})
    return msgspec.json.decode(bytes(row[0]), type=Totals) if row else None


class Counter:
    """One worker's."""

    def __init__(self, database: Database, stores: Mapping[str, BlobStore], clock: Callable[[], int], piece_rows: int = PIECE_ROWS) -> None:
        self._database = database
        self._stores = stores
        self._clock = clock
        self._piece_rows = piece_rows

    async def count(self) -> None:
        """Count all and write it down, unless somebody has just done so or nothing has changed. Takes as long as it takes."""
        known = await latest(self._database)
        now_us = self._clock()
        if known is not None and now_us - known.counted_at_us < FRESH_US:
            return
        found = await self._counted(now_us)
        if known is not None and now_us - known.counted_at_us < WRITE_AGAIN_US and _same(found, known):
            return
        try:
            async with self._database.transaction() as tx:
                await tx.run(queries.PUT_SETTING, {"name": SETTING, "value": msgspec.json.encode(found)})
        except ReadOnly:
            return  # a server that is being moved is counted where it goes

    async def _counted(self, now_us: int) -> Totals:
        return Totals(
            counted_at_us=now_us,
            repositories=await self._rows(queries.REPOSITORY_PIECE, queries.REPOSITORIES_BEYOND, ("", "")),
            manifests=await self._rows(queries.MANIFEST_PIECE, queries.MANIFESTS_BEYOND, (0, "")),
            tags=await self._rows(queries.TAG_PIECE, queries.TAGS_BEYOND, (0, "")),
            blobs=await self._blobs(),
            uploads={name: await store.open_uploads() for name, store in self._stores.items()},
        )

    async def _rows(self, piece: Statement, beyond: Statement, last: tuple[object, str]) -> int:
        number = 0
        while True:
            begun = time.perf_counter()
            where = {"last_id": last[0], "last_name": last[1]}
            end = await self._database.one(piece, {**where, "skip": self._piece_rows - 1})
            if end is None:
                row = await self._database.one(beyond, where)
                return number + (int(row[0]) if row else 0)
            number += self._piece_rows
            last = (end[0], end[1])
            await asyncio.sleep((time.perf_counter() - begun) * PAUSE)

    async def _blobs(self) -> dict[str, tuple[int, int]]:
        found = dict.fromkeys(self._stores, (0, 0))
        after = 0
        while True:
            begun = time.perf_counter()
            rows = await self._database.all(queries.BLOB_PIECE, {"after": after, "most": self._piece_rows})
            for location, number, size_bytes, _ in rows:
                before = found.get(location, (0, 0))
                found[location] = (before[0] + int(number), before[1] + int(size_bytes))
            if sum(row[1] for row in rows) < self._piece_rows:
                return found
            after = max(row[3] for row in rows)
            await asyncio.sleep((time.perf_counter() - begun) * PAUSE)


def _same(one: Totals, other: Totals) -> bool:
    return msgspec.structs.replace(one, counted_at_us=other.counted_at_us) == other
