"""
The socket side: uvicorn's HTTP/1.1 protocol, with our own short way for requests.

uvicorn (with llhttp's parser) does the parsing, keep-alive, pipelining and shutdown. A request does not become an
ASGI call and a task: its handler is started at once, in the parser's callback, and most of them end there, because a read
from SQLite does not suspend. One that does suspend goes on in a task (docs/decisions/0001-http-server.md).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import socket
import termios
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any
from urllib.parse import unquote

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roadstead.api.errors import distribution_error
from roadstead.api.messages import Part, Request, Response, new_request_id
from roadstead.api.transfer import STALL_SECONDS, send_parts
from roadstead.errors import RequestTimedOut, StorageError
from roadstead.metrics import GONE, Recorder

MAX_HEAD_BYTES = 64 * 1024
BUFFERED_BODY_BYTES = 2 * 1024 * 1024
IDLE_SECONDS = 60.0
HEAD_SECONDS = 20.0
LOOK_SECONDS = 5.0
MIN_BYTES_PER_IDLE = 1024
SENT_SECONDS = 0.25
WRITE_BUFFER_BYTES = 1024 * 1024
# What waits there is encrypted already, and OpenSSL keeps the room for it as long as the connection lives.
TLS_WRITE_BUFFER_BYTES = 256 * 1024

_log = structlog.get_logger()

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
# Docker's own clients look for the first; nobody may take a blob for a page (RFC 9110; WHATWG Fetch, nosniff).
_ALWAYS = b"docker-distribution-api-version: registry/2.0\r\nx-content-type-options: nosniff\r\n\r\n"

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)

Application = Callable[[Request, bytes], Coroutine[Any, Any, Response]]
"""Takes a request whose location is not known yet, and the Host header."""

Observer = Callable[[Request, int, int, int, str], None]
"""Takes a request that is over: its status, nanoseconds, bytes of the answer's body, and the client's address."""

_Owed = tuple[int, str, int]
"""
What we wait for: of which request, its head or body or nothing, and how many KiB had come; or, when the answer waits for the client,
how often it has waited, "read", and how many bytes do.
"""


class RegistryProtocol(HttpToolsProtocol):
    """
    One connection. What is common to all of them is set by server.py, once a process.

    draining: every answer tells the client to close. observers: the access log and the traces, if they are wanted.
    """

    handle: Application
    recorder: Recorder
    observers: Sequence[Observer] = ()
    draining = False
    # Every cycle is one of ours.
    cycle: Exchange  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=TLS_WRITE_BUFFER_BYTES if self.scheme == "https" else WRITE_BUFFER_BYTES)
        self._head_bytes = 0
        self._awaiting_start: Exchange | None = None
        self.active: Exchange | None = None
        self._socket_fd = -1
        self._seen_bytes = 0
        self._in_head = True
        self._heads = 0
        self._pauses = 0
        self._owed: _Owed = (0, "head", 0)
        self._owed_since = self.loop.time()
        self._watch = self.loop.call_later(LOOK_SECONDS, self._check_progress)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        active = self.active
        self.pipeline.clear()
        super().connection_lost(exc)
        if active is not None and not active.response_complete:
            active.lose()
        if active is None or not active.sending:
            self.close_socket()

    def socket_fd(self) -> int:
        """The connection's own descriptor for sendfile, beside the transport's."""
        if self._socket_fd < 0:
            peer: socket.socket = self.transport.get_extra_info("socket")
            self._socket_fd = os.dup(peer.fileno())
        return self._socket_fd

    def date_line(self) -> bytes:
        """uvicorn renews the date once a second."""
        return self.server_state.default_headers[0][1]

    def close_socket(self) -> None:
        if self._socket_fd >= 0:
            os.close(self._socket_fd)
            self._socket_fd = -1

    def pause_writing(self) -> None:
        self._pauses += 1
        super().pause_writing()

    # The end

    def close(self) -> None:
        """
        Once all that was written is gone. Over TLS the transport then waits for the client's own goodbye, which one that keeps
        the connection for later neither hears nor says; so it gets a moment only.
        """
        self.transport.close()
        if self.scheme == "https":
            self.loop.call_later(SENT_SECONDS, self._abort_when_sent, False)

    def _abort_when_sent(self, was_sent: bool) -> None:
        """Seen twice, because between two writes of the transport the kernel has nothing to send either."""
        if self.parser is None:  # the connection is lost
            return
        is_sent = self.transport.get_write_buffer_size() == 0 and _unsent_bytes(self.transport.get_extra_info("socket")) == 0
        if is_sent and was_sent:
            self.transport.abort()
        else:
            self.loop.call_later(SENT_SECONDS, self._abort_when_sent, is_sent)

    def shutdown(self) -> None:
        """The server ends: so does the connection, when what is under way has been answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.close()
        else:
            self.cycle.keep_alive = False

    # Parsing

    def data_received(self, data: bytes) -> None:
        self._seen_bytes += len(data)
        if self._in_head:
            self._head_bytes += len(data)
            # One read may hold a whole small request; only an unfinished head counts against the limit.
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(431, "the request's line and headers are larger than 64 KiB")
        started, self._awaiting_start = self._awaiting_start, None
        if started is not None:
            started.start()

    def on_message_begin(self) -> None:
        # uvicorn makes an ASGI scope here, which nobody needs.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._heads += 1

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        exchange = Exchange(self)
        previous, self.cycle = self.cycle, exchange
        if previous is None or previous.response_complete:
            self._awaiting_start = exchange
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """As uvicorn does, but without a timer for each answer: the watch also closes what stays idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def on_body(self, body: bytes) -> None:
        self.cycle.body.feed(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self.cycle.body.finish()
        # Now the handler can run to its end without waiting for anything.
        started, self._awaiting_start = self._awaiting_start, None
        if started is not None:
            started.start()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.start()

    # Slow clients

    def _check_progress(self) -> None:
        """
        A head must come within 20 s; a body must bring 1 KiB in 60 s, unless it is we who do not read. An answer that waits in the
        transport must get smaller in 60 s.

        The time is counted from the look that first saw what the client owes, so each request has all of it.
        """
        self._watch = self.loop.call_later(LOOK_SECONDS, self._check_progress)
        if self.transport.is_closing():
            return
        owed, now = self._owes(), self.loop.time()
        if owed != self._owed:
            self._owed, self._owed_since = owed, now
        elif owed[1] == "head" and now - self._owed_since >= HEAD_SECONDS:
            self.refuse(408, "the request's line and headers did not arrive in time")
        elif owed[1] == "body" and now - self._owed_since >= IDLE_SECONDS and isinstance(self.cycle, Exchange):
            self.cycle.body.fail(RequestTimedOut("nothing arrived for a minute: send the rest faster, or in smaller chunks"))
        elif owed[1] == "read" and now - self._owed_since >= STALL_SECONDS:
            self.transport.abort()
        elif owed[1] == "" and now - self._owed_since >= self.timeout_keep_alive and (self.cycle is None or self.cycle.response_complete):
            self.close()

    def _owes(self) -> _Owed:
        cycle = self.cycle
        if self.flow.write_paused:
            return (self._pauses, "read", self.transport.get_write_buffer_size())
        if self._in_head:
            waiting = self._head_bytes > 0 or self._seen_bytes == 0
            return (self._heads, "head" if waiting else "", 0)
        if isinstance(cycle, Exchange) and not cycle.body.complete and not self.flow.read_paused:
            return (self._heads, "body", self._seen_bytes // MIN_BYTES_PER_IDLE)
        return (self._heads, "", 0)

    def refuse(self, status: int, message: str) -> None:
        """An answer to what is not even a request."""
        if not self.transport.is_closing():
            body = f'{{"errors":[{{"code":"UNSUPPORTED","message":"{message}","detail":null}}]}}'.encode()
            headers = [("content-type", "application/json"), ("connection", "close"), ("x-request-id", new_request_id())]
            self.recorder.request("malformed", "OTHER", status, 0, len(body))
            self.transport.write(encode_head(status, headers, len(body), self.date_line()) + body)
            self.close()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "this is not HTTP/1.1 as RFC 9112 defines it")


class Exchange:
    """
    One request and its response. It stands where uvicorn has its own cycle, so these names are uvicorn's:
    response_complete, disconnected, keep_alive, message_event.
    """

    __slots__ = (
        "_begun_ns", "_expect_continue", "_protocol", "_request", "body", "disconnected", "keep_alive", "message_event", "on_lost",
        "response_complete", "sending",
    )  # fmt: skip

    def __init__(self, protocol: RegistryProtocol) -> None:
        parser = protocol.parser
        self._begun_ns = perf_counter_ns()
        self._protocol = protocol
        self._expect_continue = protocol.expect_100_continue
        self.keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        self.response_complete = False
        self.disconnected = False
        self.sending = False
        self.on_lost: Callable[[], None] | None = None
        self.message_event = self
        self.body = _Body(self)
        method = parser.get_method().decode("ascii")
        target = protocol.url.decode("ascii", "replace")
        if not target.startswith("/"):
            target, protocol.headers = _origin_form(target, protocol.headers)
        path, _, query = target.partition("?")
        raw_path = ""
        if "%" in path:
            raw_path, path = path, unquote(path, errors="replace")
        self._request = Request(
            method,
            path,
            query,
            protocol.headers,
            "",
            self.body,
            _length(protocol.headers),
            scheme=protocol.scheme or "http",
            raw_path=raw_path,
        )
        if protocol.client is not None:
            self._request.client = protocol.client[0]

    def set(self) -> None:
        """uvicorn sets its cycle's event when the connection is lost; lose() does that here."""

    def lose(self) -> None:
        self.disconnected = True
        self.body.fail(ConnectionResetError("the client has gone"))
        if self.on_lost is not None:
            self.on_lost()

    def start(self) -> None:
        """Run the handler until it ends or waits; in the second case a task goes on with it."""
        self._protocol.active = self
        coroutine = self._run()
        try:
            waiting_for = coroutine.send(None)
        except StopIteration:
            return
        task = self._protocol.loop.create_task(_Resumed(coroutine, waiting_for).run())
        self._protocol.tasks.add(task)
        task.add_done_callback(self._protocol.tasks.discard)

    async def _run(self) -> None:
        hosts = [value for name, value in self._request.headers if name == b"host"]
        # RFC 9112, 3.2: several are refused, as none and a malformed one are.
        host = hosts[0] if len(hosts) == 1 else b""
        try:
            response = await self._protocol.handle(self._request, host)
            if not self.disconnected:
                await self._respond_or_tell(response)
        except ConnectionError:
            self._protocol.transport.close()
        if not self.response_complete:
            self._observe(GONE, 0)

    async def _respond_or_tell(self, response: Response) -> None:
        try:
            await self._respond(response)
        except StorageError as error:
            # Files are opened before the first byte goes, so this can still become an answer.
            request = self._request
            _log.error("storage failed", request_id=request.id, method=request.method, path=request.path, cause=repr(error.__cause__))
            response = distribution_error(error)
            response.headers.append(("x-request-id", request.id))
            await self._respond(response)

    async def _respond(self, response: Response) -> None:
        protocol, transport = self._protocol, self._protocol.transport
        if not self.body.complete:
            # The rest of the request is not wanted: nothing after it on this connection could be trusted.
            self.keep_alive = False
        if response.close or not self.keep_alive or protocol.draining:
            self.keep_alive = False
            response.headers.append(("connection", "close"))
        body = response.body
        length = response.length_bytes
        if length is None:
            length = len(body) if isinstance(body, bytes) else sum(map(_part_length, body))
        head = encode_head(response.status, response.headers, length, protocol.date_line())
        if self._request.method == "HEAD" or response.status in (204, 304):
            transport.write(head)
            length = 0
        elif isinstance(body, bytes):
            transport.write(head + body)
            if protocol.flow.write_paused:
                await protocol.flow.drain()
        else:
            await self._send(head, body)
        self._finish(response.status, length)

    async def _send(self, head: bytes, parts: Sequence[Part]) -> None:
        self.sending = True
        try:
            await send_parts(self._protocol, self, head, parts)
        finally:
            self.sending = False
            if self.disconnected:
                self._protocol.close_socket()

    def _finish(self, status: int, sent_bytes: int) -> None:
        self.response_complete = True
        self._observe(status, sent_bytes)
        if not self.keep_alive:
            self._protocol.close()
        self._protocol.on_response_complete()

    def _observe(self, status: int, sent_bytes: int) -> None:
        """On the way of every request: 0.7 µs, while nobody else wants to know."""
        protocol, request = self._protocol, self._request
        elapsed_ns = perf_counter_ns() - self._begun_ns
        protocol.recorder.request(request.route, request.method, status, elapsed_ns, sent_bytes)
        if protocol.observers:
            for observe in protocol.observers:
                observe(request, status, elapsed_ns, sent_bytes, protocol.client[0] if protocol.client else "")

    def body_wanted(self) -> None:
        if self._expect_continue and not self.disconnected:
            self._expect_continue = False
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._protocol.flow.resume_reading()

    def body_flooded(self) -> None:
        self._protocol.flow.pause_reading()


class _Body:
    """A request's body between the socket and the handler; reading stops while 2 MiB wait here."""

    __slots__ = ("_error", "_exchange", "_pieces", "_size_bytes", "_waiter", "complete")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.complete = False

    def feed(self, piece: bytes) -> None:
        if self._exchange.response_complete or self._error is not None:
            return
        self._pieces.append(piece)
        self._size_bytes += len(piece)
        if self._size_bytes > BUFFERED_BODY_BYTES:
            self._exchange.body_flooded()
        self._wake()

    def finish(self) -> None:
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def batches(self) -> AsyncIterator[Sequence[bytes]]:
        while True:
            if self._pieces:
                batch, self._pieces, self._size_bytes = self._pieces, [], 0
                if not self.complete:
                    self._exchange.body_wanted()
                yield batch
            elif self.complete:
                return
            elif self._error is not None:
                raise self._error
            else:
                self._exchange.body_wanted()
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
                self._waiter = None


class _Resumed:
    """A coroutine that was already started by hand and now waits for something, made awaitable for a task."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        self._coroutine = coroutine
        self._waiting_for = waiting_for

    async def run(self) -> None:
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        waiting_for = self._waiting_for
        while True:
            try:
                sent = yield waiting_for
            except BaseException as error:
                step: Callable[[], Any] = lambda error=error: self._coroutine.throw(error)  # type: ignore[misc] # noqa: E731
            else:
                step = lambda sent=sent: self._coroutine.send(sent)  # type: ignore[misc] # noqa: E731
            try:
                waiting_for = step()
            except StopIteration:
                return


def encode_head(status: int, headers: Sequence[tuple[str, str]], length_bytes: int, date: bytes) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if status != 204:
        lines += f"content-length: {length_bytes}\r\n"
    return b"%b%bdate: %b\r\n%b" % (_STATUS_LINES[status], lines.encode("latin-1"), date, _ALWAYS)


def _origin_form(target: str, headers: list[tuple[bytes, bytes]]) -> tuple[str, list[tuple[bytes, bytes]]]:
    """
    The path and query of a target in absolute form (`http://HOST/PATH`, as to a proxy), and its host in the one Host header, whose own
    word must not count (RFC 9112, 3.2.2). What is in no such form stays as it is.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return target, headers
    authority, rest = match[1].encode(), match[2]
    return rest if rest.startswith("/") else "/" + rest, [(name, authority if name == b"host" else value) for name, value in headers]


def _unsent_bytes(peer: socket.socket) -> int:
    """What the kernel has of ours and the other side has not acknowledged (tcp(7), SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4)), "little")


def _part_length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.length_bytes


def _length(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """The parser has refused malformed lengths already. No length and no chunks is an empty body."""
    length: int | None = 0
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            length = None
    return length
