"""Indexes of layers: read once for each digest, in other processes, and kept."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from roadstead.db.database import Database
from roadstead.errors import ScanFailed, ScanStopped, StorageBroken
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import Blob, Blobs
from roadstead.scanner.inventory import ANALYZER_VERSION, Inventory
from roadstead.scanning import process, queries

MAX_LAYERS = 1000
MAX_INDEXES_BYTES = 256 * 1024 * 1024
"""Of all layers of one image, which are in memory together; a manifest may name one layer thousands of times."""
FAILED_US = 300_000_000
"""How long a layer that could not be read is not read again: any number of images may have it, and each would cost as much."""


class Layers:
    def __init__(self, database: Database, blobs: Blobs, processes: int, clock: Callable[[], int]) -> None:
        self._database = database
        self._blobs = blobs
        self._processes = processes
        self._clock = clock
        self._pool: ProcessPoolExecutor | None = None
        self._alone = asyncio.Lock()
        self._reading: dict[Digest, asyncio.Event] = {}
        self._closed = False

    async def inventory(self, repository: Repository, layers: Sequence[Digest]) -> Inventory:
        """
        Of an image with these layers, from the bottom; each is read only where nobody has read it before, or tried to a few minutes ago.

        Raises ScanFailed (one is no layer, or too much of one), BlobUnknown, StorageBroken.
        """
        if len(layers) > MAX_LAYERS:
            raise ScanFailed(f"the image has more than {MAX_LAYERS} layers")
        indexes: list[tuple[str, bytes]] = []
        left_bytes = MAX_INDEXES_BYTES
        for layer in layers:
            indexes.append((str(layer), await self._index(repository, layer)))
            left_bytes -= len(indexes[-1][1])
            if left_bytes < 0:
                raise ScanFailed("the layers of the image have more files with packages than a scan may keep in memory")
        return Inventory.decode(await self._run(process.merge_indexes, indexes))

    async def _index(self, repository: Repository, digest: Digest) -> bytes:
        # Of images that come together the base is read once: the others wait for it.
        while (other := self._reading.get(digest)) is not None:
            await other.wait()
        done = self._reading[digest] = asyncio.Event()
        try:
            return await self._known_or_read(repository, digest)
        finally:
            del self._reading[digest]
            done.set()

    async def _known_or_read(self, repository: Repository, digest: Digest) -> bytes:
        this = {"digest": digest, "analyzer": ANALYZER_VERSION}
        known = await self._known(this)
        if known is not None:
            return known
        blob = await self._blobs.get(repository, digest)
        try:
            content, problem = await self._scan(blob), ""
        except ScanStopped:
            raise
        except ScanFailed as error:
            content, problem = b"", error.message
        async with self._database.transaction() as tx:
            await tx.run(queries.PUT_LAYER, {**this, "content": content, "error": problem, "now_us": self._clock()})
        if not problem:
            return content
        # Another node may have read it well meanwhile.
        known = await self._known(this)
        if known is None:
            raise ScanFailed(problem)
        return known

    async def _known(self, layer: dict[str, Any]) -> bytes | None:
        """Raises ScanFailed where it could not be read a short while ago."""
        row = await self._database.one(queries.LAYER, {**layer, "failed_after_us": self._clock() - FAILED_US})
        if row is not None and row[1]:
            raise ScanFailed(str(row[1]))
        return None if row is None else bytes(row[0])

    async def _scan(self, blob: Blob) -> bytes:
        if blob.content is not None:
            return await self._run(process.scan_bytes, bytes(blob.content))
        path = blob.store.path(blob.storage_key)
        if path is not None:
            return await self._run(process.scan_file, str(path))
        with tempfile.NamedTemporaryFile(prefix="roadstead-layer-") as file:
            async for chunk in blob.store.stream(blob.storage_key, 0, blob.size_bytes):
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            return await self._run(process.scan_file, file.name)

    async def _run(self, work: Callable[..., bytes], argument: object) -> bytes:
        """
        Once more, and alone, where a process died: what kills one takes down all that is read beside it.

        Raises ScanFailed, also when the process died of this; StorageBroken when this worker is about to end.
        """
        pool = self._pool = self._pool or self._new(self._processes)
        try:
            return await self._in(pool, work, argument)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False)
        async with self._alone:
            pool = self._new(1)
            try:
                return await self._in(pool, work, argument)
            except BrokenProcessPool as error:
                said = "the process that read the layer died of it: it needs more memory or time than a scan may have"
                raise ScanStopped(said) from error
            finally:
                pool.shutdown(wait=False)

    def _new(self, processes: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), process.prepare, (os.getpid(),))

    async def _in(self, pool: ProcessPoolExecutor, work: Callable[..., bytes], argument: object) -> bytes:
        ending = StorageBroken("the worker that read the layer has ended: another goes on with it")
        if self._closed:
            raise ending
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work, argument)
        except BrokenProcessPool as error:
            if self._closed:
                raise ending from error
            raise

    def close(self) -> None:
        """The worker ends: what its processes read is read again by the next."""
        self._closed = True
        for child in multiprocessing.active_children():
            child.terminate()
