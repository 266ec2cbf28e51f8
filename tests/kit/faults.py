"""
A TCP proxy that misbehaves on command, to stand between nodes and the engine they use.

It runs in a thread of its own with its own event loop; what it does is changed at any moment from the test's thread.
"""

from __future__ import annotations

import asyncio
import enum
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tests.kit.engines import free_port

PIECE_BYTES = 64 * 1024
_SAID = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
_HEAD = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(_SAID)}\r\nConnection: close\r\n\r\n".encode()


class Fault(enum.Enum):
    """NONE passes everything on. REFUSED: nobody listens. UNAVAILABLE: HTTP 503. FROZEN: connections stand, nothing moves."""

    NONE = "none"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    FROZEN = "frozen"


class FaultProxy:
    """
    Listens on port and connects to target. seen counts connections, and requests by method where the engine speaks HTTP
    (a request is seen where a piece of the stream begins with its method, so one without a body is seen for certain).
    """

    METHODS = (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE")

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.seen: Counter[str] = Counter()
        self._target = target
        self._fault = Fault.NONE
        self._delay_seconds = 0.0
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._moving = asyncio.Event()
        self._moving.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> FaultProxy:
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def become(self, fault: Fault = Fault.NONE, delay_seconds: float = 0.0) -> None:
        """From now on. delay_seconds is added to every piece in each direction."""
        self._run(self._become(fault, delay_seconds))

    def cut(self) -> None:
        """Every connection is reset, wherever it is."""
        self._run(self._cut())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1000)

    async def _become(self, fault: Fault, delay_seconds: float) -> None:
        self._fault, self._delay_seconds = fault, delay_seconds
        if fault is Fault.FROZEN:
            self._moving.clear()
        else:
            self._moving.set()
        if fault in (Fault.REFUSED, Fault.UNAVAILABLE):
            await self._cut()
        if fault is Fault.REFUSED and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif fault is not Fault.REFUSED and self._listener is None:
            await self._listen()

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.cancel()

    async def _end(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._moving.set()
        await self._cut()
        await asyncio.sleep(0.05)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen["connections"] += 1
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._fault is Fault.UNAVAILABLE:
                await self._answer_503(reader, writer)
            else:
                await self._connect(reader, writer)
        except OSError:
            self.seen["broken"] += 1
        finally:
            writer.transport.abort()

    async def _answer_503(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen["503"] += 1
        await reader.read(PIECE_BYTES)
        writer.write(_HEAD + _SAID)
        await writer.drain()
        writer.write_eof()
        # What the client still sends is read, so that the answer is not lost with a reset.
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await reader.read(PIECE_BYTES):
                    pass

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._moving.wait()
        from_engine, to_engine = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [asyncio.ensure_future(self._pump(reader, to_engine, True)), asyncio.ensure_future(self._pump(from_engine, writer, False))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            to_engine.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, counting: bool) -> None:
        while piece := await source.read(PIECE_BYTES):
            await self._moving.wait()
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if counting:
                self._count(piece)
            target.write(piece)
            await target.drain()
        # The end is passed on as one, not as a reset, so that an answer under way arrives.
        if target.can_write_eof():
            target.write_eof()
            await asyncio.sleep(0.02)

    def _count(self, piece: bytes) -> None:
        line = piece[:200].split(b" ", 2)
        if line[0] in self.METHODS and len(line) == 3:
            # Removing objects is also a POST, of a list of them.
            self.seen["DELETE" if b"?delete" in line[1] else line[0].decode()] += 1
