"""
Uploads: bytes on their way to be a blob (distribution-spec, Pushing a blob).

An upload's id is a random name and a keyed mark over that name, the repository and the owner: it is useless anywhere else,
and no row is needed to know so. Its offset is the length of its staged bytes, so nothing can disagree with them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from roadstead.blobs.store import BlobStore, StagedUpload, unknown_upload
from roadstead.errors import BlobTooLarge, DigestMismatch, UploadInvalid, UploadRangeInvalid
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import INLINE_MAX_BYTES, Blobs, NewBytes

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
        keys: Callable[[], Awaitable[bytes]],
        max_blob_bytes: int,
    ) -> None:
        self._blobs = blobs
        self._stores = stores
        self._ask_key = keys
        self._key = b""
        self._max_blob_bytes = max_blob_bytes

    async def begin(self, repository: Repository, owner: str) -> str:
        """A new upload's id. Raises StorageFull, StorageBroken, ReadOnly."""
        await self._blobs.check_writable()
        name = secrets.token_hex(16)
        mark = await self._mark(name, repository, owner)
        await self._stores[repository.location].begin(name)
        return f"{name}-{mark}"

    async def offset(self, repository: Repository, owner: str, upload: str) -> int:
        """Bytes received so far. Raises UploadUnknown."""
        return await self._stores[repository.location].offset(await self._name(upload, repository, owner))

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
            if staged.offset_bytes == 0 and _fits_a_row(chunk):
                # Nothing of it needs to be staged.
                await self._finish_small(repository, staged, digest, await self._content(chunk))
            else:
                await self._receive(staged, chunk)
                await self._complete(repository, staged, digest)
        finally:
            staged.close()

    async def whole(self, repository: Repository, owner: str, digest: Digest, chunk: Chunk) -> None:
        """A blob in one request. Raises as finish does."""
        if _fits_a_row(chunk):
            await self._add_small(repository, digest, await self._content(chunk))
            return
        staged = await self._resume(repository, owner, await self.begin(repository, owner))
        try:
            await self._receive(staged, chunk)
            await self._complete(repository, staged, digest)
        except BaseException:
            # The client never learned the upload's name, so nobody will go on with it.
            await staged.discard()
            raise
        finally:
            staged.close()

    async def cancel(self, repository: Repository, owner: str, upload: str) -> None:
        """Raises UploadUnknown, UploadInvalid."""
        staged = await self._stores[repository.location].resume(await self._name(upload, repository, owner))
        try:
            await staged.discard()
        finally:
            staged.close()

    async def _receive(self, staged: StagedUpload, chunk: Chunk) -> None:
        start = staged.offset_bytes
        _check_start(chunk, start)
        try:
            await staged.receive(self._limited(chunk.batches, self._max_blob_bytes - start))
        except BlobTooLarge:
            await staged.discard()
            raise
        _check_length(chunk, staged.offset_bytes - start)

    async def _content(self, chunk: Chunk) -> bytes:
        """Of a chunk that fits a row; no more is read than it promised. Raises UploadInvalid, UploadRangeInvalid, BlobTooLarge."""
        _check_start(chunk, 0)
        if (chunk.length_bytes or 0) > self._max_blob_bytes:
            raise self._too_large()
        content = bytearray()
        async for batch in chunk.batches:
            content += b"".join(batch)
            if len(content) > INLINE_MAX_BYTES:
                break
        _check_length(chunk, len(content))
        return bytes(content)

    async def _limited(self, batches: AsyncIterator[Sequence[bytes]], left: int) -> AsyncIterator[Sequence[bytes]]:
        async for batch in batches:
            left -= sum(map(len, batch))
            if left < 0:
                raise self._too_large()
            yield batch

    def _too_large(self) -> BlobTooLarge:
        return BlobTooLarge(f"this server takes blobs of at most {self._max_blob_bytes} bytes")

    async def _complete(self, repository: Repository, staged: StagedUpload, digest: Digest) -> None:
        if staged.offset_bytes <= INLINE_MAX_BYTES:
            await self._finish_small(repository, staged, digest, await staged.content())
            return
        actual = await staged.digest(digest.algorithm)
        if actual != digest:
            await staged.discard()
            raise mismatch(digest, actual)
        size_bytes = staged.offset_bytes
        if await self._link_existing(repository, digest, staged.row):
            await staged.free()
            return
        storage_key = await staged.seal(digest)
        await self._blobs.add(repository, NewBytes(digest, size_bytes, storage_key=storage_key, upload=staged.row))
        await staged.free()

    async def _link_existing(self, repository: Repository, digest: Digest, upload: str | None) -> bool:
        return await self._blobs.in_location(repository.location, digest) and await self._blobs.link_existing(repository, digest, upload)

    async def _finish_small(self, repository: Repository, staged: StagedUpload, digest: Digest, content: bytes) -> None:
        """The upload stays for another try when the database fails."""
        try:
            await self._add_small(repository, digest, content, staged.row)
        except DigestMismatch:
            await staged.discard()
            raise
        await staged.free()

    async def _add_small(self, repository: Repository, digest: Digest, content: bytes, upload: str | None = None) -> None:
        actual = Digest.of(content, digest.algorithm)
        if actual != digest:
            raise mismatch(digest, actual)
        await self._blobs.add(repository, NewBytes(digest, len(content), content=content, upload=upload))

    async def _resume(self, repository: Repository, owner: str, upload: str) -> StagedUpload:
        """A client that lost its connection comes back before we have noticed: wait a moment for the old request to end."""
        name = await self._name(upload, repository, owner)
        store = self._stores[repository.location]
        for _ in range(BUSY_TRIES):
            try:
                return await store.resume(name)
            except UploadInvalid:
                await asyncio.sleep(BUSY_WAIT_SECONDS)
        return await store.resume(name)

    async def _name(self, upload: str, repository: Repository, owner: str) -> str:
        name, _, mark = upload.partition("-")
        if len(name) != 32 or not hmac.compare_digest(mark.encode(), (await self._mark(name, repository, owner)).encode()):
            raise unknown_upload()
        return name

    async def _mark(self, name: str, repository: Repository, owner: str) -> str:
        # Asked for when it is first needed: a server must come up while its database is away.
        self._key = self._key or await self._ask_key()
        bound = "\n".join((name, repository.location, repository.name, owner))
        return hmac.digest(self._key, bound.encode(), hashlib.sha256).hex()[:32]


def _fits_a_row(chunk: Chunk) -> bool:
    return chunk.length_bytes is not None and 0 < chunk.length_bytes <= INLINE_MAX_BYTES


def _check_start(chunk: Chunk, offset_bytes: int) -> None:
    if chunk.start_bytes is not None and chunk.start_bytes != offset_bytes:
        raise UploadRangeInvalid(
            f"the next chunk must start at byte {offset_bytes}, not {chunk.start_bytes}: ask for the upload's state and go on there",
            offset_bytes,
        )


def _check_length(chunk: Chunk, received_bytes: int) -> None:
    if chunk.length_bytes is not None and received_bytes != chunk.length_bytes:
        raise UploadInvalid(f"Content-Range promised {chunk.length_bytes} bytes and {received_bytes} came")


def mismatch(expected: Digest, actual: Digest) -> DigestMismatch:
    return DigestMismatch("the content received does not have the digest given", {"expected": expected, "received": actual})
