"""The bytes of a layer unpacked piece by piece. How it was packed is told by its first bytes, never by its media type."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from isal import igzip_lib

from roadstead.errors import ScanFailed
from roadstead.scanner.limits import MIB, Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["CHUNK_BYTES", "Readable", "unpacked", "zstd", "zstd_window"]

CHUNK_BYTES = 512 * 1024
PACKED_BYTES = 64 * 1024
"""At a time: a file may be thousands of streams of a few bytes, at the end of each of which the rest of these is copied."""
RATIO_FREE_BYTES = 16 * MIB

_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_ISAL_ERROR: type[Exception] = igzip_lib.error  # type: ignore[assignment]
_XZ_MEMORY_BYTES = 128 * MIB
_MAGIC_BYTES = 6


class Readable(Protocol):
    """A file's read(), which may give less than it is asked for, and b"" at the end."""

    def read(self, size: int = -1, /) -> bytes: ...


class _Decompressor(Protocol):
    """What bz2, lzma, isal and zstd give alike: one stream of a file that may hold several."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


_MAGICS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)),
)


def unpacked(stream: Readable, limits: Limits, size_bytes: int | None = None) -> Iterator[bytes]:
    """
    The plain bytes in pieces of at most 512 KiB, however they were packed: gzip, zstd, bzip2, xz or not at all.

    size_bytes: of all the packed bytes, where that is known. A layer may begin with a large file of zeros and be no bomb for that.

    Raises ScanFailed if the stream is broken or ends early, and for a bomb; what reading the stream raises.
    """
    head = b""
    while len(head) < _MAGIC_BYTES and (more := stream.read(CHUNK_BYTES)):
        head += more
    packed = _Counted(stream, head)
    new = _decompressor(head, limits)
    pieces = iter(lambda: packed.read(CHUNK_BYTES), b"") if new is None else _streams(packed, new)
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limits.unpacked_bytes:
            raise ScanFailed(f"the layer unpacks to more than {limits.unpacked_bytes} bytes; layers this large are not scanned")
        if total > RATIO_FREE_BYTES and total > (size_bytes or packed.count + CHUNK_BYTES) * limits.ratio:
            raise ScanFailed(f"the layer unpacks to over {limits.ratio} times its size, as only a decompression bomb does")
        yield piece


def _decompressor(head: bytes, limits: Limits) -> Callable[[], _Decompressor] | None:
    if head.startswith(b"\x28\xb5\x2f\xfd") or int.from_bytes(head[:4], "little") in _SKIPPABLE:
        return lambda: zstd.ZstdDecompressor(options=zstd_window(limits.zstd_window_bytes))
    return next((new for magic, new in _MAGICS if head.startswith(magic)), None)


def zstd_window(most_bytes: int) -> dict[int, int]:
    """Options of zstd's readers that refuse what asks for a larger window. most_bytes: a power of two."""
    return {zstd.DecompressionParameter.window_log_max: most_bytes.bit_length() - 1}


class _Counted:
    """The packed bytes, of which the first were read already."""

    def __init__(self, stream: Readable, head: bytes) -> None:
        self._stream = stream
        self._head = head
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        data = data or self._stream.read(size)
        self.count += len(data)
        return data


def _streams(packed: _Counted, new: Callable[[], _Decompressor]) -> Iterator[bytes]:
    decompressor, data = new(), packed.read(PACKED_BYTES)
    while True:
        piece = _unpack(decompressor, data)
        if piece:
            yield piece
        if decompressor.eof:
            data = decompressor.unused_data or packed.read(PACKED_BYTES)
            # Padding with zeros after the last stream is allowed (gzip(1), xz(1)).
            if not data.strip(b"\0"):
                return
            decompressor = new()
        else:
            data = packed.read(PACKED_BYTES) if decompressor.needs_input else b""
            if decompressor.needs_input and not data:
                raise ScanFailed("the layer ends in the middle of its compressed data; push it again")


def _unpack(decompressor: _Decompressor, data: bytes) -> bytes:
    try:
        return decompressor.decompress(data, CHUNK_BYTES)
    except (_ISAL_ERROR, zstd.ZstdError, OSError, EOFError, lzma.LZMAError, ValueError, MemoryError) as error:
        raise ScanFailed(f"the layer's compressed data is damaged or needs too much memory: {error}") from error
