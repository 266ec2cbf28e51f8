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
from roadstead.jobs import queue
from roadstead.jobs.queue import Job
from roadstead.oci.digest import ALGORITHMS
from roadstead.registry import queries
from roadstead.registry.blobs import REMOVE_BYTES, Clock, free_if_unlinked

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
        Free what may go. sweep also looks for files without a row, which only a crash leaves; it lists all files.

        Safe beside pushes, and beside other collections.
        """
        links = blobs = size_bytes = 0
        before_us = self._clock() - self._grace_us
        while True:
            dropped, freed, freed_bytes = await self._collect_batch(before_us)
            links, blobs, size_bytes = links + dropped, blobs + freed, size_bytes + freed_bytes
            if dropped < BATCH:
                break
            await asyncio.sleep(0.005)  # let pushes in
        while await self.remove_bytes():
            pass
        uploads = sum(store.expire(self._clock() - self._upload_expiry_us) for store in self._stores.values())
        orphans = await self._sweep() if sweep else 0
        protected = await self._freeable(self._clock() + 1)
        return Collected(links, blobs, size_bytes, uploads, orphans, *protected)

    async def _collect_batch(self, before_us: int) -> tuple[int, int, int]:
        freed = freed_bytes = 0
        async with self._database.transaction() as tx:
            links = await tx.all(queries.COLLECTABLE, {"before_us": before_us, "most": BATCH})
            for repository_id, blob_id in links:
                row = await tx.one(queries.BLOB_ROW, {"blob_id": blob_id})
                await tx.run(queries.DELETE_LINK, {"repository_id": repository_id, "blob_id": blob_id})
                await free_if_unlinked(tx, blob_id, self._clock())
                if row and await tx.one(queries.BLOB_ROW, {"blob_id": blob_id}) is None:
                    freed, freed_bytes = freed + 1, freed_bytes + row[2]
        return len(links), freed, freed_bytes

    async def remove_bytes(self) -> int:
        """Run the removals that are due, some at a time; returns how many there were."""
        async with self._database.transaction() as tx:
            jobs = await queue.claim(tx, self._clock(), BATCH)
        if not jobs:
            return 0
        results = [(job, await asyncio.to_thread(self._remove, job)) for job in jobs]
        async with self._database.transaction() as tx:
            for job, error in results:
                if error is None:
                    await queue.finish(tx, job)
                else:
                    await queue.fail(tx, job, error, self._clock())
        return len(jobs)

    def _remove(self, job: Job) -> str | None:
        if job.kind != REMOVE_BYTES:
            return f"this program knows no job of kind {job.kind}"
        location, storage_key = job.arguments.decode().split("\n")
        if location not in self._stores:
            return f"location {location} is not configured any more"
        try:
            self._stores[location].remove(storage_key)
        except OSError as error:
            return str(error)
        return None

    async def _freeable(self, before_us: int) -> tuple[int, int]:
        row = await self._database.one(queries.FREEABLE, {"before_us": before_us})
        assert row is not None
        return int(row[0]), int(row[1])

    async def _sweep(self) -> int:
        found = [orphan async for orphan in self._orphans()]
        for location, stored in found:
            await asyncio.to_thread(self._stores[location].remove, stored.key)
        return len(found)

    async def _orphans(self) -> AsyncIterator[tuple[str, StoredBytes]]:
        """(location, bytes) of files without a row that are old enough not to belong to a push under way."""
        async for location, stored in orphans(self._database, self._stores):
            if stored.changed_at_us < self._clock() - max(self._grace_us, ORPHAN_AGE_US):
                yield location, stored


async def orphans(database: Database, stores: Mapping[str, BlobStore]) -> AsyncIterator[tuple[str, StoredBytes]]:
    """(location, StoredBytes) for every file that no row names."""
    for location, store in stores.items():
        shard, stored_here = "", list[StoredBytes]()
        for stored in store.stored():
            folder = stored.key.rsplit("/", 1)[0]
            if folder != shard:
                for orphan in await _unknown_keys(database, location, shard, stored_here):
                    yield location, orphan
                shard, stored_here = folder, []
            stored_here.append(stored)
        for orphan in await _unknown_keys(database, location, shard, stored_here):
            yield location, orphan


async def _unknown_keys(database: Database, location: str, shard: str, stored_here: list[StoredBytes]) -> list[StoredBytes]:
    if not stored_here:
        return []
    algorithm, prefix = shard.split("/")
    assert algorithm in ALGORITHMS
    rows = await database.all(
        queries.KEYS_BETWEEN, {"location": location, "first": f"{algorithm}:{prefix}", "end": f"{algorithm}:{prefix}g"}
    )
    known = {row[0] for row in rows}
    return [stored for stored in stored_here if stored.key not in known]
