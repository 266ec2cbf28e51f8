"""
Sending files: the kernel copies from the page cache to the socket (sendfile), no byte passes through Python.

Over TLS, and where a part is not in the page cache, a thread reads it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.api.messages import FileSlice, Part, StreamSlice
from roadstead.errors import StorageBroken

if TYPE_CHECKING:
    from roadstead.api.http1 import Exchange, RegistryProtocol

STALL_SECONDS = 60.0
SEND_BYTES = 2 * 1024 * 1024
READ_BYTES = 512 * 1024
TLS_BYTES = 256 * 1024


async def send_parts(protocol: RegistryProtocol, exchange: Exchange, head: bytes, parts: Sequence[Part]) -> None:
    """
    head, then each part. Files are opened and streams begun before the first byte goes, so a missing one can still be an honest
    answer.

    Raises StorageBroken (nothing sent yet); ConnectionError when the client goes, reads nothing for a minute, or a file is
    shorter than it should be: the client must not take half a blob for a whole one.
    """
    files = _open_all(parts)
    try:
        transport = protocol.transport
        begun = await _begin_stream(parts)
        transport.write(head)
        for part, file in zip(parts, files, strict=True):
            if isinstance(part, bytes):
                transport.write(part)
            elif isinstance(part, StreamSlice):
                await _forward(protocol, part, begun)
                begun = b""
            elif transport.get_extra_info("sslcontext") is not None:
                await _copy(protocol, part, file)
            elif part.length_bytes > 0:
                await _flushed(protocol, exchange)
                await _Sendfile(protocol, exchange, part, file).run()
        if protocol.flow.write_paused:
            await protocol.flow.drain()
    finally:
        for file in files:
            if file >= 0:
                os.close(file)


def _open_all(parts: Sequence[Part]) -> list[int]:
    files: list[int] = []
    by_path: dict[Path, int] = {}
    try:
        for part in parts:
            if not isinstance(part, FileSlice):
                files.append(-1)
            elif part.path in by_path:
                files.append(os.dup(by_path[part.path]))
            else:
                by_path[part.path] = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
                files.append(by_path[part.path])
    except OSError as error:
        for file in files:
            if file >= 0:
                os.close(file)
        raise StorageBroken("the blob's bytes cannot be read: run `roadstead check` on the server, or push the image again") from error
    return files


async def _begin_stream(parts: Sequence[Part]) -> bytes:
    """The first piece of the first stream. Raises StorageBroken."""
    for part in parts:
        if isinstance(part, StreamSlice):
            return await anext(part.chunks, b"")
    return b""


async def _forward(protocol: RegistryProtocol, part: StreamSlice, begun: bytes) -> None:
    sent = len(begun)
    protocol.transport.write(begun)
    try:
        async for chunk in part.chunks:
            sent += len(chunk)
            protocol.transport.write(chunk)
            if protocol.flow.write_paused:
                await asyncio.wait_for(protocol.flow.drain(), STALL_SECONDS)
            if protocol.transport.is_closing():
                raise ConnectionResetError("the client has gone")
    except (StorageBroken, TimeoutError) as error:
        raise ConnectionAbortedError("the stream broke off, or the client reads nothing") from error
    if sent != part.length_bytes:
        raise ConnectionAbortedError("the stored bytes are not as many as the blob has")


async def _flushed(protocol: RegistryProtocol, exchange: Exchange) -> None:
    """What the transport still has must go before the kernel writes to the same socket."""
    waited = 0.0
    while protocol.transport.get_write_buffer_size() > 0:
        if exchange.disconnected or waited > STALL_SECONDS:
            raise ConnectionResetError("the client has gone or does not read")
        await asyncio.sleep(0 if waited == 0 else 0.005)
        waited += 0.005


class _Sendfile:
    """Sends one slice whenever the socket can take more; runs as a callback of the event loop."""

    def __init__(self, protocol: RegistryProtocol, exchange: Exchange, part: FileSlice, file: int) -> None:
        self._loop = protocol.loop
        self._socket = protocol.socket_fd()
        self._file = file
        self._offset = part.start_bytes
        self._end = part.start_bytes + part.length_bytes
        self._exchange = exchange
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._moved_to = -1
        self._reading: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle

    async def run(self) -> None:
        if self._exchange.disconnected:
            raise ConnectionResetError("the client has gone")
        self._exchange.on_lost = lambda: self._fail(ConnectionResetError("the client has gone"))
        self._watch = self._loop.call_later(STALL_SECONDS, self._check_progress)
        try:
            self._loop.add_writer(self._socket, self._step)
            await self._done
            # A reading that is under way still uses the file.
            if self._reading is not None:
                await self._reading
        finally:
            self._exchange.on_lost = None
            self._loop.remove_writer(self._socket)
            self._watch.cancel()

    def _step(self) -> None:
        if self._done.done():
            return
        want = min(SEND_BYTES, self._end - self._offset)
        if not self._is_cached(want):
            self._loop.remove_writer(self._socket)
            self._reading = self._loop.run_in_executor(None, _warm, self._file, self._offset, want)
            self._reading.add_done_callback(self._warmed)
            return
        self._send(want)

    def _warmed(self, reading: asyncio.Future[None]) -> None:
        self._reading = None
        error = reading.exception()
        if error is not None:
            self._fail(error)
        elif not self._done.done():
            self._send(min(SEND_BYTES, self._end - self._offset))
            if not self._done.done():
                self._loop.add_writer(self._socket, self._step)

    def _send(self, want: int) -> None:
        try:
            sent = os.sendfile(self._socket, self._file, self._offset, want)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if sent == 0:
            self._fail(ConnectionAbortedError("the file is shorter than the blob"))
            return
        self._offset += sent
        if self._offset >= self._end and not self._done.done():
            self._done.set_result(None)

    def _is_cached(self, want: int) -> bool:
        """Is the last byte of what we are about to send in memory? If the kernel can't tell, take it for yes."""
        try:
            os.preadv(self._file, [bytearray(1)], self._offset + want - 1, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _check_progress(self) -> None:
        if self._moved_to == self._offset:
            self._fail(ConnectionResetError("the client reads nothing"))
        elif not self._done.done():
            self._moved_to = self._offset
            self._watch = self._loop.call_later(STALL_SECONDS, self._check_progress)

    def _fail(self, error: BaseException) -> None:
        if not self._done.done():
            self._done.set_exception(error if isinstance(error, ConnectionError) else ConnectionResetError(str(error)))


def _warm(file: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        read = len(os.pread(file, min(READ_BYTES, end - offset), offset))
        if read == 0:
            return
        offset += read


async def _copy(protocol: RegistryProtocol, part: FileSlice, file: int) -> None:
    """Through the transport, which encrypts: one piece, and what the transport's limit lets wait, is in memory at a time."""
    offset, end = part.start_bytes, part.start_bytes + part.length_bytes
    while offset < end:
        want = min(TLS_BYTES, end - offset)
        chunk = _read_cached(file, want, offset)
        if chunk is None:
            chunk = await protocol.loop.run_in_executor(None, os.pread, file, want, offset)
        else:
            # A client that is faster than we are never makes us wait, and others want their turn.
            await asyncio.sleep(0)
        if protocol.transport.is_closing():
            raise ConnectionResetError("the client has gone")
        if not chunk:
            raise ConnectionAbortedError("the file is shorter than the blob")
        offset += len(chunk)
        protocol.transport.write(chunk)
        if protocol.flow.write_paused:
            await protocol.flow.drain()


def _read_cached(file: int, length: int, offset: int) -> bytes | None:
    """As much of it as is in memory, b"" at the file's end; None if a thread must read it from the disk."""
    piece = bytearray(length)
    try:
        read = os.preadv(file, [piece], offset, os.RWF_NOWAIT)
    except OSError:  # EAGAIN, or a file system that cannot tell
        return None
    return bytes(memoryview(piece)[:read])
