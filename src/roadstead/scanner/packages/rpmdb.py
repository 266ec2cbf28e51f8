"""
The headers in rpm's database files, read from bytes that a stranger wrote: each is walked once, no pointer is followed twice.

Sources: rpm, `lib/backend/` (ndb, sqlite); Berkeley DB 5.3, `src/dbinc/db_page.h` (hash pages, overflow pages).
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator

HEADERS = 100_000
HEADER_BYTES = 32 * 1024 * 1024

_SQLITE = b"SQLite format 3\0"
_SQLITE_STEPS = 20_000_000
# SQLite puts words of a broken schema into its error, and Python decodes that sentence strictly.
_BROKEN = (sqlite3.Error, UnicodeDecodeError, MemoryError, OverflowError)

_NDB, _NDB_SLOT, _NDB_BLOB = b"RpmP", b"Slot", b"BlbS"
_NDB_PAGE, _NDB_UNIT = 4096, 16

_BERKELEY_HASH = 0x00061561
_HASH_PAGES = frozenset({2, 13})
_OVERFLOW_PAGE = 7
_KEYDATA, _OFFPAGE = 1, 3
_PAGE_HEADER = 26


def sqlite(content: bytes) -> Iterator[bytes]:
    """Of `rpmdb.sqlite`. Its write-ahead log, which a finished transaction leaves empty, is not read."""
    if not content.startswith(_SQLITE) or len(content) < 512:
        return
    # A file in write-ahead mode cannot be opened from memory: bytes 18 and 19 say which mode it is in.
    content = content[:18] + b"\1\1" + content[20:]
    steps = iter(range(_SQLITE_STEPS // 10_000))
    with contextlib.closing(sqlite3.connect(":memory:")) as connection, contextlib.suppress(*_BROKEN):
        connection.deserialize(content)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, HEADER_BYTES)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.set_progress_handler(lambda: next(steps, None) is None, 10_000)
        for (blob,) in connection.execute("SELECT blob FROM Packages LIMIT ?", (HEADERS,)):
            if isinstance(blob, bytes):
                yield blob


def ndb(content: bytes) -> Iterator[bytes]:
    """Of `Packages.db`: pages of slots, each naming the place of a blob in units of 16 bytes."""
    if not content.startswith(_NDB):
        return
    (pages,) = struct.unpack_from("<I", content.ljust(16, b"\0"), 12)
    slots_end = min(pages * _NDB_PAGE, len(content) - len(content) % _NDB_UNIT, HEADERS * _NDB_UNIT)
    total = 0
    for magic, index, offset, _ in struct.iter_unpack("<4sIII", content[2 * _NDB_UNIT : slots_end]):
        at = offset * _NDB_UNIT
        if magic != _NDB_SLOT or not index or content[at : at + 4] != _NDB_BLOB or at + _NDB_UNIT > len(content):
            continue
        (length,) = struct.unpack_from("<I", content, at + 12)
        total += length
        # Slots that share a blob would make a small file cost much.
        if total > len(content):
            return
        yield content[at + _NDB_UNIT : at + _NDB_UNIT + length]


def berkeley(content: bytes) -> Iterator[bytes]:
    """Of `Packages`: every second item of each hash page, most of them the first page of a chain of overflow pages."""
    order = next((order for order in "<>" if len(content) >= 512 and struct.unpack_from(f"{order}I", content, 12)[0] == _BERKELEY_HASH), "")
    if not order:
        return
    (size,) = struct.unpack_from(f"{order}I", content, 20)
    if not 512 <= size <= 65536:
        return
    seen: set[int] = set()
    for at in range(size, len(content) - size + 1, size):
        entries, kind = struct.unpack_from(f"{order}H", content, at + 20)[0], content[at + 25]
        if kind not in _HASH_PAGES or _PAGE_HEADER + entries * 2 > size:
            continue
        places = struct.unpack_from(f"{order}{entries}H", content, at + _PAGE_HEADER)
        for number in range(1, entries, 2):
            place, end = places[number], places[number - 1]
            if place >= end or end > size:
                continue
            if content[at + place] == _KEYDATA:
                yield content[at + place + 1 : at + end]
            elif content[at + place] == _OFFPAGE and place + 12 <= size:
                page, length = struct.unpack_from(f"{order}II", content, at + place + 4)
                yield _overflow(content, order, size, page, length, seen)


def _overflow(content: bytes, order: str, size: int, page: int, length: int, seen: set[int]) -> bytes:
    """The bytes of a chain of pages; b"" if it is broken, or goes over a page that another chain had."""
    if length > HEADER_BYTES:
        return b""
    parts, missing = [], length
    while missing > 0:
        at = page * size
        if not page or page in seen or at + size > len(content) or content[at + 25] != _OVERFLOW_PAGE:
            return b""
        seen.add(page)
        following, used = struct.unpack_from(f"{order}I", content, at + 16)[0], struct.unpack_from(f"{order}H", content, at + 22)[0]
        if not used or _PAGE_HEADER + used > size:
            return b""
        parts.append(content[at + _PAGE_HEADER : at + _PAGE_HEADER + min(used, missing)])
        missing -= used
        page = following
    return b"".join(parts)
