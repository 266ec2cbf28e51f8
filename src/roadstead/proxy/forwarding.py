"""
Requests that came inside TLS, passed on to a server without it. Each says `X-Forwarded-Proto: https`, so that the addresses in the
server's answers begin with https://, as the client's did.

Only the frame of each request is read, never its content. Spec: RFC 9112, 6 (message body), 7.1 (chunked).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_MOST_LINE = 1024
_CHUNK_BYTES = 64 * 1024
_OURS = (b"x-forwarded-proto", b"x-forwarded-for", b"forwarded")


class Malformed(OSError):
    """A request whose end cannot be told: the connection is given up."""


async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    """Request after request, to the end of source. moved is called with every piece. Raises Malformed, IncompleteReadError, OSError."""
    while not source.at_eof():
        try:
            head = await source.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial.strip():
                raise
            break
        except asyncio.LimitOverrunError as error:
            raise Malformed("the head of a request is too long") from error
        moved()
        lines = head[:-4].split(b"\r\n")
        length, is_chunked = _frame(lines[1:])
        kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in _OURS]
        target.write(b"\r\n".join([lines[0], *kept, b"X-Forwarded-Proto: https", b"", b""]))
        await target.drain()
        if is_chunked:
            await _chunks(source, target, moved)
        else:
            await _exactly(source, target, length, moved)
    target.write_eof()


def _frame(lines: list[bytes]) -> tuple[int, bool]:
    """Bytes of the body, and whether it is chunked instead. Raises Malformed for what two readers could read differently."""
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    odd = any(not name or name != name.strip() for name, _ in fields) or any(
        each in line for line in lines for each in (b"\r", b"\n", b"\0")
    )
    if odd or len(lengths) + len(codings) > 1 or (codings and codings[0].lower() != b"chunked"):
        raise Malformed("the body of a request has no certain end")
    if codings:
        return 0, True
    length = lengths[0] if lengths else b"0"
    if not length.isdigit() or len(length) > 18:
        raise Malformed("Content-Length is no number")
    return int(length), False


async def _chunks(source: asyncio.StreamReader, target: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    while True:
        line = await _line(source)
        target.write(line)
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise Malformed("the size of a chunk is no number")
        size_bytes = int(digits, 16)
        if not size_bytes:
            break
        await _exactly(source, target, size_bytes + 2, moved)
    while (line := await _line(source)) != b"\r\n":
        target.write(line)  # a trailer
    target.write(line)
    await target.drain()


async def _line(source: asyncio.StreamReader) -> bytes:
    try:
        line = await source.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise Malformed("a line is too long") from error
    if len(line) > _MOST_LINE:
        raise Malformed("a line is too long")
    return line


async def _exactly(source: asyncio.StreamReader, target: asyncio.StreamWriter, size_bytes: int, moved: Callable[[], None]) -> None:
    while size_bytes:
        data = await source.read(min(size_bytes, _CHUNK_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", size_bytes)
        moved()
        size_bytes -= len(data)
        target.write(data)
        await target.drain()
