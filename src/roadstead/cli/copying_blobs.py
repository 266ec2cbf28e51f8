"""
One blob from one registry to another, in pieces: neither the memory nor the disk of this machine ever holds it.

Where the source breaks off, it is asked for the rest (RFC 9110, 14, Range Requests); where the target does, it is asked how much it has
(distribution-spec, Pushing a blob in chunks) and gets the rest. The target checks the digest, and so does this side.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from roadstead.cli.output import Failed
from roadstead.cli.registry_answers import Refusal, Unreachable, pause
from roadstead.cli.registry_client import Registry, pull
from roadstead.oci.digest import Digest
from roadstead.oci.manifest import Descriptor

if TYPE_CHECKING:
    import httpx

PIECE_BYTES = 512 * 1024
PIECES_AHEAD = 4
CANCEL_SECONDS = 5
CANCEL_AGAIN_SECONDS = 0.1

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})", re.ASCII)
_OCTETS = {"content-type": "application/octet-stream"}


class Download:
    """
    A blob's bytes from any offset on. What is read for the first time is hashed; moved is told of it, in bytes.

    Connections that break are replaced, as long as one of `attempts` in a row brings something.
    """

    def __init__(self, registry: Registry, repository: str, blob: Descriptor, moved: Callable[[int], None]) -> None:
        self._registry, self._repository, self._blob, self._moved = registry, repository, blob, moved
        self._hasher = blob.digest.hasher()
        self._hashed_bytes = self._told_bytes = 0

    async def read(self, offset: int) -> AsyncGenerator[bytes, None]:
        """Raises Failed: Refusal, Unreachable, and where the bytes are not those that the digest stands for."""
        failures = 0
        while offset < self._blob.size_bytes:
            try:
                async with aclosing(_ahead(self._from(offset))) as pieces:
                    async for piece in pieces:
                        # It is hashed while it is on its way.
                        hashing = asyncio.create_task(asyncio.to_thread(self._hash, offset, piece))
                        if offset + len(piece) > self._told_bytes:
                            self._moved(offset + len(piece) - self._told_bytes)
                            self._told_bytes = offset + len(piece)
                        offset += len(piece)
                        failures = 0
                        if offset == self._blob.size_bytes:
                            # The last piece is kept back until all of them are known to be right.
                            await hashing
                        try:
                            yield piece
                        finally:
                            await hashing
                if offset < self._blob.size_bytes:
                    raise Unreachable(
                        f"{self._registry.host} broke off after {offset} of {self._blob.size_bytes} bytes of {self._blob.digest}"
                    )
            except Unreachable as error:
                failures += 1
                if failures >= self._registry.attempts:
                    # The upload must not take it for a failure of its own.
                    raise Failed(error.message) from error
                await pause(failures, error.after_seconds)

    async def _from(self, offset: int) -> AsyncGenerator[bytes, None]:
        path = f"/v2/{self._repository}/blobs/{self._blob.digest}"
        headers = {"accept-encoding": "identity", **({"range": f"bytes={offset}-"} if offset else {})}
        async with self._registry.stream("GET", path, pull(self._repository), headers) as response:
            # Whoever does not know ranges sends all of it again.
            skipped = offset if response.status_code != 206 else 0
            async for piece in _pieces(response):
                used, skipped = piece[skipped:], max(0, skipped - len(piece))
                if offset + len(used) > self._blob.size_bytes:
                    raise Failed(f"{self._registry.host} serves more for {self._blob.digest} than its {self._blob.size_bytes} bytes")
                offset += len(used)
                if used:
                    yield used

    def _hash(self, offset: int, piece: bytes) -> None:
        new = piece[max(0, self._hashed_bytes - offset) :]
        if not new:
            return
        self._hasher.update(new)
        self._hashed_bytes += len(new)
        if self._hashed_bytes == self._blob.size_bytes and self._hasher.hexdigest() != self._blob.digest.encoded:
            raise Failed(f"{self._registry.host} serves other bytes for {self._blob.digest} than it stands for: nothing was copied")


async def _ahead(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same, read while the pieces before are still being sent. Raises what pieces raises."""
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
    room = asyncio.Semaphore(PIECES_AHEAD)

    async def fill() -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    await room.acquire()
                    waiting.put_nowait(piece)
        finally:
            waiting.put_nowait(None)

    filling = asyncio.create_task(fill())
    try:
        while (found := await waiting.get()) is not None:
            room.release()
            yield found
        await filling
    finally:
        filling.cancel()
        await asyncio.wait([filling])


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in large pieces; where it breaks off, what has come until then."""
    import httpx

    piece = bytearray()
    try:
        async for part in response.aiter_raw():
            piece += part
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    except httpx.HTTPError:
        if piece:
            yield bytes(piece)
        raise
    if piece:
        yield bytes(piece)


class Upload:
    """A blob on its way into a registry. location: where its bytes go, "" before it was begun."""

    def __init__(self, registry: Registry, repository: str, scopes: frozenset[str], location: str = "") -> None:
        self._registry, self._repository, self._scopes = registry, repository, scopes
        self._location = location

    async def send(self, blob: Descriptor, download: Download) -> None:
        """All of it. A failure that is not the target's ends the upload there too. Raises Failed."""
        try:
            await self._send(blob, download)
        except BaseException:
            await asyncio.shield(self._cancel())
            raise

    async def _send(self, blob: Descriptor, download: Download) -> None:
        """Attempts are counted anew whenever the target got further than before."""
        failures = furthest = 0
        offset: int | None = 0
        while True:
            try:
                if offset is None:
                    offset = await self._offset()
                    # The last request may have been carried out, and only its answer lost.
                    if not self._location and await has(self._registry, self._repository, blob.digest, self._scopes):
                        return
                if not self._location:
                    self._location, offset = await self._begin(), 0
                if offset > furthest:
                    failures, furthest = 0, offset
                if offset < blob.size_bytes:
                    await self._append(blob, offset, download)
                await self._finish(blob.digest)
                return
            except (Unreachable, Refusal) as error:
                failures += 1
                if failures >= self._registry.attempts or (isinstance(error, Refusal) and error.status not in (404, 416)):
                    raise
                offset = None
                await pause(failures, error.after_seconds if isinstance(error, Unreachable) else 0.0)

    async def _begin(self) -> str:
        answer = await self._registry.once("POST", f"/v2/{self._repository}/blobs/uploads/", self._scopes)
        return self._next(answer.headers.get("location", ""))

    async def _append(self, blob: Descriptor, offset: int, download: Download) -> None:
        headers = {**_OCTETS, "content-length": str(blob.size_bytes - offset)}
        if offset:
            headers["content-range"] = f"{offset}-{blob.size_bytes - 1}"
        async with (
            aclosing(download.read(offset)) as pieces,
            self._registry.stream("PATCH", self._location, self._scopes, headers, pieces) as response,
        ):
            self._location = self._next(response.headers.get("location", "") or self._location)

    async def _finish(self, digest: Digest) -> None:
        path = f"{self._location}{'&' if '?' in self._location else '?'}digest={digest}"
        async with self._registry.stream("PUT", path, self._scopes, {**_OCTETS, "content-length": "0"}):
            self._location = ""

    async def _offset(self) -> int:
        """How many bytes the target has. An upload that it does not know any more is forgotten here too."""
        if not self._location:
            return 0
        try:
            answer = await self._registry.once("GET", self._location, self._scopes)
        except Refusal:
            self._location = ""
            return 0
        self._location = self._next(answer.headers.get("location", "") or self._location)
        found = _RANGE.fullmatch(answer.headers.get("range", ""))
        # 0-0 is nothing and also one byte: of one byte, the upload is begun anew.
        if found is None or found[1] == "0":
            await self._cancel()
            return 0
        return int(found[1]) + 1

    async def _cancel(self) -> None:
        """As far as the registry can be reached; it forgets uploads by itself after a time."""
        location, self._location = self._location, ""
        with suppress(Unreachable, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                while location:
                    try:
                        await self._registry.once("DELETE", location, self._scopes)
                        return
                    except Refusal as error:
                        if error.status not in (400, 409, 416):
                            return
                        # It may not have noticed yet that nobody sends any more.
                        await asyncio.sleep(CANCEL_AGAIN_SECONDS)

    def _next(self, location: str) -> str:
        if not location:
            raise Failed(f"{self._registry.host} does not say where an upload goes on: it is no registry that can be written to")
        return location


async def has(registry: Registry, repository: str, digest: Digest, scopes: frozenset[str]) -> bool:
    try:
        await registry.request("HEAD", f"/v2/{repository}/blobs/{digest}", scopes)
    except Refusal as error:
        if error.status == 404:
            return False
        raise
    return True


async def mount(registry: Registry, repository: str, digest: Digest, source: str, origin: str, scopes: frozenset[str]) -> str | None:
    """
    Link a blob of another repository of the same registry: no bytes are moved.

    None where that was done; else the location of an upload that the registry began instead ("" where it did not).
    Spec: distribution-spec, Mounting a blob from another repository; origin is the host of the source's names, as gcrane sends it.
    """
    path = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}&origin={origin}"
    try:
        answer = await registry.request("POST", path, scopes | pull(source))
    except Refusal as error:
        if error.status in (401, 403, 404, 405):
            return ""
        raise
    return None if answer.status == 201 else answer.headers.get("location", "")
