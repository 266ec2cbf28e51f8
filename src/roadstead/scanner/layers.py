"""
One layer's bytes in, its `LayerIndex` out: one pass, whatever it is packed with, keeping only the files that tell of packages.

Source: image-spec, Image Layer Filesystem Changeset (whiteouts, opaque whiteouts, hard links).
"""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import BinaryIO, Protocol

from roadstead.errors import ScanFailed
from roadstead.oci.digest import Digest
from roadstead.scanner import distros
from roadstead.scanner.compression import CHUNK_BYTES, unpacked
from roadstead.scanner.inventory import Entry, File, Hardlink, LayerIndex, Package, Symlink
from roadstead.scanner.limits import DEFAULT, Limits
from roadstead.scanner.packages import apk, dpkg, golang, java, npm, python, rpm, ruby
from roadstead.scanner.paths import Paths
from roadstead.scanner.tar import FILE, FOLDER, HARDLINK, SYMLINK, Archive, Member

KEY_BYTES = 8

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_RESERVED = ".wh..wh."

Parse = Callable[[str, bytes], list[Package]]


class _System(Protocol):
    """A module of packages/."""

    def required(self, path: str) -> bool: ...
    def parse(self, path: str, content: bytes) -> list[Package]: ...


_BY_NAME: Mapping[str, _System] = {
    "status": dpkg,
    "installed": apk,
    "rpmdb.sqlite": rpm,
    "Packages.db": rpm,
    "Packages": rpm,
    "METADATA": python,
    "PKG-INFO": python,
    "package.json": npm,
}
_BY_SUFFIX: Mapping[str, _System] = {"egg-info": python, "gemspec": ruby} | {suffix[1:]: java for suffix in java.SUFFIXES}

# Databases of headers and archives; what others read is text of a few kilobytes to a few megabytes.
_LARGE: frozenset[Parse] = frozenset({rpm.parse, java.parse})

Source = str | os.PathLike[str] | BinaryIO | Iterable[bytes]


def scan_layer(source: Source, digest: Digest | None = None, limits: Limits = DEFAULT) -> LayerIndex:
    """
    The index of a layer: a file by its path, an open one, or its bytes in pieces.

    With a digest, all bytes are read and must have it. Memory is limited, whatever the layer; time is that of unpacking it.

    Raises ScanFailed with a sentence for people: damaged, truncated, not an archive, another digest, or past a limit.
    """
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return scan_layer(file, digest, limits)
    stream = _Stream(source, digest)
    archive = Archive(unpacked(stream, limits, _size_bytes(source)), limits)
    scan = Scan(limits)
    for member in archive:
        scan.add(member, archive)
    stream.verify()
    return scan.index(archive.size_bytes)


def path_key(path: str) -> bytes:
    """8 bytes that stand for a path where an index need not say it. Two paths share one with a chance of 2^-64."""
    return blake2b(path.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def parser_of(path: str) -> Parse | None:
    """What reads this file, by its path; None if it is none of ours. Programs of Go are told by their content."""
    folder, _, name = path.rpartition("/")
    return _parser(path, folder, name)


def _parser(path: str, folder: str, name: str) -> Parse | None:
    system = _BY_NAME.get(name) or _BY_SUFFIX.get(name.rpartition(".")[2])
    if system is None and folder.endswith("status.d"):
        system = dpkg
    return system.parse if system is not None and system.required(path) else None


class Content(Protocol):
    """The bytes of the file at hand."""

    def read(self) -> bytes: ...
    def pieces(self) -> Iterator[bytes | memoryview]: ...


class Scan:
    """The index of one layer while its entries come."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self._paths = Paths()
        self._whiteouts: dict[str, None] = {}
        self._opaques: dict[str, None] = {}
        self._replaced: set[bytes] = set()
        self._folders: set[bytes] = set()
        self._notes: dict[str, None] = {}
        self._packages = 0

    def add(self, member: Member, content: Content) -> None:
        path = clean(member.path, self._limits)
        name = path.rpartition("/")[2]
        if name.startswith(_WHITEOUT):
            self._hide(path, name)
        elif member.kind == FOLDER:
            self._folder(path)
        elif path:
            if path in self._entries or self._paths.has_under(path):
                self._forget(path)
            entry = self._entry(path, member, content)
            if entry is None:
                self._replaced.add(path_key(path))
            else:
                self._keep(entry)

    def index(self, size_bytes: int) -> LayerIndex:
        return LayerIndex(
            tuple(self._entries.values()),
            tuple(self._whiteouts),
            tuple(self._opaques),
            b"".join(sorted(self._replaced)),
            b"".join(sorted(self._folders)),
            size_bytes,
            tuple(self._notes),
        )

    def _entry(self, path: str, member: Member, content: Content) -> Entry | None:
        if member.kind == SYMLINK:
            # No shared library's name is a folder or a file of ours, and there are thousands of them.
            return None if ".so" in path.rpartition("/")[2] else Symlink(path, member.target[: self._limits.path_bytes])
        if member.kind == HARDLINK:
            target = clean(member.target, self._limits)
            ours = target in self._entries or _is_ours(path) or _is_ours(target)
            return Hardlink(path, target) if ours else None
        return self._file(path, member, content) if member.kind == FILE else None

    def _file(self, path: str, member: Member, content: Content) -> File | None:
        folder, _, name = path.rpartition("/")
        if parse := _parser(path, folder, name):
            most = self._limits.file_bytes if parse in _LARGE else self._limits.listing_bytes
            if member.sparse or member.size > most:
                self._note(f"{path} was not read: it is {'sparse' if member.sparse else 'too large'}")
                return File(path)
            return self._found(path, parse(path, content.read()))
        if name in distros.NAMES:
            small = not member.sparse and member.size <= self._limits.text_bytes
            return File(path, (), content.read().decode("utf-8", "replace") if small else "")
        if golang.required(path, member.mode, member.size) and not member.sparse and (found := golang.parse(path, content.pieces())):
            return self._found(path, found)
        return None

    def _found(self, path: str, packages: list[Package]) -> File:
        self._packages += len(packages)
        if self._packages > self._limits.packages:
            raise ScanFailed(f"the layer has more than {self._limits.packages} packages; layers this large are not scanned")
        return File(path, tuple(packages))

    def _hide(self, path: str, name: str) -> None:
        folder = path[: -len(name)].rstrip("/")
        hidden = name[len(_WHITEOUT) :]
        if name == _OPAQUE:
            self._opaques[folder] = None
        elif not name.startswith(_RESERVED) and hidden not in ("", ".", ".."):
            if len(self._whiteouts) < self._limits.index_entries:
                self._whiteouts[f"{folder}/{hidden}" if folder else hidden] = None
            else:
                self._note("the layer deletes more files than are kept track of")

    def _folder(self, path: str) -> None:
        if path:
            if path in self._entries:
                del self._entries[path]
            self._folders.add(path_key(path))

    def _keep(self, entry: Entry) -> None:
        if len(self._entries) >= self._limits.index_entries:
            if not isinstance(entry, File):
                self._note("the layer has more links than are kept track of")
                return
            raise ScanFailed(f"the layer has more than {self._limits.index_entries} files with packages; layers this large are not scanned")
        self._entries[entry.path] = entry
        self._paths.add(entry.path)

    def _forget(self, path: str) -> None:
        """What the layer itself had at or under a path where it now writes a file."""
        self._entries.pop(path, None)
        for under in self._paths.take_under(path):
            self._entries.pop(under, None)

    def _note(self, note: str) -> None:
        if len(self._notes) < self._limits.notes:
            self._notes[note[:500]] = None


def clean(path: str, limits: Limits = DEFAULT) -> str:
    """A path within the image without `./`, `..` or slashes at its ends; "" is the image's root. Raises ScanFailed past the limits."""
    if len(path) > limits.path_bytes or path.count("/") > limits.path_depth:
        raise ScanFailed(f"the layer has a path of more than {limits.path_bytes} bytes or {limits.path_depth} folders")
    plain = path.removeprefix("./").removesuffix("/")
    if "/." in plain or "//" in plain or plain.startswith((".", "/")):
        return posixpath.normpath(f"/{path}").lstrip("/")
    return plain


def folders_above(path: str) -> list[str]:
    """Of `a/b/c`: `a`, `a/b`."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _is_ours(path: str) -> bool:
    return path.rpartition("/")[2] in distros.NAMES or parser_of(path) is not None


def _size_bytes(source: BinaryIO | Iterable[bytes]) -> int | None:
    """What is left of an open file; None where that cannot be known before it is read."""
    if not isinstance(source, io.IOBase) or not source.seekable():
        return None
    here = source.tell()
    size_bytes = source.seek(0, os.SEEK_END) - here
    source.seek(here)
    return size_bytes


class _Stream:
    """The packed bytes of a layer, and their digest if it is asked for."""

    def __init__(self, source: BinaryIO | Iterable[bytes], digest: Digest | None) -> None:
        self._read = source.read if hasattr(source, "read") else _Pieces(source).read
        self._digest = digest
        self._hasher = None if digest is None else digest.hasher()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._read(size)
        if self._hasher is not None:
            self._hasher.update(data)
        return data

    def verify(self) -> None:
        if self._digest is None or self._hasher is None:
            return
        while self.read(CHUNK_BYTES):
            pass
        if self._hasher.hexdigest() != self._digest.encoded:
            raise ScanFailed(f"the layer's bytes are not those of {self._digest}; push it again")


class _Pieces:
    """An iterator of bytes, read like a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return data
