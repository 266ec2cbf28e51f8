"""
Blobs: bytes once a location, links from the repositories that have them.

A blob of up to 32 KiB lives in its row: it costs no file, is durable with the transaction that links it, and a pull of it
is one read. A larger one is a file that was synced before its row is written (docs/decisions/0003-small-blobs-in-the-database.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from roadstead.blobs.store import BlobStore, unknown_upload
from roadstead.db.database import IS_READ_ONLY, Database, Row, Transaction, read_only
from roadstead.errors import BlobReferenced, BlobUnknown, ReadOnly
from roadstead.jobs import queue
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry import queries
from roadstead.registry.repositories import ensure_id, existing_id, lock

INLINE_MAX_BYTES = 32 * 1024
REMOVE_BYTES = "remove-bytes"
FREE_BLOB = "free-blob"

Clock = Callable[[], int]
"""Microseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Blob:
    """content is given for small blobs, storage_key and its store for the others."""

    digest: Digest
    size_bytes: int
    content: bytes | None
    storage_key: str
    store: BlobStore


@dataclass(frozen=True, slots=True)
class NewBytes:
    """What an upload brought: either content or a storage key. upload: the row that ends when this becomes a blob, if there is one."""

    digest: Digest
    size_bytes: int
    content: bytes | None = None
    storage_key: str | None = None
    upload: str | None = None


class Blobs:
    def __init__(self, database: Database, stores: Mapping[str, BlobStore], grace_us: int, clock: Clock) -> None:
        self._database = database
        self._stores = stores
        self._grace_us = grace_us
        self._clock = clock

    async def get(self, repository: Repository, digest: Digest) -> Blob:
        """
        One read. Only for a blob that no manifest needs, late in its grace, also one write: whoever is told that it is here
        may rely on it for a push, so it is protected anew.

        Raises BlobUnknown.
        """
        row = await self._database.one(queries.BLOB, {"location": repository.location, "name": repository.name, "digest": digest})
        if row is None:
            raise unknown(repository, digest)
        size_bytes, content, storage_key, unreferenced_since_us = row
        if unreferenced_since_us is not None and self._clock() - unreferenced_since_us > self._grace_us // 2:
            with suppress(ReadOnly):  # then nothing is collected either
                await self._protect(repository, digest)
        return Blob(digest, size_bytes, content, storage_key or "", self._stores[repository.location])

    async def _protect(self, repository: Repository, digest: Digest) -> None:
        async with self._database.transaction() as tx:
            repository_id = await existing_id(tx, repository)
            link = await tx.one(queries.LINKED, {"repository_id": repository_id, "location": repository.location, "digest": digest})
            if link is None:
                raise unknown(repository, digest)
            await tx.run(queries.PROTECT_LINK, {"repository_id": repository_id, "blob_id": link[0], "now_us": self._clock()})

    async def check_writable(self) -> None:
        """Asked before bytes are taken that could not become a blob. Raises ReadOnly."""
        if await self._database.one(IS_READ_ONLY, {}):
            raise read_only()

    async def in_location(self, location: str, digest: Digest) -> bool:
        """Are these bytes already kept for some repository of the location?"""
        row = await self._database.one(queries.BLOB_ID, {"location": location, "digest": digest})
        return row is not None and bool(row[1])

    async def mount(self, repository: Repository, digest: Digest, source: Repository | None) -> bool:
        """
        Link a blob of another repository, moving no bytes. False when the source (or, without one, no repository of the
        location) has it.
        """
        async with self._database.transaction() as tx:
            blob = await _hold(tx, repository.location, digest)
            if blob is None or not blob[1] or not await self._linked(tx, blob[0], digest, source):
                return False
            await self._link(tx, repository, blob[0])
            return True

    async def _linked(self, tx: Transaction, blob_id: int, digest: Digest, source: Repository | None) -> bool:
        if source is None:
            return await tx.one(queries.LINKED_ANYWHERE, {"blob_id": blob_id}) is not None
        row = await tx.one(queries.BLOB, {"location": source.location, "name": source.name, "digest": digest})
        return row is not None

    async def _link(self, tx: Transaction, repository: Repository, blob_id: int) -> None:
        now_us = self._clock()
        repository_id = await ensure_id(tx, repository, now_us)
        await tx.run(queries.ADD_LINK, {"repository_id": repository_id, "blob_id": blob_id, "now_us": now_us})

    async def link_existing(self, repository: Repository, digest: Digest, upload: str | None) -> bool:
        """
        Link bytes that the location already has and the client has proven to hold; ends the upload as add() does. False, and
        nothing is done, when they are gone by now. Raises UploadUnknown.
        """
        async with self._database.transaction() as tx:
            blob = await _hold(tx, repository.location, digest)
            if blob is None or not blob[1]:
                return False
            await _end_upload(tx, repository, upload)
            await self._link(tx, repository, blob[0])
            return True

    async def add(self, repository: Repository, new: NewBytes) -> None:
        """
        Durable bytes become a blob of the repository. Bytes that lost a race against their like are freed.

        Raises UploadUnknown, and adds nothing, when somebody else has ended the upload.
        """
        row = {"size_bytes": new.size_bytes, "storage_key": new.storage_key, "content": new.content, "now_us": self._clock()}
        async with self._database.transaction() as tx:
            await _end_upload(tx, repository, new.upload)
            blob = await _hold(tx, repository.location, new.digest)
            while blob is None:
                added = await tx.one(queries.ADD_BLOB, {"location": repository.location, "digest": new.digest, **row})
                if added is not None:
                    blob = (added[0], True, new.storage_key)
                else:
                    # Somebody else has added it since we looked; it may even be gone again.
                    blob = await _hold(tx, repository.location, new.digest)
            blob_id, has_bytes, storage_key = blob
            if not has_bytes:
                await tx.run(queries.HEAL_BLOB, {"blob_id": blob_id, **row})
            elif new.storage_key is not None and new.storage_key != storage_key:
                await remove_later(tx, repository.location, new.storage_key, self._clock())
            await self._link(tx, repository, blob_id)

    async def delete(self, repository: Repository, digest: Digest) -> None:
        """
        Unlink the blob from this repository; collection frees the bytes when no other repository has them.

        Raises BlobUnknown; BlobReferenced while a manifest of the repository needs it.
        """
        async with self._database.transaction() as tx:
            repository_id = await lock(tx, repository)
            where = {"repository_id": repository_id, "location": repository.location, "digest": digest}
            link = await tx.one(queries.LINKED, where)
            if link is None:
                raise unknown(repository, digest)
            manifest = await tx.one(queries.NEEDED_BY, {"repository_id": repository_id, "blob_id": link[0]})
            if manifest is not None:
                raise BlobReferenced(
                    f"manifest {manifest[0]} needs this blob: delete the manifest, the blob is then freed by itself",
                    {"digest": digest, "manifest": manifest[0]},
                )
            await tx.run(queries.DELETE_LINK, {"repository_id": repository_id, "blob_id": link[0]})
            await free_if_unlinked(tx, link[0], self._clock())


def unknown(repository: Repository, digest: Digest) -> BlobUnknown:
    return BlobUnknown(f"{repository.name} has no blob with this digest", {"digest": digest})


async def _end_upload(tx: Transaction, repository: Repository, upload: str | None) -> None:
    """Raises UploadUnknown when somebody else has. None is an upload without a row."""
    if upload is not None and not await tx.run(queries.END_UPLOAD, {"upload": upload, "location": repository.location}):
        raise unknown_upload()


async def _hold(tx: Transaction, location: str, digest: Digest) -> Row | None:
    """(id, whether its bytes are there, storage key) of a blob, which nobody frees before tx ends."""
    return await tx.one(queries.HOLD_BLOB, {"location": location, "digest": digest})


async def free_if_unlinked(tx: Transaction, blob_id: int, now_us: int) -> int | None:
    """
    Drop the row of a blob that no repository has any more; its bytes go after the commit. Returns the bytes freed, None if
    the blob stays. Where somebody else has it in his hands at this moment, to link it or to free it, a job looks again.
    """
    row = await tx.one(queries.LOCK_BLOB, {"blob_id": blob_id})
    if row is None:
        await queue.enqueue(tx, FREE_BLOB, str(blob_id).encode(), now_us)
        return None
    if await tx.one(queries.LINKED_ANYWHERE, {"blob_id": blob_id}) is not None:
        return None
    location, storage_key, size_bytes = row
    await tx.run(queries.DELETE_BLOB, {"blob_id": blob_id})
    if storage_key is not None:
        await remove_later(tx, location, storage_key, now_us)
    return int(size_bytes)


async def remove_later(tx: Transaction, location: str, storage_key: str, now_us: int) -> None:
    await queue.enqueue(tx, REMOVE_BYTES, f"{location}\n{storage_key}".encode(), now_us)
