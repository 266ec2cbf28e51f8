"""
Members of a zip, one after the other (APPNOTE.TXT 4.3): memory does not grow with their number, as it does with `zipfile`.

The directory at the archive's end is read as it goes. Only what feeds use is known: stored and deflated members, zip64, no encryption.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO
from zipfile import BadZipFile

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 65_535
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ZipMember:
    """size_bytes is what the directory promises of the content."""

    name: str
    size_bytes: int
    _packed_bytes: int
    _method: int
    _flags: int
    _crc: int
    _offset: int

    def read(self, file: IO[bytes], limit: int) -> bytes:
        """
        The content, or its first limit + 1 bytes if there is more.

        Raises BadZipFile, zlib.error for what is damaged, and for other methods and encryption.
        """
        if self._method not in (0, 8) or self._flags & 1:
            raise BadZipFile(f"{self.name[:100]} is packed in a way that is not known here")
        file.seek(self._offset)
        header = _take(file, _LOCAL.size)
        marker, *_, name_size, extra_size = _LOCAL.unpack(header)
        if marker != b"PK\3\4":
            raise BadZipFile(f"{self.name[:100]} is not where the directory says")
        file.seek(name_size + extra_size, 1)
        packed = _take(file, min(self._packed_bytes, limit + _CHUNK))
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1) if self._method else packed[: limit + 1]
        if len(content) <= limit and (len(content) != self.size_bytes or zlib.crc32(content) != self._crc):
            raise BadZipFile(f"{self.name[:100]} is damaged")
        return content


def members(file: IO[bytes]) -> Iterator[ZipMember]:
    """Of a file that can be sought in; the file may be read elsewhere meanwhile. Raises BadZipFile for a directory that makes no sense."""
    count, size, offset = _end(file)
    buffer, at, taken = b"", 0, 0
    for _ in range(count):
        while len(buffer) - at < _ENTRY.size or len(buffer) - at < _entry_size(buffer, at):
            if taken >= size:
                raise BadZipFile("the directory ends in the middle of an entry")
            file.seek(offset + taken)
            chunk = _take(file, min(_CHUNK, size - taken))
            buffer, at, taken = buffer[at:] + chunk, 0, taken + len(chunk)
        end = at + _entry_size(buffer, at)
        yield _member(buffer[at:end])
        at = end


def _end(file: IO[bytes]) -> tuple[int, int, int]:
    """How many entries the directory has, its size and where it begins."""
    length = file.seek(0, 2)
    start = max(0, length - _MAX_COMMENT - _END.size - _END64_LOCATOR.size)
    file.seek(start)
    tail = _take(file, length - start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise BadZipFile("it has no directory at its end")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    if count == 0xFFFF or 0xFFFFFFFF in (size, offset):
        locator = tail[max(0, at - _END64_LOCATOR.size) : at]
        if locator[:4] == b"PK\6\7":
            file.seek(_END64_LOCATOR.unpack(locator)[2])
            marker, *_, count, size, offset = _END64.unpack(_take(file, _END64.size))
            if marker != b"PK\6\6":
                raise BadZipFile("its directory is not where its end says")
    if offset + size > length:
        raise BadZipFile("its directory is not where its end says")
    return count, size, offset


def _entry_size(buffer: bytes, at: int) -> int:
    if buffer[at : at + 4] != b"PK\1\2":
        raise BadZipFile("an entry of its directory makes no sense")
    name_size, extra_size, comment_size = struct.unpack_from("<3H", buffer, at + 28)
    return _ENTRY.size + int(name_size) + int(extra_size) + int(comment_size)


def _member(entry: bytes) -> ZipMember:
    _, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, _, _, _, _, offset = _ENTRY.unpack_from(entry)
    name = entry[_ENTRY.size : _ENTRY.size + name_size].decode("utf-8", "replace")
    extra = entry[_ENTRY.size + name_size : _ENTRY.size + name_size + extra_size]
    if 0xFFFFFFFF in (size, packed, offset):
        size, packed, offset = _wide(extra, size, packed, offset)
    return ZipMember(name, size, packed, method, flags, crc, offset)


def _wide(extra: bytes, *values: int) -> list[int]:
    """The numbers of 8 bytes, in their order, for those that are all ones (zip64 extended information, header id 1)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            return [next(numbers, value) if value == 0xFFFFFFFF else value for value in values]
        at += 4 + length
    return list(values)


def _take(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise BadZipFile("it ends too early")
    return content
