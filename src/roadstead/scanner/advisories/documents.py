"""The JSON documents of a feed, one after the other, from a file, a folder or an archive, with limits on what they unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories.zips import members
from roadstead.scanner.compression import zstd, zstd_window

_WINDOW_BYTES = 256 << 20
_SUFFIXES = frozenset({".json", ".zip", ".tar", ".tgz", ".txz", ".gz", ".xz", ".bz2", ".zst"})


@dataclass(frozen=True, slots=True)
class Limits:
    """document_bytes and total_bytes count what was compressed as unpacked."""

    document_bytes: int = 512 << 20
    total_bytes: int = 32 << 30
    documents: int = 2_000_000


DEFAULT = Limits()


def documents(path: Path, limits: Limits = DEFAULT) -> Iterator[tuple[str, bytes]]:
    """
    The name and content of each document: the file itself, or every `.json` file of a zip or tar, whatever its compression.

    The kind is told by the content. Of a folder it is every file below it whose name says that it is JSON or packed.
    One document is in memory at a time.
    Raises FeedInvalid for what cannot be unpacked, is incomplete, or is more than limits allow.
    """
    meter = _Meter(limits)
    with _translated(path.name):
        if path.is_dir():
            yield from _of_folder(path, meter)
            return
        yield from _of_file(path, path.name, meter)


class _Meter:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._documents = 0

    @property
    def left(self) -> int:
        """How many bytes the next document may have."""
        return min(self._limits.document_bytes, self._limits.total_bytes - self._bytes)

    def read(self, name: str, stream: IO[bytes], start: bytes = b"") -> bytes:
        """All of stream, as far as the limits go."""
        return self.take(name, start + stream.read(max(0, self.left - len(start)) + 1))

    def take(self, name: str, content: bytes) -> bytes:
        """content, of which one byte more than is left is enough to refuse it."""
        if len(content) > self.left:
            raise FeedInvalid(f"{name[:200]} unpacks to more than {self.left} bytes: it is no feed, or its limit must be raised")
        self._bytes += len(content)
        self.count(name)
        return content

    def count(self, name: str) -> None:
        self._documents += 1
        if self._documents > self._limits.documents:
            raise FeedInvalid(f"{name[:200]} is one document more than the {self._limits.documents} that a feed may have")


def _of_folder(folder: Path, meter: _Meter) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        # A link may lead anywhere.
        if path.suffix in _SUFFIXES and path.is_file() and not path.is_symlink():
            yield from _of_file(path, path.relative_to(folder).as_posix(), meter)


def _of_file(path: Path, name: str, meter: _Meter) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _of_zip(file, meter)
        else:
            yield from _of_stream(name, _unpacked(file, start), meter)


def _of_zip(file: IO[bytes], meter: _Meter) -> Iterator[tuple[str, bytes]]:
    for member in members(file):
        if member.name.endswith(".json"):
            yield member.name, meter.take(member.name, member.read(file, meter.left))
        else:
            meter.count(member.name)


def _of_stream(name: str, stream: IO[bytes], meter: _Meter) -> Iterator[tuple[str, bytes]]:
    start = _fill(stream, tarfile.BLOCKSIZE)
    if start[257:262] != b"ustar":
        yield name, meter.read(name, stream, start)
        return
    joined = cast(IO[bytes], io.BufferedReader(_Joined(start, stream)))
    with tarfile.open(fileobj=joined, mode="r|") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # the archive's own list would grow for ever
            content = archive.extractfile(member) if member.isreg() and member.name.endswith(".json") else None
            if content is None:
                meter.count(member.name)
            else:
                yield member.name, meter.read(member.name, content)


def _unpacked(file: IO[bytes], start: bytes) -> IO[bytes]:
    if start[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if start[:3] == b"BZh":
        return cast(IO[bytes], bz2.BZ2File(file))
    if start == b"\xfd7zXZ\x00":
        return cast(IO[bytes], io.BufferedReader(_Xz(file)))
    if start[:4] == b"\x28\xb5\x2f\xfd":
        return cast(IO[bytes], zstd.ZstdFile(file, options=zstd_window(_WINDOW_BYTES)))
    return file


def _fill(stream: IO[bytes], size: int) -> bytes:
    """size bytes, or all there are: one read of a stream may give less."""
    content = b""
    while len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content


class _Joined(io.RawIOBase):
    """start, then the rest of stream."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._start[: len(buffer)] or self._stream.read(len(buffer))
        self._start = self._start[len(content) :] if self._start else b""
        buffer[: len(content)] = content
        return len(content)


class _Xz(io.RawIOBase):
    """An xz file of one or more streams. lzma's own reader takes whatever memory the file asks for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_WINDOW_BYTES)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._unpacker.eof:
                # Between streams there may be padding of zeros, in fours.
                self._rest = self._unpacker.unused_data.lstrip(b"\0") or self._file.read(1 << 16).lstrip(b"\0")
                if not self._rest:
                    return 0
                self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_WINDOW_BYTES)
            if self._unpacker.needs_input and not self._rest:
                self._rest = self._file.read(1 << 16)
                if not self._rest:
                    raise EOFError("the compressed file ends in the middle")
            content = self._unpacker.decompress(self._rest, len(buffer))
            self._rest = b""
            if content:
                buffer[: len(content)] = content
                return len(content)


_BROKEN: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise FeedInvalid(f"{name} cannot be unpacked, fetch it again: {error}") from error
