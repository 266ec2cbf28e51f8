"""
Uploads: bytes on their way to be a blob (distribution-spec, Pushing a blob).

An upload's id is a random name and a keyed mark over that name, the repository and the owner: it is useless anywhere else,
and no row is needed to know so. Its offset is the length of its staged bytes, so nothing can disagree with them.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from roadstead.blobs.store import BlobStore, StagedUpload
from roadstead.errors import BlobTooLarge, DigestMismatch, UploadInvalid, UploadRangeInvalid, UploadUnknown
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import INLINE_MAX_BYTES, Blobs, NewBytes

T = TypeVar("T")

BUSY_TRIES = 20
BUSY_WAIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Bytes that come with a request. start_bytes and length_bytes are what the client claims, None where it does not say.

    batches yields lists of pieces as they arrive.
    """

    batches: AsyncIterator[Sequence[bytes]]
    start_bytes: int | None = None
    length_bytes: int | None = None


class Uploads:
    def __init__(
        self,
        blobs: Blobs,
        stores: Mapping[str, BlobStore],
        key: bytes,
        max_blob_bytes: int,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._blobs = blobs
        self._stores = stores
        self._key = key
        self._max_blob_bytes = max_blob_bytes
        self._threads = threads

    def begin(self, repository: Repository, owner: str) -> str:
        """A new upload's id. Raises StorageFull, StorageBroken."""
        name = secrets.token_hex(16)
        self._stores[repository.location].begin(name)
        return f"{name}-{self._mark(name, repository, owner)}"

    def offset(self, repository: Repository, owner: str, upload: str) -> int:
        """Bytes received so far. Raises UploadUnknown."""
        return self._stores[repository.location].offset(self._name(upload, repository, owner))

    async def append(self, repository: Repository, owner: str, upload: str, chunk: Chunk) -> int:
        """
        Add bytes at the end; returns the new offset. What arrived before a connection broke is kept.

        Raises UploadUnknown, UploadRangeInvalid, BlobTooLarge, StorageFull, StorageBroken.
        """
        staged = await self._resume(repository, owner, upload)
        try:
            await self._receive(staged, chunk)
            return staged.offset_bytes
        finally:
            staged.close()

    async def finish(self, repository: Repository, owner: str, upload: str, digest: Digest, chunk: Chunk) -> None:
        """
        Add the last bytes, which may be none, and make all of them a blob. After a mismatch the upload is gone.

        Raises as append does, and DigestMismatch.
        """
        staged = await self._resume(repository, owner, upload)
        try:
            await self._receive(staged, chunk)
            await self._complete(repository, staged, digest)
        finally:
            staged.close()

    async def whole(self, repository: Repository, owner: str, digest: Digest, chunk: Chunk) -> None:
        """A blob in one request. Raises as finish does."""
        if chunk.length_bytes is not None and chunk.length_bytes <= INLINE_MAX_BYTES:
            content = b"".join([piece async for batch in chunk.batches for piece in batch])
            await self._add_small(repository, digest, content)
            return
        staged = await self._resume(repository, owner, self.begin(repository, owner))
        try:
            await self._receive(staged, chunk)
            await self._complete(repository, staged, digest)
        except BaseException:
            # The client never learned the upload's name, so nobody will go on with it.
            staged.discard()
            raise
        finally:
            staged.close()

    def cancel(self, repository: Repository, owner: str, upload: str) -> None:
        """Raises UploadUnknown, UploadInvalid."""
        staged = self._stores[repository.location].resume(self._name(upload, repository, owner))
        staged.discard()
        staged.close()

    async def _receive(self, staged: StagedUpload, chunk: Chunk) -> None:
        start = staged.offset_bytes
        if chunk.start_bytes is not None and chunk.start_bytes != start:
            raise UploadRangeInvalid(
                f"the next chunk must start at byte {start}, not {chunk.start_bytes}: ask for the upload's state and go on there",
                start,
            )
        left = self._max_blob_bytes - start
        async for batch in chunk.batches:
            left -= sum(map(len, batch))
            if left < 0:
                staged.discard()
                raise BlobTooLarge(f"this server takes blobs of at most {self._max_blob_bytes} bytes")
            await self._offload(staged.write, batch)
        received = staged.offset_bytes - start
        if chunk.length_bytes is not None and received != chunk.length_bytes:
            raise UploadInvalid(f"Content-Range promised {chunk.length_bytes} bytes and {received} came")

    async def _complete(self, repository: Repository, staged: StagedUpload, digest: Digest) -> None:
        if staged.offset_bytes <= INLINE_MAX_BYTES:
            content = staged.content()
            staged.discard()
            await self._add_small(repository, digest, content)
            return
        actual = await self._offload(staged.digest, digest.algorithm)
        if actual != digest:
            staged.discard()
            raise mismatch(digest, actual)
        size_bytes = staged.offset_bytes
        if await self._blobs.in_location(repository.location, digest) and await self._blobs.link_existing(repository, digest):
            staged.discard()
            return
        storage_key = await self._offload(staged.seal, digest)
        staged.discard()
        await self._blobs.add(repository, NewBytes(digest, size_bytes, storage_key=storage_key))

    async def _add_small(self, repository: Repository, digest: Digest, content: bytes) -> None:
        actual = Digest.of(content, digest.algorithm)
        if actual != digest:
            raise mismatch(digest, actual)
        await self._blobs.add(repository, NewBytes(digest, len(content), content=content))

    async def _resume(self, repository: Repository, owner: str, upload: str) -> StagedUpload:
        """A client that lost its connection comes back before we have noticed: wait a moment for the old request to end."""
        name = self._name(upload, repository, owner)
        store = self._stores[repository.location]
        for _ in range(BUSY_TRIES):
            try:
                return store.resume(name)
            except UploadInvalid:
                await asyncio.sleep(BUSY_WAIT_SECONDS)
        return store.resume(name)

    def _name(self, upload: str, repository: Repository, owner: str) -> str:
        name, _, mark = upload.partition("-")
        if len(name) != 32 or not hmac.compare_digest(mark, self._mark(name, repository, owner)):
            raise UploadUnknown("there is no such upload in this repository: it was finished, cancelled or has expired; begin a new one")
        return name

    def _mark(self, name: str, repository: Repository, owner: str) -> str:
        bound = "\n".join((name, repository.location, repository.name, owner))
        return hmac.digest(self._key, bound.encode(), hashlib.sha256).hex()[:32]

    async def _offload(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(work, *arguments))


def mismatch(expected: Digest, actual: Digest) -> DigestMismatch:
    return DigestMismatch("the content received does not have the digest given", {"expected": expected, "received": actual})
