"""
The number of advisories' changes, in the database.

A scan reads it before it matches, and holds it in the transaction that writes what was matched; whoever changes advisories makes it grow
in the same transaction. So a version that is new was matched with the advisories that are there, or is among those that a load marks.
"""

from __future__ import annotations

from roadstead.db.database import Reader, Transaction
from roadstead.scanning import queries


async def current(reader: Reader) -> int:
    row = await reader.one(queries.REVISION, {})
    return int(bytes(row[0])) if row else 0


async def held(tx: Transaction) -> int:
    """Nobody changes advisories before tx ends."""
    row = await tx.one(queries.HOLD_REVISION, {})
    if row is None:
        await tx.run(queries.ADD_REVISION, {"value": b"0"})
        row = await tx.one(queries.HOLD_REVISION, {})
    assert row is not None
    return int(bytes(row[0]))


async def grow(tx: Transaction) -> int:
    """The new number; nobody matches before tx ends."""
    await tx.run(queries.ADD_REVISION, {"value": b"0"})
    row = await tx.one(queries.LOCK_REVISION, {})
    assert row is not None
    number = int(bytes(row[0])) + 1
    await tx.run(queries.SET_REVISION, {"new_value": str(number).encode()})
    return number
