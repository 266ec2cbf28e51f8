"""Databases of rpm, made without rpm, in each of its three forms (rpm, Package File Format; `lib/backend/`; Berkeley DB's hash pages)."""

from __future__ import annotations

import sqlite3
import struct

PAGE = 4096
NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCE = 1000, 1001, 1002, 1003, 1022, 1044


def header(
    name: str, version: str = "1.0", release: str = "1.el9", epoch: int | None = None, arch: str = "x86_64", source: str = ""
) -> bytes:
    """A header with the tags that tell a package, and one of files between them."""
    entries, data = b"", b""
    fields = {NAME: name, VERSION: version, RELEASE: release, 1117: "usr/bin/", ARCH: arch, SOURCE: source}
    for tag, text in fields.items():
        if text:
            entries += struct.pack(">IIII", tag, 6, len(data), 1)
            data += text.encode() + b"\0"
    if epoch is not None:
        data += bytes(-len(data) % 4)
        entries += struct.pack(">IIII", EPOCH, 4, len(data), 1)
        data += struct.pack(">I", epoch)
    return struct.pack(">II", len(entries) // 16, len(data)) + entries + data


def sqlite(headers: list[bytes], wal: bool = False) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in headers])
    connection.commit()
    content = bytearray(connection.serialize())
    if wal:
        content[18:20] = b"\2\2"
    return bytes(content)


def ndb(headers: list[bytes]) -> bytes:
    slots, blobs, unit = b"", b"", PAGE // 16
    for number, blob in enumerate(headers, 1):
        packed = b"BlbS" + struct.pack("<III", number, 1, len(blob)) + blob
        packed += bytes(-(len(packed) + 12) % 16) + struct.pack("<II", 0, len(blob)) + b"BlbE"
        slots += b"Slot" + struct.pack("<III", number, unit + len(blobs) // 16, len(packed) // 16)
        blobs += packed
    start = b"RpmP" + struct.pack("<IIII", 0, 1, 1, len(headers) + 1)
    return (start.ljust(32, b"\0") + slots).ljust(PAGE, b"\0") + blobs


def berkeley(headers: list[bytes], order: str = "<") -> bytes:
    """Small headers lie in their hash page, others in a chain of overflow pages."""
    pages: list[bytes] = []
    meta = bytearray(PAGE)
    struct.pack_into(f"{order}III", meta, 12, 0x00061561, 9, PAGE)
    meta[25] = 8
    pages.append(bytes(meta))
    for number, blob in enumerate(headers, 1):
        if len(blob) < PAGE // 4:
            value = b"\1" + blob
        else:
            value = b"\3\0\0\0" + struct.pack(f"{order}II", len(pages), len(blob))
            room = PAGE - 26
            parts = [blob[at : at + room] for at in range(0, len(blob), room)]
            for last, part in enumerate(parts, 1):
                following = 0 if last == len(parts) else len(pages) + 1
                pages.append(_page(order, 7, 0, len(part), following) + part.ljust(room, b"\0"))
        key = b"\1" + struct.pack("<I", number)
        at = PAGE - len(key)
        places = struct.pack(f"{order}HH", at, at - len(value))
        page = _page(order, 13, 2, at - len(value)) + places
        pages.append(page.ljust(at - len(value), b"\0") + value + key)
    return b"".join(pages)


def _page(order: str, kind: int, entries: int, offset: int, following: int = 0) -> bytes:
    return bytes(12) + struct.pack(f"{order}IIHHBB", 0, following, entries, offset, 0, kind)
