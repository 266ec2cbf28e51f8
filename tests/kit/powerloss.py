"""
What a disk holds after the power went: a folder rebuilt from a trace of system calls, at any moment of it.

The model is the strictest reading of POSIX, so that what survives here survives on every file system:
- a file's bytes and length are durable as of an fsync or fdatasync of that file that had begun after the write had ended, and has ended;
- a name (made, renamed or removed) is durable only after an fsync of the folder it stands in; the two names of a rename are
  independent. ext4 and xfs do more (an fsync of a new file also makes its name durable, renames are atomic); nothing here relies on it.
What is not durable may survive or not, each write and each name by itself, and a write cut off after any of its 512-byte sectors.
Not modelled: writes through mmap (SQLite maps only its -shm file, which it makes anew), a disk that lies about having synced, and
two descriptors with different positions in one file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.kit.inodes import Change, File, Folder, Node
from tests.kit.trace import Call, Event


class Unmodelled(Exception):
    """The program did something to the folder that this model knows nothing of: its verdict would be worth nothing."""


class Disk:
    """Everything under root, which is taken to be there, empty and durable before the trace begins."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.top = Folder()
        self._targets: dict[int, tuple[Node | None, int]] = {}

    def see(self, event: Event) -> None:
        """One event of the trace, in order."""
        call = event.call
        if not event.ended:
            # A descriptor keeps its file whatever happens to the name while the call is under way.
            node = self._at(call.file) if call.file else None
            self._targets[id(call)] = (node, node.mark() if node else 0)
            return
        node, mark = self._targets.pop(id(call))
        if call.result is None or call.result < 0:
            return
        handler = getattr(self, f"_{call.name}", None)
        if handler is None:
            raise Unmodelled(f"{call.name}({call.arguments[:300]})")
        handler(call, node, mark)

    def files(self, source: random.Random | None = None) -> Iterator[tuple[str, bytes]]:
        """(relative path, bytes) of all files after a power loss now."""
        for path, node in self.nodes(source):
            if isinstance(node, File):
                yield path, node.after(source)

    def nodes(self, source: random.Random | None = None) -> Iterator[tuple[str, Node]]:
        waiting: list[tuple[str, Folder]] = [("", self.top)]
        while waiting:
            prefix, folder = waiting.pop()
            for name, node in folder.after(source).items():
                yield prefix + name, node
                if isinstance(node, Folder):
                    waiting.append((f"{prefix}{name}/", node))

    def _at(self, path: str) -> Node | None:
        """What the running system finds there; None outside root."""
        parts = self._parts(path)
        node: Node | None = None if parts is None else self.top
        for part in parts or ():
            node = node.entries.get(part) if isinstance(node, Folder) else None
        return node

    def _parts(self, path: str) -> list[str] | None:
        if not Path(path).is_relative_to(self._root):
            return None
        return list(Path(path).relative_to(self._root).parts)

    def _place(self, path: str) -> tuple[Folder, str] | None:
        """The folder that a name is in; None outside root."""
        if not path.startswith("/"):
            raise Unmodelled(f"a path that is not absolute: {path}")
        folder = self._at(str(Path(path).parent))
        return (folder, Path(path).name) if isinstance(folder, Folder) else None

    def _openat(self, call: Call, _: Node | None, __: int) -> None:
        place = self._place(call.opened)
        if place is None:
            return
        folder, name = place
        flags = call.arguments
        if name not in folder.entries and "O_CREAT" in flags:
            folder.put(name, File())
        node = folder.entries.get(name)
        if isinstance(node, File) and "O_RDONLY" not in flags:
            if "O_TRUNC" in flags:
                node.change(Change(0, None))
            node.position = node.size_bytes if "O_APPEND" in flags else 0

    _open = _creat = _openat

    def _write(self, call: Call, node: Node | None, _: int) -> None:
        if isinstance(node, File):
            data = b"".join(call.strings)[: call.result]
            node.change(Change(node.position, data))
            node.position += len(data)

    _writev = _write

    def _pwrite64(self, call: Call, node: Node | None, _: int) -> None:
        if isinstance(node, File):
            node.change(Change(call.numbers[-1], b"".join(call.strings)[: call.result]))

    _pwritev = _pwrite64

    def _lseek(self, call: Call, node: Node | None, _: int) -> None:
        if isinstance(node, File):
            node.position = call.result or 0

    def _ftruncate(self, call: Call, node: Node | None, _: int) -> None:
        if isinstance(node, File):
            node.change(Change(call.numbers[-1], None))

    def _fsync(self, _: Call, node: Node | None, mark: int) -> None:
        if node is not None:
            node.sync(mark)

    _fdatasync = _fsync

    def _mkdir(self, call: Call, _: Node | None, __: int) -> None:
        place = self._place(call.paths[0])
        if place is not None:
            place[0].put(place[1], Folder())

    def _unlink(self, call: Call, _: Node | None, __: int) -> None:
        place = self._place(call.paths[-1])
        if place is not None:
            place[0].put(place[1], None)

    _unlinkat = _rmdir = _unlink
    _mkdirat = _mkdir

    def _rename(self, call: Call, _: Node | None, __: int) -> None:
        before, after = (self._place(path) for path in call.paths)
        if before is None and after is None:
            return
        if before is None or after is None:
            raise Unmodelled(f"a rename into or out of the folder: {call.paths}")
        node = before[0].entries[before[1]]
        after[0].put(after[1], node)
        before[0].put(before[1], None)

    _renameat = _renameat2 = _rename


def rebuild(disk: Disk, folder: Path, source: random.Random | None = None) -> None:
    """Write what is left after a power loss now into an empty folder."""
    for path, node in disk.nodes(source):
        target = folder / path
        if isinstance(node, Folder):
            target.mkdir(parents=True, exist_ok=True)
        elif not path.endswith("-shm"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(node.after(source))
