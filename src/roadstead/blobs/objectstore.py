"""
A bucket as a blob store: S3 and what speaks like it, Google Cloud Storage, Azure (all through obstore).

    PREFIX/blobs/ab/abcd…        finished bytes, and segments of uploads, under random keys
    PREFIX/quarantine/…          what `roadstead check --repair` found damaged

Objects cannot grow, and any node may get an upload's next request: so each request brings a segment, of which a row tells
(Segments). An upload of one segment becomes a blob without moving a byte, because the segment's key becomes the blob's. Only an
upload in several chunks is read once more, to be hashed and made one object.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import obstore
from obstore import exceptions
from obstore.store import from_url

from roadstead.blobs.store import StoredBytes, unreadable
from roadstead.errors import ConfigurationError, RoadsteadError, StorageBroken, UploadInvalid, UploadRangeInvalid
from roadstead.oci.digest import ALGORITHMS, Digest

if TYPE_CHECKING:
    from hashlib import _Hash

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 2
SMALL_BYTES = 32 * 1024
READ_BYTES = 1024 * 1024
HASH_IN_THREAD_BYTES = 64 * 1024
LISTED_AT_ONCE = 1000
MAX_SEGMENTS = 10_000
URL_SECONDS = 15 * 60
# Four tries within ten seconds: an outage must become an answer before the client gives up.
_RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
_CLIENT = {"connect_timeout": "3s", "read_timeout": "20s", "timeout": "1h", "allow_http": True}
_FOREIGN = (exceptions.BaseError, OSError)


@dataclass(frozen=True, slots=True)
class Segment:
    """What one request brought to an upload: an object of its own, or without a storage_key a few bytes that are in its row."""

    start_bytes: int
    size_bytes: int
    sha256: str
    storage_key: str | None


class Segments(Protocol):
    """Where it is written down what an upload has; blobs knows no SQL, so `registry/segments.py` is handed in."""

    async def begin(self, upload: str) -> None: ...

    async def of(self, upload: str) -> list[Segment]:
        """In order. Raises UploadUnknown."""

    async def content(self, upload: str, start_bytes: int) -> bytes:
        """Of a segment without an object. Raises UploadUnknown."""

    async def add(self, upload: str, segment: Segment, content: bytes | None) -> bool:
        """False when the upload has ended or somebody else has put a segment there."""

    async def end(self, upload: str) -> bool:
        """Forget the upload. False when it has ended already."""

    async def expire(self, before_us: int) -> tuple[int, list[str]]:
        """Forget uploads not touched since; returns how many, and the keys of their objects."""

    async def open(self) -> int:
        """How many uploads there are."""

    async def without_owner(self, keys: Sequence[str]) -> list[str]:
        """Those of the keys that no upload has."""


class ObjectBlobStore:
    """
    address: s3://BUCKET/PREFIX, gs://…, az://…; options: obstore's configuration of it, e.g. {"endpoint": "http://…"}.

    redirect: send clients to the bucket for large blobs, at public_endpoint where that differs from the one we use.
    """

    def __init__(
        self,
        address: str,
        options: dict[str, str],
        segments: Segments,
        threads: ThreadPoolExecutor,
        redirect: bool,
        public_endpoint: str,
    ) -> None:
        self._address = address
        self._options = options
        self._store = _opened(address, options)
        self._public = None
        if redirect:
            self._public = _opened(address, {**options, "endpoint": public_endpoint}) if public_endpoint else self._store
        self._segments = segments
        self._threads = threads

    async def begin(self, upload: str) -> None:
        await self._segments.begin(upload)

    async def resume(self, upload: str) -> ObjectUpload:
        return ObjectUpload(self, self._segments, upload, await self._segments.of(upload))

    async def offset(self, upload: str) -> int:
        return _end(await self._segments.of(upload))

    async def expire(self, before_us: int) -> int:
        gone, keys = await self._segments.expire(before_us)
        for key in keys:
            await self.remove(key)
        return gone

    async def sweep(self, before_us: int) -> int:
        if not self._address.startswith("s3://"):
            return 0
        return await asyncio.get_running_loop().run_in_executor(self._threads, _abort_unfinished, self._address, self._options, before_us)

    def path(self, key: str) -> Path | None:
        return None

    async def stream(self, key: str, start_bytes: int, length_bytes: int) -> AsyncIterator[bytes]:
        if length_bytes == 0:
            return
        try:
            result = await obstore.get_async(self._store, key, options={"range": (start_bytes, start_bytes + length_bytes)})
            async for chunk in result.stream(min_chunk_size=READ_BYTES):
                yield bytes(chunk)
        except (FileNotFoundError, exceptions.NotFoundError) as error:
            raise unreadable() from error
        except _FOREIGN as error:
            raise translated(error) from error

    async def url(self, key: str) -> str | None:
        if self._public is None:
            return None
        try:
            return await obstore.sign_async(self._public, "GET", key, timedelta(seconds=URL_SECONDS))
        except _FOREIGN as error:
            raise translated(error) from error

    async def digest_of(self, key: str, algorithm: str) -> tuple[int, Digest] | None:
        hasher, size_bytes = ALGORITHMS[algorithm](), 0
        try:
            result = await obstore.get_async(self._store, key)
            async for chunk in result.stream(min_chunk_size=READ_BYTES):
                size_bytes += len(chunk)
                await self.hash(hasher, [bytes(chunk)])
        except (FileNotFoundError, exceptions.NotFoundError):
            return None
        except _FOREIGN as error:
            raise translated(error) from error
        return size_bytes, Digest(f"{algorithm}:{hasher.hexdigest()}")

    async def copy_in(self, digest: Digest, batches: AsyncIterator[Sequence[bytes]]) -> str:
        key = new_key()
        await self.put(key, _joined(batches))
        return key

    async def remove(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except (FileNotFoundError, exceptions.NotFoundError):
            return
        except _FOREIGN as error:
            raise translated(error) from error

    async def quarantine(self, key: str) -> None:
        try:
            await obstore.rename_async(self._store, key, f"quarantine/{key.rsplit('/', 1)[1]}")
        except (FileNotFoundError, exceptions.NotFoundError):
            return
        except _FOREIGN as error:
            raise translated(error) from error

    async def check(self) -> None:
        try:
            await obstore.head_async(self._store, "is-it-there")
        except (FileNotFoundError, exceptions.NotFoundError):
            return
        except _FOREIGN as error:
            raise translated(error) from error

    async def open_uploads(self) -> int:
        return await self._segments.open()

    async def stored(self) -> AsyncIterator[list[StoredBytes]]:
        try:
            async for batch in obstore.list(self._store, "blobs", chunk_size=LISTED_AT_ONCE):
                found = [StoredBytes(each["path"], each["size"], int(each["last_modified"].timestamp() * 1e6)) for each in batch]
                # What an upload still has is nobody's orphan.
                free = set(await self._segments.without_owner([stored.key for stored in found]))
                if free:
                    yield [stored for stored in found if stored.key in free]
        except _FOREIGN as error:
            raise translated(error) from error

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """
        The whole object or nothing, in memory of a few parts. A short one goes in one request. Raises StorageBroken.

        What chunks raises ends the object where it stands; chunks must tell its caller of that itself.
        """
        head: list[bytes] = []
        size_bytes = 0
        async for chunk in chunks:
            head.append(chunk)
            size_bytes += len(chunk)
            if size_bytes >= PART_BYTES:
                break
        try:
            if size_bytes < PART_BYTES:
                await obstore.put_async(self._store, key, b"".join(head), use_multipart=False)
            else:
                parts = _chained(head, chunks)
                await obstore.put_async(self._store, key, parts, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
        except _FOREIGN as error:
            raise translated(error) from error

    async def hash(self, hasher: _Hash, pieces: Sequence[bytes]) -> None:
        if sum(map(len, pieces)) < HASH_IN_THREAD_BYTES:
            _update(hasher, pieces)
        else:
            await asyncio.get_running_loop().run_in_executor(self._threads, _update, hasher, pieces)


class ObjectUpload:
    """Segments that are there, and the one that comes."""

    def __init__(self, store: ObjectBlobStore, segments: Segments, upload: str, known: list[Segment]) -> None:
        self._store = store
        self._segments = segments
        self._known = known
        self.row = upload
        self.offset_bytes = _end(known)
        self._composed: str | None = None
        self._sealed: str | None = None

    async def receive(self, batches: AsyncIterator[Sequence[bytes]]) -> None:
        if len(self._known) >= MAX_SEGMENTS:
            raise UploadInvalid(f"an upload comes in at most {MAX_SEGMENTS} requests: begin anew, with larger chunks")
        coming = _Coming(self._store, batches)
        key, content = await self._stored(coming)
        if coming.size_bytes:
            segment = Segment(self.offset_bytes, coming.size_bytes, coming.hasher.hexdigest(), key)
            if not await self._segments.add(self.row, segment, content):
                await self._remove(key)
                raise self._overtaken(_end(await self._segments.of(self.row)))
            self._known.append(segment)
            self.offset_bytes += coming.size_bytes
            composed, self._composed = self._composed, None
            await self._remove(composed)
        if coming.error is not None:
            raise coming.error

    def _overtaken(self, offset_bytes: int) -> UploadRangeInvalid:
        return UploadRangeInvalid("another request has gone on with this upload: ask for its state and go on from there", offset_bytes)

    async def _stored(self, coming: _Coming) -> tuple[str | None, bytes | None]:
        small = await coming.up_to(SMALL_BYTES)
        if coming.ended:
            return None, b"".join(small)
        key = new_key()
        await self._store.put(key, _chained(small, coming))
        return key, None

    async def content(self) -> bytes:
        return b"".join([piece async for piece in self._bytes()])

    async def digest(self, algorithm: str) -> Digest:
        if algorithm == "sha256" and len(self._known) == 1:
            return Digest(f"sha256:{self._known[0].sha256}")
        hasher = ALGORITHMS[algorithm]()
        if (self._whole_key() or self._composed) is not None:
            async for piece in self._bytes():
                await self._store.hash(hasher, [piece])
        else:
            # Read for the digest anyway: the same reading makes the one object.
            self._composed = new_key()
            await self._store.put(self._composed, self._hashed(hasher))
        return Digest(f"{algorithm}:{hasher.hexdigest()}")

    async def _hashed(self, hasher: _Hash) -> AsyncIterator[bytes]:
        async for piece in self._bytes():
            await self._store.hash(hasher, [piece])
            yield piece

    async def _bytes(self) -> AsyncIterator[bytes]:
        for segment in self._known:
            if segment.storage_key is None:
                yield await self._segments.content(self.row, segment.start_bytes)
            else:
                try:
                    async for piece in self._store.stream(segment.storage_key, 0, segment.size_bytes):
                        yield piece
                except StorageBroken:
                    # Whoever has finished or cancelled the upload meanwhile has freed the object: then UploadUnknown is the truth.
                    await self._segments.of(self.row)
                    raise

    def _whole_key(self) -> str | None:
        return self._known[0].storage_key if len(self._known) == 1 else None

    async def seal(self, digest: Digest) -> str:
        key = self._whole_key() or self._composed
        if key is None:
            key = self._composed = new_key()
            await self._store.put(key, self._bytes())
        self._sealed = key
        return key

    async def discard(self) -> None:
        if self._sealed is not None:
            return
        if await self._segments.end(self.row):
            await self.free()
        else:
            await self._remove(self._composed)

    async def free(self) -> None:
        for key in (self._composed, *(segment.storage_key for segment in self._known)):
            if key != self._sealed:
                await self._remove(key)

    async def _remove(self, key: str | None) -> None:
        """What cannot be removed now is an orphan, and collection's sweep takes it."""
        if key is None:
            return
        try:
            await self._store.remove(key)
        except StorageBroken:
            return

    def close(self) -> None:
        """Nothing is held."""


class _Coming:
    """A request's body as single chunks, counted and hashed; its error is kept for afterwards, so that what came is not lost."""

    def __init__(self, store: ObjectBlobStore, batches: AsyncIterator[Sequence[bytes]]) -> None:
        self._store = store
        self._batches = batches
        self.hasher = hashlib.sha256()
        self.size_bytes = 0
        self.error: Exception | None = None
        self.ended = False

    def __aiter__(self) -> _Coming:
        return self

    async def __anext__(self) -> bytes:
        try:
            batch = await anext(self._batches)
        except StopAsyncIteration:
            self.ended = True
            raise
        except (OSError, RoadsteadError) as error:
            self.ended = True
            self.error = error
            raise StopAsyncIteration from None
        await self._store.hash(self.hasher, batch)
        chunk = b"".join(batch)
        self.size_bytes += len(chunk)
        return chunk

    async def up_to(self, most_bytes: int) -> list[bytes]:
        """Chunks until there is more than that, or the end."""
        chunks: list[bytes] = []
        async for chunk in self:
            chunks.append(chunk)
            if self.size_bytes > most_bytes:
                break
        return chunks


def new_key() -> str:
    name = secrets.token_hex(16)
    return f"blobs/{name[:2]}/{name}"


def translated(error: BaseException) -> StorageBroken:
    said = str(error).strip().splitlines()
    return StorageBroken(
        f"the object storage does not answer as it should ({(said or ['no reason given'])[0][:200]}): try again in a moment"
    )


def _opened(address: str, options: dict[str, str]) -> Any:
    try:
        return from_url(address, config=options, client_options=_CLIENT, retry_config=_RETRY)  # type: ignore[call-overload]
    except (exceptions.BaseError, ValueError, TypeError) as error:
        raise ConfigurationError(f"the storage {address} cannot be opened: {str(error).splitlines()[0]}") from error


def _abort_unfinished(address: str, options: dict[str, str], before_us: int) -> int:
    # Takes 30 MiB and a third of a second to import: once a day, and in workers only.
    from roadstead.blobs.multipart import Multipart

    return Multipart(address, options).abort("blobs", before_us)


def _end(segments: Sequence[Segment]) -> int:
    return segments[-1].start_bytes + segments[-1].size_bytes if segments else 0


def _update(hasher: _Hash, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        hasher.update(piece)


async def _joined(batches: AsyncIterator[Sequence[bytes]]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield b"".join(batch)


async def _chained(head: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in head:
        yield chunk
    async for chunk in rest:
        yield chunk
