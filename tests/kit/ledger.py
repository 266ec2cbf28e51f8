"""
What a registry owes its clients: every write with the time it began and the time it was over, and what may be read at a moment.

A key is one blob, manifest or tag of a repository. Writes to a key that overlap may come in any order, and one whose answer was
never heard may have happened or not: so there is a set of values that are right, and everything outside it is a lost or wrong one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

BLOB, MANIFEST, TAG = "blob", "manifest", "tag"


class Key(NamedTuple):
    """name is a digest, or a tag."""

    kind: str
    repository: str
    name: str


@dataclass(slots=True)
class Write:
    """
    value is the digest that the key has after it, None after a deletion.

    over: when it could no longer take effect. acknowledged: the whole 2xx was read, so it did take effect.
    """

    value: str | None
    begun: float
    over: float = math.inf
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Surprise:
    """An answer that should not have been. seconds: how long that turn of the client had taken by then."""

    what: str
    seconds: float


@dataclass
class Ledger:
    """Safe to use from several threads. Times are those of the wall clock, as in a trace of system calls."""

    writes: dict[Key, list[Write]] = field(default_factory=lambda: defaultdict(list))
    needs: dict[Key, list[Key]] = field(default_factory=dict)
    surprises: list[Surprise] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def writing(self, *changes: tuple[Key, str | None]) -> Iterator[None]:
        """One request that makes these changes: acknowledged if the block ends well, else it may have happened or not."""
        now = time.time()
        opened = [(key, Write(value, now)) for key, value in changes]
        with self._lock:
            for key, write in opened:
                self.writes[key].append(write)
        try:
            yield
        except BaseException:
            self._end(opened, acknowledged=False)
            raise
        self._end(opened, acknowledged=True)

    def _end(self, opened: list[tuple[Key, Write]], acknowledged: bool) -> None:
        now = time.time()
        for _, write in opened:
            write.acknowledged = acknowledged
            write.over = now

    def surprised(self, what: str, seconds: float) -> None:
        with self._lock:
            self.surprises.append(Surprise(what, seconds))

    def possible(self, key: Key, moment: float = math.inf) -> set[str | None]:
        """The values that a reader at that moment may find; None stands for "not there"."""
        writes = [write for write in self.writes[key] if write.begun <= moment]
        settled = [write.begun for write in writes if write.acknowledged and write.over <= moment]
        since = max(settled, default=-math.inf)
        values = {write.value for write in writes if write.over >= since}
        return values if settled else values | {None}

    def owed(self, key: Key, moment: float = math.inf) -> bool:
        """Must it be there?"""
        return None not in self.possible(key, moment)

    def acknowledged(self, kind: str, moment: float = math.inf) -> list[Key]:
        """The keys of this kind that had an acknowledged write by then."""
        return [
            key
            for key, writes in list(self.writes.items())
            if key.kind == kind and any(write.acknowledged and write.over <= moment for write in writes)
        ]

    def touched(self, since: float) -> list[Key]:
        """The keys that were written to since, to verify after one round of many."""
        return [key for key, writes in list(self.writes.items()) if any(write.begun >= since for write in writes)]

    def needed(self, moment: float = math.inf) -> set[Key]:
        """The blobs and manifests that owed manifests name: those must be there however long ago they were pushed."""
        return {part for manifest, parts in list(self.needs.items()) if self.owed(manifest, moment) for part in parts}

    def last_push(self, key: Key, moment: float = math.inf) -> float:
        """When the latest acknowledged push of it began: collection spares a blob without a manifest for a grace from then on."""
        pushes = [write.begun for write in self.writes[key] if write.value is not None and write.acknowledged and write.over <= moment]
        return max(pushes, default=-math.inf)
