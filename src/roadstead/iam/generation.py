"""
A number that grows whenever rights or accounts change, so that every process knows when what it remembers is old.

The processes of one machine share it in memory, made before they are forked: a change is seen by all of them before its request is
answered. Other nodes look at its row every moment (POLL_SECONDS), so there a change takes effect within that time.
"""

from __future__ import annotations

import mmap
import struct

from roadstead.db.database import Database, Transaction
from roadstead.iam.queries import generations

POLL_SECONDS = 0.5
NAME = "iam"
_NUMBER = struct.Struct("<Q")


class SharedNumber:
    """Eight bytes that forked processes share. A write of eight aligned bytes is one store: nobody sees half of it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def get(self) -> int:
        return int(_NUMBER.unpack_from(self._memory, 0)[0])

    def put(self, value: int) -> None:
        _NUMBER.pack_into(self._memory, 0, value)


class Generation:
    """`value` is what caches compare; it costs a look at memory."""

    __slots__ = ("_database", "_shared")

    def __init__(self, database: Database, shared: SharedNumber) -> None:
        self._database = database
        self._shared = shared

    @property
    def value(self) -> int:
        return self._shared.get()

    async def bump(self, tx: Transaction) -> None:
        """
        In the transaction that changes something, as its last statement.

        Caches may be filled anew between this and the commit, with what was before; so whoever commits calls seen() afterwards.
        """
        await tx.run(generations.BUMP, {"name": NAME})

    async def seen(self) -> None:
        """After a commit, and every moment: take over the row's number, for all processes of this machine."""
        row = await self._database.one(generations.GET, {"name": NAME})
        value = int(row[0]) if row else 0
        if value > self._shared.get():
            self._shared.put(value)
