"""
A number that grows whenever rights or accounts change, so that every process knows when what it remembers is old.

The processes of one machine share it in memory, made before they are forked: a change is seen by all of them before its request is
answered. Other nodes look at its row every moment (POLL_SECONDS), so there a change takes effect within that time.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roadstead.db.database import Database, Transaction
from roadstead.iam.queries import generations

POLL_SECONDS = 0.5
NAME = "iam"


class SharedNumber:
    """
    Eight bytes that forked processes share. A write of eight aligned bytes is one store: nobody sees half of it.

    numbers[0] is the number, for those who look at it at every request: a fifth of the time of get().
    """

    def __init__(self) -> None:
        self.numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
        # Its lock is a process's own though the file is inherited, and ends with the process.
        self._lock = os.memfd_create("generation")

    def get(self) -> int:
        return self.numbers[0]

    def raise_to(self, value: int) -> None:
        """Never lower: a process that read the row earlier and comes later changes nothing."""
        if value <= self.numbers[0]:
            return
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            self.numbers[0] = max(self.numbers[0], value)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


class Generation:
    """`value` is what caches compare; it costs a look at memory. numbers[0] is the same, without a call."""

    __slots__ = ("_database", "_shared", "numbers")

    def __init__(self, database: Database, shared: SharedNumber) -> None:
        self._database = database
        self._shared = shared
        self.numbers = shared.numbers

    @property
    def value(self) -> int:
        return self.numbers[0]

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Transaction]:
        """
        A transaction that changes rights or accounts. What it changes is known to all processes of this machine when the block has ended
        without an error. Raises what Database.transaction does.
        """
        async with self._database.transaction() as tx:
            yield tx
            await self.bump(tx)
        await self.seen()

    async def bump(self, tx: Transaction) -> None:
        """
        For a transaction that may turn out to change nothing: as its last statement, where it does. change() is for all others.

        Caches may be filled anew between this and the commit, with what was before; so whoever commits calls seen() afterwards.
        """
        await tx.run(generations.BUMP, {"name": NAME})

    async def seen(self) -> None:
        """After a commit, and every moment: take over the row's number, for all processes of this machine."""
        row = await self._database.one(generations.GET, {"name": NAME})
        self._shared.raise_to(int(row[0]) if row else 0)
