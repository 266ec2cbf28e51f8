"""
Collection: frees what nothing needs, beside pushes, in short transactions.

A link that no manifest needs is dropped after a grace; a blob whose last link goes loses its row in the same transaction,
and the removal of its bytes is a job of that transaction. Since a storage key is never used twice, nobody can come to need
the bytes in between. Manifests are never collected: an untagged one can still be pulled by digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from roadstead.blobs.store import BlobStore, StoredBytes
from roadstead.db.database import Database
from roadstead.errors import ConfigurationError
from roadstead.jobs.queue import Postponed
from roadstead.registry import keep, queries
from roadstead.registry.blobs import Clock, free_if_unlinked

BATCH = 100
ORPHAN_AGE_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run freed, or would free. protected_blobs: not needed either, but too fresh."""

    links: int
    blobs: int
    size_bytes: int
    uploads: int
    orphans: int
    protected_blobs: int
    protected_bytes: int


class Collector:
    def __init__(self, database: Database, stores: Mapping[str, BlobStore], grace_us: int, upload_expiry_us: int, clock: Clock) -> None:
        self._database = database
        self._stores = stores
        self._grace_us = grace_us
        self._upload_expiry_us = upload_expiry_us
        self._clock = clock

    async def estimate(self) -> Collected:
        """What collect() would free now, without freeing it."""
        now_us = self._clock()
        blobs, size_bytes = await self._freeable(now_us - self._grace_us)
        all_blobs, all_bytes = await self._freeable(now_us + 1)
        orphans = sum([1 async for _ in self._orphans()])
        return Collected(0, blobs, size_bytes, 0, orphans, all_blobs - blobs, all_bytes - size_bytes)

    async def collect(self, sweep: bool = False) -> Collected:
        """
        Free what may go. sweep also looks for what only a crash leaves, files and rows that nothing names; it lists all files.

        The bytes themselves go with the jobs that are queued here. Safe beside pushes, and beside other collections.
        """
        links = blobs = size_bytes = 0
        before_us = self._clock() - self._grace_us
        while True:
            dropped, freed, freed_bytes = await self._collect_batch(before_us)
            links, blobs, size_bytes = links + dropped, blobs + freed, size_bytes + freed_bytes
            if dropped < BATCH:
                break
            await asyncio.sleep(0.005)  # let pushes in
        uploads = sum([await store.expire(self._clock() - self._upload_expiry_us) for store in self._stores.values()])
        orphans = 0
        if sweep:
            freed, freed_bytes = await self._free_unlinked()
            blobs, size_bytes, orphans = blobs + freed, size_bytes + freed_bytes, await self._sweep()
            uploads += sum([await store.sweep(self._clock() - self._upload_expiry_us) for store in self._stores.values()])
        protected = await self._freeable(self._clock() + 1)
        return Collected(links, blobs, size_bytes, uploads, orphans, *protected)

    async def _collect_batch(self, before_us: int) -> tuple[int, int, int]:
        async with self._database.transaction() as tx:
            links = await tx.all(queries.COLLECTABLE, {"before_us": before_us, "most": BATCH})
            for repository_id, blob_id in links:
                await tx.run(queries.DELETE_LINK, {"repository_id": repository_id, "blob_id": blob_id})
            freed = [await free_if_unlinked(tx, blob_id, self._clock()) for blob_id in sorted({blob_id for _, blob_id in links})]
        sizes = [size for size in freed if size is not None]
        return len(links), len(sizes), sum(sizes)

    async def _free_unlinked(self) -> tuple[int, int]:
        """Blobs whose last link went while somebody else looked at them."""
        after = freed = freed_bytes = 0
        while rows := await self._database.all(queries.UNLINKED, {"after": after, "most": BATCH}):
            async with self._database.transaction() as tx:
                sizes = [await free_if_unlinked(tx, blob_id, self._clock()) for (blob_id,) in rows]
            freed += sum(1 for size in sizes if size is not None)
            freed_bytes += sum(size for size in sizes if size is not None)
            after = rows[-1][0]
        return freed, freed_bytes

    async def free_blob(self, arguments: bytes) -> None:
        """The job FREE_BLOB. Raises StorageBroken."""
        async with self._database.transaction() as tx:
            if await tx.one(queries.BLOB_KEY, {"blob_id": int(arguments)}) is not None:
                await free_if_unlinked(tx, int(arguments), self._clock())

    async def remove_bytes(self, arguments: bytes) -> None:
        """The job REMOVE_BYTES. Raises StorageBroken, ConfigurationError; Postponed while a backup may still copy the bytes."""
        location, storage_key = arguments.decode().split("\n")
        kept_until_us = await keep.until_us(self._database)
        if kept_until_us > self._clock():
            raise Postponed(min(kept_until_us, self._clock() + keep.LOOK_AGAIN_US))
        if location not in self._stores:
            raise ConfigurationError(f"location {location} is not configured any more")
        await self._stores[location].remove(storage_key)

    async def _freeable(self, before_us: int) -> tuple[int, int]:
        row = await self._database.one(queries.FREEABLE, {"before_us": before_us})
        assert row is not None
        return int(row[0]), int(row[1])

    async def _sweep(self) -> int:
        found = [orphan async for orphan in self._orphans()]
        # Asked after looking: what has no row now is in no backup that begins later.
        if await keep.until_us(self._database) > self._clock():
            return 0
        for location, stored in found:
            await self._stores[location].remove(stored.key)
        return len(found)

    async def _orphans(self) -> AsyncIterator[tuple[str, StoredBytes]]:
        """(location, bytes) of files without a row that are old enough not to belong to a push under way."""
        async for location, stored in orphans(self._database, self._stores):
            if stored.changed_at_us < self._clock() - max(self._grace_us, ORPHAN_AGE_US):
                yield location, stored


async def orphans(database: Database, stores: Mapping[str, BlobStore]) -> AsyncIterator[tuple[str, StoredBytes]]:
    """(location, StoredBytes) for everything stored that no row names."""
    for location, store in stores.items():
        async for stored in store.stored():
            keys = [each.key for each in stored]
            between = {"location": location, "first": min(keys, default=""), "last": max(keys, default="")}
            known = {row[0] for row in await database.all(queries.KEYS_BETWEEN, between)}
            for each in stored:
                if each.key not in known:
                    yield location, each
