"""
What the processes of one node count, and how each of them sees the others' numbers.

A request costs one dictionary look-up and three additions (0.6 µs). The supervisor makes a Board before it forks: memory that its
children share, with a slot for each. A child writes what it has counted into its slot once a second, so any of them can answer for
all; one that is started again goes on from its slot, so that counters never go back. Nothing is a file, nothing is left behind.
`prometheus.py` says the numbers in Prometheus' words.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from roadstead.jobs.queue import Waiting
    from roadstead.registry.totals import Totals

PUBLISH_SECONDS = 1.0
# Upper ends of the latency buckets. A manifest takes 40 µs, a large upload minutes.
BOUNDS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})
# What is counted for a client that went away before it was answered, as nginx does.
GONE = 499

# Two copies in each slot, written in turn: whoever is killed while it writes leaves the other one whole. Every series is a route,
# one of its methods and a status, so there are some hundred at the most: 100 KB.
_COPY_BYTES = 512 * 1024
_HEAD = struct.Struct("<QII")
_BOUNDS_NS = [int(bound * 1e9) for bound in BOUNDS_SECONDS]
_SUM = len(_BOUNDS_NS) + 1
_SENT = _SUM + 1
_NOTHING = [0] * (_SENT + 1)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Series(msgspec.Struct, array_like=True):
    """Requests of one kind. values: how many in each latency bucket (the last has no end), then nanoseconds, then bytes sent."""

    route: str
    method: str
    status: int
    values: list[int]

    @property
    def counts(self) -> list[int]:
        return self.values[:_SUM]

    @property
    def seconds(self) -> float:
        return self.values[_SUM] / 1e9

    @property
    def sent_bytes(self) -> int:
        return self.values[_SENT]


class Snapshot(msgspec.Struct, kw_only=True):
    """One process at one moment. totals only grow, also over restarts; gauges are as they are."""

    process: str
    pid: int
    starts: int = 1
    started_at: float = 0.0
    requests: list[Series] = msgspec.field(default_factory=list)
    totals: dict[str, float] = msgspec.field(default_factory=dict)
    gauges: dict[str, float] = msgspec.field(default_factory=dict)


class Board:
    """Made once, before anything is forked. One process writes a slot; everybody reads all."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, slots * 2 * _COPY_BYTES)

    def write(self, slot: int, payload: bytes) -> None:
        """What is too large is not written: the numbers stay as they were."""
        if len(payload) > _COPY_BYTES - _HEAD.size:
            return
        numbers = [self._number(slot, copy) for copy in (0, 1)]
        copy = 0 if numbers[0] <= numbers[1] else 1
        start = self._start(slot, copy)
        self._memory[start + _HEAD.size : start + _HEAD.size + len(payload)] = payload
        _HEAD.pack_into(self._memory, start, max(numbers) + 1, len(payload), zlib.crc32(payload))

    def read(self, slot: int) -> bytes | None:
        """The newest whole copy; None if nothing was written yet."""
        found = [self._copy(slot, copy) for copy in (0, 1)]
        whole = [each for each in found if each is not None]
        return max(whole, key=lambda each: each[0])[1] if whole else None

    def snapshots(self) -> list[Snapshot]:
        payloads = [self.read(slot) for slot in range(self._slots)]
        return [msgspec.msgpack.decode(payload, type=Snapshot) for payload in payloads if payload is not None]

    def _start(self, slot: int, copy: int) -> int:
        return (slot * 2 + copy) * _COPY_BYTES

    def _number(self, slot: int, copy: int) -> int:
        return int(_HEAD.unpack_from(self._memory, self._start(slot, copy))[0])

    def _copy(self, slot: int, copy: int) -> tuple[int, bytes] | None:
        start = self._start(slot, copy)
        number, length, checksum = _HEAD.unpack_from(self._memory, start)
        payload = self._memory[start + _HEAD.size : start + _HEAD.size + length]
        return (number, payload) if number and zlib.crc32(payload) == checksum else None


class Recorder:
    """Counts for one process, in its slot. process: how the process is called, e.g. "serve-0"."""

    def __init__(self, board: Board, slot: int, process: str) -> None:
        self.board = board
        self._slot = slot
        self._now = Snapshot(process=process, pid=os.getpid(), started_at=time.time())
        self._series: dict[tuple[str, str, int], list[int]] = {}
        self._continue()

    def _continue(self) -> None:
        payload = self.board.read(self._slot)
        if payload is None:
            return
        before = msgspec.msgpack.decode(payload, type=Snapshot)
        self._now.starts, self._now.totals, self._now.gauges = before.starts + 1, before.totals, before.gauges
        self._series = {(series.route, series.method, series.status): series.values for series in before.requests}

    def request(self, route: str, method: str, status: int, elapsed_ns: int, sent_bytes: int) -> None:
        """One that is over. On the way of every request: keep it short."""
        values = self._series.get((route, method, status)) or self._new_series(route, method, status)
        values[bisect_left(_BOUNDS_NS, elapsed_ns)] += 1
        values[_SUM] += elapsed_ns
        values[_SENT] += sent_bytes

    def _new_series(self, route: str, method: str, status: int) -> list[int]:
        known = method if method in METHODS else "OTHER"
        return self._series.setdefault((route, known, status), _NOTHING.copy())

    def add(self, total: str, amount: float) -> None:
        self._now.totals[total] = self._now.totals.get(total, 0) + amount

    def set(self, gauge: str, value: float) -> None:
        self._now.gauges[gauge] = value

    def publish(self) -> None:
        """Into the slot, for the others to see."""
        self._now.requests = [Series(*key, values) for key, values in self._series.items()]
        self.set("resident_bytes", _resident_bytes())
        self.set("cpu_seconds", time.process_time())
        self.board.write(self._slot, msgspec.msgpack.encode(self._now))


@dataclass(frozen=True, slots=True)
class Stock:
    """What the database knows. answers: whether it could be asked just now; totals: None before the first count."""

    answers: bool = False
    jobs: Sequence[Waiting] = ()
    totals: Totals | None = None
    asked_at_us: int = 0


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
