"""
CONNECT for the names that are mapped, and for no others: this proxy leads to one server and nowhere else.

The bytes are passed on as they are, so what is inside TLS stays between client and server, whose certificate must cover the name. For
a server without TLS the proxy ends it (forwarding.py).
Spec: RFC 9110, 9.3.6 (CONNECT), RFC 9112, 3.2 (forms of the target).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Set
from contextlib import suppress

from roadstead.errors import ConfigurationError
from roadstead.proxy.forwarding import forward

MOST_CONNECTIONS = 512
HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 10.0
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
# A client may wait long for what the server computes, and docker keeps connections open between pushes.
IDLE_SECONDS = 15 * 60.0
_CHUNK_BYTES = 64 * 1024

_REQUEST = re.compile(r"(?P<method>[A-Z]{1,32}) (?P<target>[!-~]{1,4096}) HTTP/1\.[01]")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9])?")
_REASONS = {400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 431: "Request Header Fields Too Large"}
_REASONS |= {408: "Request Timeout", 502: "Bad Gateway", 503: "Service Unavailable"}


class Refused(Exception):
    """What was asked for is not done; status: of HTTP."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def mapped(text: str) -> str:
    """HOST[:PORT] as a target of CONNECT; 443 where no port is given. Raises ConfigurationError."""
    host, _, port = text.partition(":")
    host, port = host.lower().removesuffix("."), port or "443"
    if not _NAME.fullmatch(host) or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ConfigurationError(f"a name to map is written HOST or HOST:PORT, not {text!r}")
    return f"{host}:{int(port)}"


class Proxy:
    """
    server: host and port. targets: what may be asked for, `HOST:PORT` in lower case. context: ends TLS, for a server that speaks plain
    HTTP; None passes it on. note gets a sentence for what was refused; other people's words in it are not made harmless.
    """

    def __init__(
        self,
        server: tuple[str, int],
        targets: Set[str],
        context: ssl.SSLContext | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._server = server
        self._targets = targets
        self._context = context
        self._note = note

    async def serve(self, host: str, port: int, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
        """Until stop is set; then everything that is open is closed. ready gets the port, which matters for 0. Raises OSError."""
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Not in a TaskGroup: what goes wrong with one client is logged by the loop, and does not end the others.
            task = asyncio.get_running_loop().create_task(self._connection(reader, writer, len(tasks) + 1))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async with await asyncio.start_server(accept, host, port, limit=HEAD_BYTES) as listener:
            ready(listener.sockets[0].getsockname()[1])
            await stop.wait()
            listener.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=HANDSHAKE_SECONDS)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connections: int) -> None:
        try:
            if connections > MOST_CONNECTIONS:
                raise Refused(503, f"there are {MOST_CONNECTIONS} connections already: try again later")
            self._check(await _head(reader))
            await self._lead(reader, writer)
        except Refused as refused:
            self._note(f"Refused: {refused.sentence}.")
            with suppress(OSError, TimeoutError):
                await _answer(writer, refused)
        except (OSError, EOFError, TimeoutError):
            pass  # the client is gone, or silent
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            await _close(writer)

    def _check(self, head: bytes) -> None:
        """Raises Refused unless it is a CONNECT to what is mapped."""
        match = _REQUEST.fullmatch(head.split(b"\r\n", 1)[0].decode("latin-1"))
        if match is None:
            raise Refused(400, "this is no request that an HTTP proxy understands")
        method, target = match["method"], match["target"]
        if method != "CONNECT":
            raise Refused(405, f"this proxy only tunnels HTTPS, with CONNECT: ask for {target} by https://")
        host, _, port = target.lower().rpartition(":")
        if f"{host.removesuffix('.')}:{port}" not in self._targets:
            raise Refused(403, f"{target} is not among the names that this proxy leads to its server (--map {target})")

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises Refused where the server cannot be reached."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                answers, requests = await asyncio.open_connection(*self._server)
        except (OSError, TimeoutError) as error:
            raise Refused(502, f"the server {self._server[0]}:{self._server[1]} cannot be reached") from error
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            if self._context is not None:
                if reader._buffer:  # type: ignore[attr-defined]
                    # Sent before there was TLS: it must not count as said inside.
                    return
                await writer.start_tls(self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS) as idle:
                    await _both(reader, writer, answers, requests, idle, ends_tls=self._context is not None)
        finally:
            requests.close()


async def _both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.StreamReader,
    requests: asyncio.StreamWriter,
    idle: asyncio.Timeout,
    *,
    ends_tls: bool,
) -> None:
    """Until both sides have said all, or one breaks."""

    def moved() -> None:
        idle.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)

    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(forward(reader, requests, moved) if ends_tls else _pour(reader, requests, moved))
            directions.create_task(_pour(answers, writer, moved))
    except* (OSError, EOFError):
        pass


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    """To the end of source, which the target is then told of: the other direction may go on."""
    while data := await source.read(_CHUNK_BYTES):
        moved()
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
    else:
        target.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    """With what is still to be sent, but not for long: whoever reads nothing keeps nothing of ours open."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Of the one request. Raises Refused, IncompleteReadError."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused(431, f"the head of a request may have {HEAD_BYTES} bytes") from error
    except TimeoutError as error:
        raise Refused(408, f"the head of a request must come within {HEAD_SECONDS:g} seconds") from error


async def _answer(writer: asyncio.StreamWriter, refused: Refused) -> None:
    body = f"roadstead proxy: {refused.sentence}\n".encode()
    allow = "Allow: CONNECT\r\n" if refused.status == 405 else ""
    head = f"HTTP/1.1 {refused.status} {_REASONS[refused.status]}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    async with asyncio.timeout(HEAD_SECONDS):
        await writer.drain()
