"""
Go's modules in a compiled program, as `go version -m` lists them.

The linker leaves them behind the mark `\\xff Go buildinf:` (package debug/buildinfo): 32 bytes, then two strings, each with its length
as a varint before it: the version of Go, and the modules, one a line, between two marks of 16 bytes.
Programs of Go before 1.18 have pointers there instead, and are passed over.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator

from roadstead.scanner.inventory import Package

_MARK = b"\xff Go buildinf:"
_ELF = b"\x7fELF"
_HEADER_BYTES = 32
_SENTINEL_BYTES = 16
_INLINE = 2
_INFO_BYTES = 2 * 1024 * 1024
_TRIES = 64
_HEADERS_BYTES = 4096
_LOAD, _WRITABLE = 1, 2


def required(path: str, mode: int, size: int) -> bool:
    """Executable, of some size, and no shared library."""
    return bool(mode & 0o111) and size > 64 * 1024 and ".so" not in path.rpartition("/")[2]


def parse(path: str, pieces: Iterable[bytes | memoryview]) -> list[Package]:
    """The modules in a program, whose bytes come in pieces; at most a piece and 2 MiB are held. [] if it is no Go program."""
    data = _writable(iter(pieces))
    window, tries = b"", _TRIES
    for piece in data:
        window += piece
        while (at := window.find(_MARK)) >= 0 and len(window) - at >= _INFO_BYTES:
            tries -= 1
            if (found := _modules(path, window[at : at + _INFO_BYTES])) or not tries:
                return found
            window = window[at + len(_MARK) :]
        window = window[at:] if at >= 0 else window[-len(_MARK) + 1 :]
    while (at := window.find(_MARK)) >= 0 and tries:
        tries -= 1
        if found := _modules(path, window[at : at + _INFO_BYTES]):
            return found
        window = window[at + len(_MARK) :]
    return []


def _writable(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The bytes of a program from its first writable segment on, where the linker puts the mark: most of a program is before it."""
    seen: list[bytes | memoryview] = []
    head = b""
    while len(head) < _HEADERS_BYTES and (piece := next(pieces, b"")):
        seen.append(piece)
        head += piece[:_HEADERS_BYTES]
        if len(head) >= len(_ELF) and not head.startswith(_ELF):
            return
    skipped = _start(head)
    for piece in itertools.chain(seen, pieces):
        if skipped < len(piece):
            yield piece[skipped:]
        skipped = max(0, skipped - len(piece))


def _start(head: bytes) -> int:
    """Where the first writable segment is in the file (ELF, Program Header); 0 if the headers do not tell."""
    order = "<" if head[5:6] == b"\1" else ">"
    header, entry = (f"{order}32xQ14xHH", f"{order}IIQ") if head[4:5] == b"\2" else (f"{order}28xI10xHH", f"{order}II16xI")
    place: int
    try:
        table, size, count = struct.unpack_from(header, head)
        for number in range(count):
            kind, second, third = struct.unpack_from(entry, head, table + number * size)
            # The wide form has the flags before the place, the narrow one after it.
            flags, place = (second, third) if head[4:5] == b"\2" else (third, second)
            if kind == _LOAD and flags & _WRITABLE:
                return place
    except struct.error:
        return 0
    return 0


def _modules(path: str, info: bytes) -> list[Package]:
    """Programs that look for the mark themselves contain it too: what follows it must be in order."""
    if len(info) < _HEADER_BYTES or not info[15] & _INLINE:
        return []
    version, rest = _string(info[_HEADER_BYTES:])
    listing, _ = _string(rest)
    if not version.startswith((b"go", b"devel")):
        return []
    found = {}
    if version.startswith(b"go"):
        release = version[2:].split(b" ", 1)[0].split(b"-", 1)[0].decode("utf-8", "replace")
        found["stdlib"] = Package("golang", "stdlib", release, "stdlib", release, "", path)
    # A module that is replaced stands before the line of its replacement, which alone is in the program.
    last = ""
    for line in listing[_SENTINEL_BYTES:-_SENTINEL_BYTES].decode("utf-8", "replace").split("\n"):
        kind, _, rest_of_line = line.partition("\t")
        if kind not in ("mod", "dep", "=>"):
            continue
        name, _, more = rest_of_line.partition("\t")
        number = more.partition("\t")[0]
        if kind == "=>":
            found.pop(last, None)
        last = name
        if name and number and number != "(devel)" and not name.startswith((".", "/")):
            found[name] = Package("golang", name, number, name, number, "", path)
    return list(found.values())


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string and what follows it; empty if its length is not right."""
    length = shift = 0
    for at, byte in enumerate(data[:5]):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            end = at + 1 + length
            return (data[at + 1 : end], data[end:]) if end <= len(data) else (b"", b"")
    return b"", b""
