"""
The entries of a tar archive, one after another, as container runtimes read them (pax, POSIX.1-2017; GNU tar's long names and sizes).

Our own walk of 512-byte headers: the standard library's makes an object with twenty fields for each entry, and takes twice as long as
the unpacking. Whoever asks for no content of an entry pays for its header only.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator

from roadstead.errors import ScanFailed
from roadstead.scanner.limits import Limits

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_ADLER = 65521

FILE, HARDLINK, SYMLINK, FOLDER, DEVICE = "0", "1", "2", "5", "3"
_KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"S": FILE,
    b"1": HARDLINK,
    b"2": SYMLINK,
    b"5": FOLDER,
    b"3": DEVICE,
    b"4": DEVICE,
    b"6": DEVICE,
}
_DAMAGED = "the layer is not a tar archive, or is damaged"


@dataclasses.dataclass(slots=True)
class Member:
    """One entry. path is as written; target is a link's. sparse: the content is kept with holes, so that its bytes are not the file's."""

    path: str
    kind: str
    size: int
    mode: int
    target: str = ""
    sparse: bool = False


class Archive:
    """
    One pass over an archive: iterate over it, and read() or search() the content of the entry at hand before going on.

    Raises ScanFailed where the archive is damaged, ends early or is past a limit.
    """

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        self._pieces = pieces
        self._limits = limits
        self._piece = b""
        self._at = 0
        self._left = 0
        self._padding = 0
        self.size_bytes = 0

    def __iter__(self) -> Iterator[Member]:
        count = 0
        extended: dict[str, str] = {}
        while (header := self._header()) is not None:
            count += 1
            if count > self._limits.entries:
                raise ScanFailed(f"the layer has more than {self._limits.entries} entries; layers this large are not scanned")
            flag = header[156:157]
            size = _number(header[124:136])
            if flag in b"xLK":
                extended.update(self._extension(flag, size))
                continue
            if flag == b"g":
                # Global extensions carry comments, e.g. git's commit; container runtimes skip them too.
                self._begin(size)
                continue
            member = _member(header, flag, size, extended)
            extended = {}
            if flag == b"S":
                self._skip_sparse_map(header)
            self._begin(member.size if member.kind == FILE or flag not in _KINDS else 0)
            if flag in _KINDS:
                yield member
        self._drain()

    def read(self) -> bytes:
        """The content of the entry at hand, which the caller knows to be small enough."""
        data = self._take(self._left)
        self._left = 0
        return data

    def pieces(self) -> Iterator[memoryview]:
        """The content of the entry at hand in pieces, of which no bytes are copied; what is not taken is skipped."""
        while self._left:
            if self._at == len(self._piece):
                self._next_piece()
            piece = memoryview(self._piece)[self._at : self._at + self._left]
            self._at += len(piece)
            self._left -= len(piece)
            yield piece

    def _begin(self, size: int) -> None:
        self._left = size
        self._padding = -size % _BLOCK

    def _header(self) -> bytes | None:
        """The next header; None at the end, which two blocks of zeros mark, or, as many writers leave them out, the end of the file."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        at = self._at
        header = self._piece[at : at + _BLOCK]
        if len(header) == _BLOCK:
            self._at = at + _BLOCK
        else:
            if self._ended():
                return None
            header = self._take(_BLOCK)
        if header == _ZEROS:
            return None
        _check_sum(header)
        return header

    def _extension(self, flag: bytes, size: int) -> dict[str, str]:
        if size > self._limits.extension_bytes:
            raise ScanFailed(f"an entry's name or attributes take more than {self._limits.extension_bytes} bytes; {_DAMAGED}")
        data = self._take(size)
        self._skip(-size % _BLOCK)
        if flag == b"x":
            return _records(data)
        return {"path" if flag == b"L" else "linkpath": _text(data.split(b"\0", 1)[0])}

    def _skip_sparse_map(self, header: bytes) -> None:
        more = header[482:483]
        while more not in (b"\0", b""):
            more = self._take(_BLOCK)[504:505]

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
            return data
        parts = [self._piece[self._at :]]
        missing = size - len(parts[0])
        self._at = len(self._piece)
        while missing:
            self._next_piece()
            parts.append(self._piece[:missing])
            self._at = len(parts[-1])
            missing -= self._at
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        end = self._at + size
        while end > len(self._piece):
            end -= len(self._piece)
            self._next_piece()
        self._at = end

    def _next_piece(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise ScanFailed("the layer ends in the middle of an entry; push it again")
        self.size_bytes += len(piece)
        self._piece, self._at = piece, 0

    def _ended(self) -> bool:
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self.size_bytes += len(piece)
            self._piece, self._at = piece, 0
        return False

    def _drain(self) -> None:
        for piece in self._pieces:
            self.size_bytes += len(piece)


def _member(header: bytes, flag: bytes, size: int, extended: dict[str, str]) -> Member:
    kind = _KINDS.get(flag, DEVICE)
    path = target = ""
    sparse = flag == b"S"
    if extended:
        path = extended.get("GNU.sparse.name") or extended.get("path", "")
        target = extended.get("linkpath", "")
        sparse = sparse or any(key.startswith("GNU.sparse.") for key in extended)
        if "size" in extended:
            size = _decimal(extended["size"])
    if not path:
        end = header.find(0, 0, 100)
        path = _text(header[: end if end >= 0 else 100])
        # Only POSIX headers have a prefix; GNU's have times in its place.
        if header[345] and header[257:263] == b"ustar\0":
            path = f"{_text(header[345:500].split(bytes(1), 1)[0])}/{path}"
    if kind == FILE:
        return Member(path, FOLDER if path.endswith("/") else FILE, size, _number(header[100:108]), "", sparse)
    if kind in (SYMLINK, HARDLINK):
        target = target or _text(header[157:257].split(b"\0", 1)[0])
    return Member(path, kind, size, 0, target, sparse)


def _check_sum(header: bytes) -> None:
    written = _number(header[148:156])
    # The sum of the bytes, those of the sum itself read as spaces. Adler-32's lower half is that sum plus one, at the speed of C.
    total = (zlib.adler32(header) & 0xFFFF) - 1 - sum(header[148:156]) + 8 * 0x20
    if (written - total) % _ADLER == 0:
        return
    signed = sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:]) + 8 * 0x20
    if written != signed:
        raise ScanFailed(f"{_DAMAGED}: a header's checksum is wrong")


def _number(field: bytes) -> int:
    """Octal digits, or base 256 where the first bit is set (GNU)."""
    try:
        number = int(field.rstrip(b"\0 "), 8)
    except ValueError:
        return _odd_number(field)
    if number < 0:
        raise ScanFailed(f"{_DAMAGED}: a size is negative")
    return number


def _odd_number(field: bytes) -> int:
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ScanFailed(f"{_DAMAGED}: a size is negative")
        return int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
    digits = field.split(b"\0", 1)[0].strip()
    if digits.strip(b"01234567"):
        raise ScanFailed(f"{_DAMAGED}: a header has a number that is none")
    return int(digits, 8) if digits else 0


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ScanFailed(f"{_DAMAGED}: a size is not a number")
    return int(text)


def _records(data: bytes) -> dict[str, str]:
    """Of an extended header: `LENGTH KEY=VALUE\\n`, where LENGTH counts the whole record."""
    found, at = {}, 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space] if space > 0 else b""
        if not length.isdigit() or not space - at < int(length) <= len(data) - at or data[at + int(length) - 1 : at + int(length)] != b"\n":
            raise ScanFailed(f"{_DAMAGED}: an extended header cannot be read")
        key, equals, value = data[space + 1 : at + int(length) - 1].partition(b"=")
        if not equals:
            raise ScanFailed(f"{_DAMAGED}: an extended header cannot be read")
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse."):
            found[key.decode("ascii", "replace")] = _text(value)
        at += int(length)
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")
