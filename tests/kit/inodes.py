"""Files and folders that know what of them is synced and what is not; powerloss.py says by which rules."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Change:
    """A write at offset, or with data None a change of length to offset."""

    offset: int
    data: bytes | None


@dataclass(eq=False)
class File:
    """durable plus the pending changes are what programs see. size_bytes and position are those of the running system."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)
    size_bytes: int = 0
    position: int = 0
    synced: int = 0

    def change(self, change: Change) -> None:
        self.pending.append(change)
        end = change.offset + len(change.data or b"")
        self.size_bytes = end if change.data is None else max(self.size_bytes, end)

    def mark(self) -> int:
        """How many changes there were so far: what a sync that begins now will cover."""
        return self.synced + len(self.pending)

    def sync(self, mark: int) -> None:
        covered = max(0, mark - self.synced)
        for change in self.pending[:covered]:
            apply(self.durable, change)
        del self.pending[:covered]
        self.synced += covered

    def after(self, source: random.Random | None) -> bytes:
        """The bytes found after a power loss; source decides what else than the durable part survives, None for nothing."""
        content = self.durable
        if source is not None and self.pending:
            content = bytearray(content)
            for change in self.pending:
                if source.random() < 0.5:
                    apply(content, torn(change, source))
        return bytes(content)


def torn(change: Change, source: random.Random) -> Change:
    """Half of the surviving writes are whole, the others end at a sector boundary of the disk."""
    if change.data is None or source.random() < 0.5:
        return change
    first, last = change.offset // SECTOR_BYTES, (change.offset + len(change.data)) // SECTOR_BYTES
    end = source.randint(first, last) * SECTOR_BYTES
    return Change(change.offset, change.data[: max(0, end - change.offset)])


def apply(content: bytearray, change: Change) -> None:
    if change.data is None:
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
    elif change.data:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data


@dataclass(eq=False)
class Folder:
    """durable: name → what is there for certain. pending: (name, what it becomes), in order."""

    durable: dict[str, Node] = field(default_factory=dict)
    entries: dict[str, Node] = field(default_factory=dict)
    pending: list[tuple[str, Node | None]] = field(default_factory=list)
    synced: int = 0

    def put(self, name: str, node: Node | None) -> None:
        _put(self.entries, name, node)
        self.pending.append((name, node))

    def mark(self) -> int:
        return self.synced + len(self.pending)

    def sync(self, mark: int) -> None:
        covered = max(0, mark - self.synced)
        for name, node in self.pending[:covered]:
            _put(self.durable, name, node)
        del self.pending[:covered]
        self.synced += covered

    def after(self, source: random.Random | None) -> dict[str, Node]:
        found = dict(self.durable)
        for name, node in self.pending if source is not None else ():
            if source is not None and source.random() < 0.5:
                _put(found, name, node)
        return found


Node = File | Folder


def _put(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node
