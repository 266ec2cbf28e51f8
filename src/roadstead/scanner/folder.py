"""A file system that was unpacked into a folder, read as if it were one layer. No link is followed out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from roadstead.errors import ScanFailed
from roadstead.scanner.compression import CHUNK_BYTES
from roadstead.scanner.inventory import LayerIndex
from roadstead.scanner.layers import Scan
from roadstead.scanner.limits import DEFAULT, Limits
from roadstead.scanner.tar import DEVICE, FILE, FOLDER, SYMLINK, Member


def scan_folder(root: Path, limits: Limits = DEFAULT) -> LayerIndex:
    """
    The index of a folder as an image's root. What is mounted in it (proc, other disks) is left out, and so is what may not be read.

    Raises ScanFailed for a folder that cannot be read at all, and past the limits.
    """
    scan = Scan(limits)
    device = root.stat().st_dev
    total = count = 0
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(root / folder, must=not folder):
            count += 1
            if count > limits.entries:
                raise ScanFailed(f"{root} has more than {limits.entries} files; folders this large are not scanned")
            path = f"{folder}/{entry.name}" if folder else entry.name
            status = entry.stat(follow_symlinks=False)
            member = Member(path, _kind(status), status.st_size, stat.S_IMODE(status.st_mode))
            if member.kind == SYMLINK:
                member.target = os.readlink(entry.path)
            if member.kind == FILE:
                total += member.size
            if member.kind == FOLDER and status.st_dev == device:
                waiting.append(path)
            scan.add(member, _Content(entry.path, member.size))
    return scan.index(total)


def _entries(folder: Path, must: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        if must:
            raise
        return []


def _kind(status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return FILE
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    return SYMLINK if stat.S_ISLNK(status.st_mode) else DEVICE


class _Content:
    """A file that is opened when it is wanted."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        left = self._size
        try:
            with open(self._path, "rb", opener=_opener) as file:
                while left and (piece := file.read(min(left, CHUNK_BYTES))):
                    left -= len(piece)
                    yield piece
        except PermissionError:
            return


def _opener(path: str, flags: int) -> int:
    # A pipe in the place of a file would block for ever.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
